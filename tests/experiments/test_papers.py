import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from configs import mnist_7x7_penalty
from experiments import papers as reproduce
from experiments.papers.measured import values_of
from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_csv, write_csv
from modularity_jax.runs.workdir import create_workdir
from tests.experiments.test_launchers import write_idx
from tests.runs import workdirs


def find(rows, config, phase, quantity):
    (row,) = [r for r in rows if (r["config"], r["phase"], r["quantity"]) == (config, phase, quantity)]
    return row


def fake_run(values):
    """A run whose clusterability table has these n-cuts for each seed of the pruned networks."""

    def run(path, config, table, donors):
        if values[path.name] is None:
            raise FileNotFoundError(f"no data for {path.name}")
        workdir = create_workdir(path, config, "a command")
        rows = [
            dict.fromkeys(workdirs.CLUSTER_COLUMNS)
            | {"seed": seed, "phase": phase, "num_clusters": k, "method": method, "observed": ncut, "z_score": z}
            | {"test_accuracy": 0.98, "measure": "ncut"}
            for phase in config.cluster.phases
            for k in config.cluster.num_clusters
            for seed, ncut in enumerate(values[path.name])
            for method, z in (("layer", -3.0 - seed), ("layer_nonzero", -2.0))
        ]
        write_csv(workdir.path / "clusterability.csv", rows, workdirs.CLUSTER_COLUMNS)
        return workdir

    return run


def test_cells_are_the_published_ones():
    found = reproduce.cells("ncut_k4")
    assert all(cell.num_clusters == 4 and cell.source.startswith("arXiv 2003.04881") for cell in found)
    pruned = [c for c in found if (c.config, c.phase, c.quantity) == ("mnist", "pruned", "n-cut")]
    assert [(c.mean, c.std, c.trainings) for c in pruned] == [(2.0003, 0.0346, 10)]
    assert {c.config for c in found} == {"mnist", "mnist_dropout", "cifar10", "cifar10_dropout", "lines"}
    assert [(c.mean, c.trainings) for c in found if c.phase == "init"] == [(2.349, 200)]
    sweep = [c for c in reproduce.cells("ncut_k") if (c.config, c.quantity) == ("mnist", "n-cut")]
    assert {c.num_clusters: c.mean for c in sweep} == {2: None, 4: 2.0003, 7: 4.5555, 10: None, 12: 8.881}
    assert {c.phase for c in sweep} == {"pruned"}
    assert {c.source for c in reproduce.cells("ncut_k12")} == {"arXiv 2103.03386"}


def test_cells_of_the_second_study_have_its_factors_and_the_settings_of_its_penalty():
    found = {(c.config, c.phase, c.quantity): c for c in reproduce.cells("factors")}
    assert {config for config, *_ in found} == {
        "mnist", "mnist_dropout", "mnist_l1", "mnist_l2", "mnist_clusterable_init", "halves", "halves_same",
    }  # fmt: skip
    cell = found["mnist_clusterable_init", "pruned", "n-cut"]
    assert (cell.mean, cell.std, cell.trainings, cell.setting) == (5.7498, 0.0718, 5, None)
    assert found["mnist_l1", "unpruned", "z layer"].mean == 18.02
    assert found["mnist_l1", "unpruned", "Q"].mean is None
    penalty = {(c.setting, c.phase): c.mean for c in reproduce.cells("penalty") if c.quantity == "n-cut"}
    assert penalty[None, "unpruned"] == 10.0199
    assert penalty["eigenvalue_weight=0.05", "unpruned"] == 8.9283  # published as 0.1, of half the force
    assert penalty["eigenvalue_weight=0.1", "unpruned"] is penalty["eigenvalue_weight=0", "unpruned"] is None
    assert len(penalty) == 8


def test_a_cell_of_a_sweep_takes_the_networks_with_its_setting_and_its_measure(tmp_path):
    columns = ("seed", "eigenvalue_weight", "phase", "measure", "num_clusters", "method", "observed", "z_score")
    rows = [
        dict(zip(columns, (seed, weight, "pruned", measure, 12, "layer", value + seed, -value), strict=True))
        for seed, weight in enumerate((0, 0, 0.05, 0.05))
        for measure, value in (("ncut", 5.0), ("modularity", 0.25))
    ]
    workdir = create_workdir(tmp_path, RunConfig(), "a command")
    write_csv(tmp_path / "clusterability.csv", rows, columns)
    for quantity, expected in (
        ("n-cut", [7, 8]),
        ("Q", [2.25, 3.25]),
        ("Q z layer", [-0.25] * 2),
        ("z layer", [-5] * 2),
    ):
        cell = reproduce.Cell("a", "pruned", 12, quantity, setting="eigenvalue_weight=0.05")
        np.testing.assert_allclose(values_of(cell, workdir), expected)


