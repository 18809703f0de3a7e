import math

import numpy as np
import pytest
import scipy.stats

from modularity_jax.runs import reproduce
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.tables import read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.runs import workdirs


def find(rows, config, phase, quantity):
    (row,) = [r for r in rows if (r["config"], r["phase"], r["quantity"]) == (config, phase, quantity)]
    return row


def fake_run(values):
    """A run whose clusterability table has these n-cuts for each seed of the pruned networks."""

    def run(path, config):
        if values[path.name] is None:
            raise FileNotFoundError(f"no data for {path.name}")
        workdir = create_workdir(path, config, "a command")
        rows = [
            dict.fromkeys(workdirs.CLUSTER_COLUMNS)
            | {"seed": seed, "phase": phase, "num_clusters": k, "method": method, "ncut": ncut, "z_score": z}
            | {"test_accuracy": 0.98}
            for phase in config.cluster.phases
            for k in config.cluster.num_clusters
            for seed, ncut in enumerate(values[path.name])
            for method, z in (("layer", -3.0 - seed), ("layer_nonzero", -2.0))
        ]
        reproduce.write_csv(workdir.clusterability, rows, workdirs.CLUSTER_COLUMNS)
        return workdir

    return run


def test_cells_are_the_published_ones():
    found = reproduce.cells("ncut_k4")
    assert all(cell.num_clusters == 4 and cell.source.startswith("arXiv 2003.04881") for cell in found)
    pruned = [c for c in found if (c.config, c.phase, c.quantity) == ("mnist", "pruned", "n-cut")]
    assert [(c.mean, c.std, c.trainings) for c in pruned] == [(2.0003, 0.0346, 10)]
    assert {c.config for c in found} == {"mnist", "mnist_dropout", "cifar10", "cifar10_dropout", "lines"}
    assert [(c.mean, c.trainings) for c in found if c.phase == "init"] == [(2.349, 200)]
    assert {c.num_clusters for c in reproduce.cells("ncut_k")} == {4, 7}
    assert {c.source for c in reproduce.cells("ncut_k12")} == {"arXiv 2103.03386"}


def test_settings_are_cut_down_to_the_table():
    made = reproduce.settings_for("ncut_k12", RunConfig(), ["pruned"])
    assert (made.train.num_seeds, made.cluster.num_clusters, made.cluster.phases) == (5, (12,), ("pruned",))
    assert made.lesion.num_shuffles == 0
    assert made.model == RunConfig().model


def test_a_table_of_what_agrees_what_differs_and_what_cannot_be_run(tmp_path):
    ours = {"mnist": [2.0, 2.02, 1.98, 2.01], "mnist_dropout": [1.2, 1.21, 1.19], "lines": [1.6], "cifar10": None}
    rows = reproduce.run_table("ncut_k4", tmp_path, dict.fromkeys(ours, RunConfig()), fake_run(ours))
    assert read_csv(tmp_path / "ncut_k4.csv", reproduce.COLUMNS)[0]["config"] == rows[0]["config"]
    assert {row["config"] for row in rows} == set(ours)
    agreeing = find(rows, "mnist", "pruned", "n-cut")
    assert (agreeing["mean"], agreeing["seeds"]) == (pytest.approx(2.0025), 4)
    std = np.std(ours["mnist"], ddof=1)
    assert agreeing["distance"] == pytest.approx((2.0025 - 2.0003) / math.hypot(std, 0.0346))
    assert agreeing["verdict"] == "agrees"
    paper = scipy.stats.norm(2.0003, 0.0346)
    welch = scipy.stats.ttest_ind_from_stats(2.0025, std, 4, paper.mean(), paper.std(), 10, equal_var=False)
    assert agreeing["p_value"] == pytest.approx(welch.pvalue)
    assert find(rows, "mnist_dropout", "pruned", "n-cut")["verdict"] == "differs"
    assert find(rows, "lines", "pruned", "n-cut")["verdict"] == "no spread given"
    assert find(rows, "mnist", "pruned", "z layer")["mean"] == pytest.approx(-4.5)
    assert find(rows, "mnist", "pruned", "z layer_nonzero")["mean"] == -2
    assert find(rows, "mnist", "pruned", "test accuracy")["mean"] == pytest.approx(0.98)
    missing = find(rows, "cifar10", "pruned", "n-cut")
    assert missing["verdict"] == "not run: no data for cifar10"
    assert missing["mean"] is None
    text = reproduce.table_text(rows)
    assert "2.000 ± 0.035 (10)" in text
    assert f"{agreeing['mean']:.3f} ± 0.017" in text
    assert "not run: no data for cifar10" in text


def test_agreement_beyond_chance_is_said(tmp_path):
    values = {"mnist": list(np.linspace(2.06, 2.08, 10))}
    rows = reproduce.run_table("ncut_k4", tmp_path, {"mnist": RunConfig()}, fake_run(values))
    assert find(rows, "mnist", "pruned", "n-cut")["verdict"] == "agrees; the means differ by more than chance"


def test_a_learning_curve_against_one_published_network(tmp_path):
    """Points of five seeds; the published network is one more draw, or is not."""

    def run(path, config):
        assert (config.cluster.curve_every, config.train.num_seeds) == (5, 5)
        workdir = create_workdir(path, config, "a command")
        points = [
            ("unpruned", 20, 2.45),
            ("pruned", 5, 2.2),
            ("pruned", 10, 2.05),
            ("pruned", 15, 2.0),
            ("pruned", 20, 2.5),
        ]
        rows = [
            {"seed": seed, "phase": phase, "epoch": epoch, "num_clusters": 4, "ncut": ncut + 0.01 * (seed - 2)}
            for phase, epoch, ncut in points
            for seed in range(5)
        ]
        reproduce.write_csv(workdir.learning_curve, rows, ("seed", "phase", "epoch", "num_clusters", "ncut"))
        return workdir

    rows = reproduce.run_table("learning_curve", tmp_path, {"mnist": RunConfig()}, run)
    assert [(row["phase"], row["epoch"], row["paper_mean"]) for row in rows] == [
        ("unpruned", 20, 2.46), ("pruned", 5, 2.19), ("pruned", 10, 2.04), ("pruned", 15, 2.01), ("pruned", 20, 2.02),
    ]  # fmt: skip
    assert [row["verdict"] for row in rows] == ["agrees"] * 4 + ["differs"]
    std = np.std([-0.02, -0.01, 0, 0.01, 0.02], ddof=1)
    assert rows[0]["distance"] == pytest.approx(-0.01 / std)
    assert rows[0]["p_value"] == pytest.approx(2 * scipy.stats.t.cdf(-0.01 / std / 1.2**0.5, 4))


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="table must be one of ncut_k4, ncut_k, ncut_k12, learning_curve, got 'ncut'"):
        reproduce.cells("ncut")
    with pytest.raises(
        ValueError, match="config must name one of mnist, mnist_dropout for the table ncut_k12, got lin"
    ):
        reproduce.run_table("ncut_k12", tmp_path, {"lines": RunConfig()}, fake_run({}))
