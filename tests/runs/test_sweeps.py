import dataclasses
import re

import numpy as np
import pytest

from modularity_jax.report import write_report
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir

BASE = {
    "data": {"name": "digits", "num_train": 200},
    "model": {"widths": (64, 12, 10, 10)},
    "train": {"num_seeds": 2, "seed": 3, "epochs": 1, "seeds_per_group": 1},
    "prune": {"epochs": 1},
    "cluster": {"num_clusters": [3], "methods": ["layer"], "num_shuffles": 6, "num_restarts": 2, "curve_epochs": [1]},
    "lesion": {"num_clusters": 3, "num_shuffles": 3, "joint": 0, "conditional": 0},
}


def config_of(dropout_rate, final_sparsity):
    prune = {"epochs": 1, "final_sparsity": final_sparsity}
    return from_dict({**BASE, "model": {**BASE["model"], "dropout_rate": dropout_rate}, "prune": prune})


SWEEP = config_of((0, 0.5), [0.8, 0.9])


def test_networks_are_all_combinations_times_the_seeds():
    assert SWEEP.num_networks == 8
    assert SWEEP.swept == (("model.dropout_rate", (0.0, 0.5)), ("prune.final_sparsity", (0.8, 0.9)))
    assert SWEEP.network(3) == (1, (("model.dropout_rate", 0.0), ("prune.final_sparsity", 0.9)))
    assert SWEEP.alone(6) == config_of(0.5, 0.9)
    assert (SWEEP.model.dropout_rate, SWEEP.prune.final_sparsity) == (0.0, 0.8)


def test_config_json_has_the_tuples_as_they_were_given():
    values = SWEEP.to_dict()
    assert (values["model"]["dropout_rate"], values["prune"]["final_sparsity"]) == ((0.0, 0.5), (0.8, 0.9))
    assert from_dict(values) == SWEEP
    assert config_of(np.array([0, 0.5]), (0.8, 0.9, 0.8)) == SWEEP
    assert config_of((0.5,), 0.9) == config_of(0.5, 0.9)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("model", {"dropout_rate": ()}, "model.dropout_rate must hold at least one number, got none"),
        ("model", {"dropout_rate": (0, "high")}, "model.dropout_rate must be of type float, got 'high'"),
        ("model", {"dropout_rate": (0, 1.5)}, "model.dropout_rate must be at least 0 and below 1, got 1.5"),
        ("train", {"epochs": (1, 2)}, "train.epochs must be of type int, got (1, 2)"),
        (
            "prune",
            {"initial_sparsity": (0.5, 0.95)},
            "prune.final_sparsity must be at least 0.95 and below 1, got 0.9",
        ),
        (
            "train",
            {"num_seeds": 60_000, "l1_penalty": (0, 1e-5)},
            "networks, which are train.num_seeds times the swept settings, must be at most 100000, got 120000",
        ),
    ],
)
def test_what_cannot_be_swept(section, values, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_dict({section: values})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep that was run whole."""
    workdir = create_workdir(tmp_path_factory.mktemp("sweep") / "run", SWEEP, "a command")
    for stage in (train_stage, cluster_stage, lesion_stage):
        stage(workdir)
    return workdir


def test_every_table_has_the_swept_settings(made):
    for name in ("metrics.csv", "learning_curve.csv", "clusterability.csv", "lesions.csv"):
        rows = read_csv(made.path / name)
        assert [*rows[0]][:3] == ["seed", "dropout_rate", "final_sparsity"]
        found = {row["seed"]: (row["dropout_rate"], row["final_sparsity"]) for row in rows}
        assert found == dict(enumerate([(rate, share) for rate in (0, 0.5) for share in (0.8, 0.9) for _ in range(2)]))
    phases = {(row["seed"], row["phase"], row["sparsity"] > 0.85) for row in read_csv(made.path / "metrics.csv")}
    assert {seed for seed, phase, is_sparse in phases if phase == "pruned" and is_sparse} == {2, 3, 6, 7}


@pytest.mark.bits
def test_a_run_with_one_of_the_settings_has_the_same_networks_and_tests(made, tmp_path):
    alone = create_workdir(tmp_path / "run", SWEEP.alone(6), "a command")
    for stage in (train_stage, cluster_stage, lesion_stage):
        stage(alone)
    for phase in SWEEP.phases:
        for name, array in read_arrays(alone.path, f"weights/{phase}.npz").items():
            seed, _, rest = name.partition("/")
            number = 6 + int(seed.removeprefix("seed_"))
            np.testing.assert_array_equal(
                read_arrays(made.path, f"weights/{phase}.npz")[f"seed_{number}/{rest}"], array
            )
    for name in ("clusterability.csv", "lesions.csv"):
        theirs = [row for row in read_csv(made.path / name) if row["seed"] >= 6]
        ours = read_csv(alone.path / name)
        swept = {"dropout_rate": 0.5, "final_sparsity": 0.9}
        assert theirs == [row | swept | {"seed": row["seed"] + 6} for row in ours]


def test_a_sweep_takes_over_the_networks_of_another(made, tmp_path, monkeypatch):
    """As a run with a new setting beside those that there are does: what is new alone is trained."""
    from modularity_jax.runs.stages import train

    more = dataclasses.replace(SWEEP, swept=(("model.dropout_rate", (0.0, 0.2, 0.5)), SWEEP.swept[1]))
    workdir = create_workdir(tmp_path / "run", from_dict(more.to_dict()), "a command")
    (tmp_path / "run" / "pieces").symlink_to(made.path / "pieces")
    trained, whole = [], train.train_seeds
    monkeypatch.setattr(
        train, "train_seeds", lambda *given, **named: trained.append(named["networks"]) or whole(*given, **named)
    )
    train_stage(workdir)
    assert {dict(network.own)["model.dropout_rate"] for networks in trained for network in networks} == {0.2}
    assert [row["seed"] for row in read_csv(workdir.path / "metrics.csv") if row["phase"] == "init"] == [*range(12)]


def test_the_report_says_what_moves_modularity(made):
    text = " ".join(re.sub(r"<[^>]+>", " ", write_report(made.path).read_text(encoding="utf-8")).split())
    assert "What moves modularity?" in text
    assert "dropout_rate from 0 to 0.5: " in text
    assert "final_sparsity from 0.8 to 0.9: " in text
    assert "the networks with dropout_rate 0, final_sparsity 0.8;" in text
    assert not re.search(r"\bnan\b", text)
    rows = read_csv(made.path / "across_seeds.csv")
    assert [*rows[0]][:2] == ["dropout_rate", "final_sparsity"]
    assert len(rows) == 4 * 3
    assert {row["num_seeds"] for row in rows} == {2}
    assert (made.path / "figures" / "sweep.png").stat().st_size > 10_000