def test_settings_are_cut_down_to_the_table():
    made = reproduce.settings_for("ncut_k12", RunConfig(), ["pruned"])
    assert (made.train.num_seeds, made.cluster.num_clusters, made.cluster.phases) == (5, (12,), ("pruned",))
    assert made.lesion.num_shuffles == 0
    assert made.cluster.methods == ("layer", "layer_nonzero")
    assert (made.cluster.measures, made.cluster.num_shuffles) == (("ncut",), 200)
    other = reproduce.settings_for("factors", RunConfig(), ["pruned"]).cluster
    assert (other.measures, other.methods, other.num_shuffles) == (("ncut", "modularity"), ("layer",), 50)
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

    def run(path, config, table, donors):
        assert (config.cluster.curve_epochs, config.train.num_seeds) == ((5, 10, 15, 20), 5)
        workdir = create_workdir(path, config, "a command")
        points = [
            ("unpruned", 20, 2.45),
            ("pruned", 5, 2.2),
            ("pruned", 10, 2.05),
            ("pruned", 15, 2.0),
            ("pruned", 20, 2.5),
        ]
        rows = [
            {"seed": seed, "phase": phase, "epoch": epoch, "num_clusters": 4, "observed": ncut + 0.01 * (seed - 2)}
            for phase, epoch, ncut in points
            for seed in range(5)
        ]
        write_csv(workdir.path / "learning_curve.csv", rows, ("seed", "phase", "epoch", "num_clusters", "observed"))
        return workdir

    rows = reproduce.run_table("learning_curve", tmp_path, {"mnist": RunConfig()}, run)
    assert [(row["phase"], row["epoch"], row["paper_mean"]) for row in rows] == [
        ("unpruned", 20, 2.46), ("pruned", 5, 2.19), ("pruned", 10, 2.04), ("pruned", 15, 2.01), ("pruned", 20, 2.02),
    ]  # fmt: skip
    assert [row["verdict"] for row in rows] == ["agrees"] * 4 + ["differs"]
    std = np.std([-0.02, -0.01, 0, 0.01, 0.02], ddof=1)
    assert rows[0]["distance"] == pytest.approx(-0.01 / std)
    assert rows[0]["p_value"] == pytest.approx(2 * scipy.stats.t.cdf(-0.01 / std / 1.2**0.5, 4))


def lesion_run(path, config, table, donors):
    """Three seeds: seed s has s + 1 sub-modules more than the two important ones, and pairs of each kind."""
    assert (config.lesion.num_shuffles, config.lesion.conditional, table.stage) == (100, 0, "lesion")
    workdir = create_workdir(path, config, "a command")
    head = {"phase": "pruned", "num_clusters": 10, "layer": 1}
    singles = [
        head | {"seed": seed, "cluster": cluster, "accuracy": 0.9, "diff": -0.08 - 0.001 * seed, "taxonomy": word}
        for seed in range(3)
        for cluster, word in enumerate(["important"] * 2 + ["small"] * (seed + 1))
    ]
    doubles = [
        {"seed": seed, "phase": "pruned", "kind": "joint", "layer_a": 1, "cluster_a": a, "layer_b": 1, "cluster_b": b}
        | {"important": found}
        for seed in range(3)
        for a, b, found in ((0, 0, True), (0, 1, True), (0, 2, seed == 0), (2, 2, False))
    ]
    write_csv(workdir.path / "lesions.csv", singles, list(singles[0]))
    write_csv(workdir.path / "double_lesions.csv", doubles, list(doubles[0]))
    return workdir


def test_lesions_beside_one_published_network(tmp_path):
    rows = reproduce.run_table("lesions", tmp_path, {"mnist": RunConfig()}, lesion_run)
    found = {row["quantity"]: row for row in rows}
    assert {name: (row["paper_mean"], row["mean"]) for name, row in found.items()} == {
        "undamaged accuracy": (0.9845, pytest.approx(0.981)),
        "sub-modules": (24, 4),
        "important": (10, 2),
        "small": (7, 2),
        "joint pairs important, both": (1.0, 1.0),
        "joint pairs important, one": (0.85, pytest.approx(1 / 3)),
        "joint pairs important, neither": (0.0952, 0.0),
    }
    assert found["joint pairs important, both"]["verdict"] == "agrees; equal in every network"
    assert found["important"]["verdict"] == "differs; ours is the same in every network"
    # One published network: could it be one more of ours? t = (4 - 24) / (1 sqrt(1 + 1/3)) with 2 degrees of freedom.
    assert found["sub-modules"]["p_value"] == pytest.approx(2 * scipy.stats.t.cdf(-20 / (4 / 3) ** 0.5, 2))
    assert found["sub-modules"]["verdict"] == "differs"
    assert "24.0 (1)" in reproduce.table_text(rows)


def test_a_mixture_has_nothing_published_beside_it(tmp_path):
    known = {cell.config for cell in reproduce.cells("mixtures")}
    assert {"lines_mnist", "lines_mnist_separated_dropout", "mnist_cifar10_dropout"} <= known
    assert len(known) == 12
    values = {"lines_mnist": [2.0, 2.1]}
    rows = reproduce.run_table("mixtures", tmp_path, {"lines_mnist": RunConfig()}, fake_run(values))
    assert {row["verdict"] for row in rows} == {"nothing published to compare with"}
    assert find(rows, "lines_mnist", "pruned", "n-cut")["mean"] == pytest.approx(2.05)


def test_a_table_is_offered_the_networks_of_the_others(tmp_path):
    offered = []

    def run(path, config, table, donors):
        offered.extend(donors)
        return fake_run({"mnist": [8.9, 8.8]})(path, config, table, donors)

    reproduce.run_table("ncut_k12", tmp_path, {"mnist": RunConfig()}, run)
    others = [name for name in reproduce.TABLES if name != "ncut_k12"]
    assert offered == [tmp_path / name / "mnist" for name in others]


def test_unknown_names(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"table must be one of ncut_k4, .*, lesions, factors, penalty, specialisation, mixtures, got 'ncut'",
    ):
        reproduce.cells("ncut")
    with pytest.raises(
        ValueError, match="config must name one of mnist, mnist_dropout for the table ncut_k12, got lin"
    ):
        reproduce.run_table("ncut_k12", tmp_path, {"lines": RunConfig()}, fake_run({}))


def test_what_all_seeds_of_a_table_say(tmp_path):
    workdirs.make_workdir(tmp_path / "ncut_k4" / "mnist", num_seeds=3, sizes=(4,), num_shuffles=39, epochs=1)
    text = reproduce.across_text("ncut_k4", tmp_path, ["mnist", "lines"])
    first, second = text.splitlines()
    assert first.startswith(
        "mnist: Over 3 seeds together, the pruned networks at k = 4 are more modular than the same weights shuffled "
        "within each layer: combined p = "
    )
    assert "the same non-zero weights shuffled among their places" in second


def test_the_penaltys_table_runs_at_a_toy_size(tmp_path):
    """As `--table=penalty --quick` does, but for the launcher: a sweep's networks fill the cells of their setting."""
    write_idx(tmp_path / "data" / "mnist", sizes=(200, 60))

    def run(path, config, table, donors):
        workdir = create_workdir(path, config, "a command")
        train_stage(workdir)
        cluster_stage(workdir)
        return workdir

    quick = from_dict(mnist_7x7_penalty.get_config("quick").to_dict())
    config = dataclasses.replace(quick, data=dataclasses.replace(quick.data, dir=str(tmp_path / "data"), num_train=200))
    rows = reproduce.run_table("penalty", tmp_path / "out", {"mnist_7x7_penalty": config}, run)
    assert len(rows) == 3 * 2 * 5
    assert {row["seeds"] for row in rows if row["quantity"] != "z layer"} == {2}
    cuts = {row["setting"]: row["mean"] for row in rows if (row["phase"], row["quantity"]) == ("unpruned", "n-cut")}
    assert len(set(cuts.values())) == 3  # each weight of the penalty has its own networks
    text = reproduce.across_text("penalty", tmp_path / "out", ["mnist_7x7_penalty"])
    assert [line.partition(":")[0] for line in text.splitlines()][::2] == [
        f"mnist_7x7_penalty, eigenvalue_weight={weight}" for weight in ("0", "0.05", "0.1")
    ]
