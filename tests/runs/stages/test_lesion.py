import dataclasses
import shutil

import jax
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax import data
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages import lesion as lesions
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv, read_json
from modularity_jax.runs.workdir import create_workdir
from tests.runs.stages.test_stages import content, lose_pieces, lose_results

CONFIG = from_dict(
    {
        "data": {"name": "digits", "num_train": 300},
        "model": {"widths": (64, 30, 24, 10)},
        "train": {"num_seeds": 2, "seed": 3, "epochs": 3, "seeds_per_group": 2},
        "prune": {"epochs": 1},
        "cluster": {"num_clusters": [3], "methods": ["layer"], "num_shuffles": 2, "num_restarts": 2},
        "lesion": {"num_clusters": 3, "num_shuffles": 9, "joint": 4, "conditional": 3, "samples_per_batch": 100},
    }
)
LESIONS = (
    "seed,phase,num_clusters,layer,cluster,num_units,share,accuracy,diff,control_mean,control_std,z_score,p_value,"
    "p_adjusted,taxonomy,taxonomy_adjusted,p_strict,num_shuffles," + ",".join(f"accuracy_{c}" for c in range(10))
)
DOUBLE_LESIONS = (
    "seed,phase,num_clusters,kind,layer_a,cluster_a,layer_b,cluster_b,accuracy,diff,score,p_value,p_adjusted,important,"
    "important_adjusted,control_mean,control_std,z_score,num_shuffles"
)
NAMES = ("lesions.csv", "double_lesions.csv")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    made = create_workdir(tmp_path_factory.mktemp("run") / "a", CONFIG, "a command")
    train_stage(made)
    lesions.lesion_stage(made)
    return made


@pytest.fixture
def copy(workdir, tmp_path):
    """A copy of the finished run to meddle with."""
    shutil.copytree(workdir.path, tmp_path / "copy")
    return dataclasses.replace(workdir, path=tmp_path / "copy")


def with_lesion(workdir, **changes):
    lesion = dataclasses.replace(CONFIG.lesion, **changes)
    return dataclasses.replace(workdir, config=dataclasses.replace(CONFIG, lesion=lesion))


def as_read(values):
    return [None if np.isnan(v) else pytest.approx(float(v), rel=1e-6, abs=1e-9) for v in values]


def expected_tests(workdir, seed):
    """The three tests of one network, from the exported weights and labels."""
    arrays = read_arrays(workdir.path, "weights/pruned.npz", f"seed_{seed}/")
    params = {
        f"layer_{i:02d}": {p: arrays[f"seed_{seed}/layer_{i:02d}/{p}"] for p in ("kernel", "bias")} for i in range(3)
    }
    labels = read_arrays(workdir.path, "clusters/pruned.npz")[f"seed_{seed}/weights/ncut/k_3/labels"]
    digits = data.load("digits")
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 2**32 - 1), seed)
    keys = jax.random.split(jax.random.fold_in(key, 2**32 - 2), 3)
    given = (params, labels, digits.x_test, digits.y_test)
    return {
        "single": mj.lesion_test(*given, keys[0], num_clusters=3, num_shuffles=9),
        "joint": mj.double_lesion_test(*given, keys[1], kind="joint", num_clusters=3, num_shuffles=4),
        "conditional": mj.double_lesion_test(*given, keys[2], kind="conditional", num_clusters=3, num_shuffles=3),
    }


def test_tables_equal_the_tests_on_the_exported_weights(workdir):
    assert (workdir.path / "lesions.csv").read_text().splitlines()[0] == LESIONS
    assert (workdir.path / "double_lesions.csv").read_text().splitlines()[0] == DOUBLE_LESIONS
    singles, doubles = read_csv(workdir.path / "lesions.csv"), read_csv(workdir.path / "double_lesions.csv")
    arrays = read_arrays(workdir.path, "lesions/pruned.npz")
    for seed in (0, 1):
        tests = expected_tests(workdir, seed)
        single = tests["single"]
        rows = [row for row in singles if row["seed"] == seed]
        assert {row["phase"] for row in rows} == {"pruned"}
        for name in ("accuracy", "diff", "control_mean", "control_std", "z_score", "p_value", "p_adjusted"):
            assert [row[name] for row in rows] == as_read(getattr(single, name)), name
        for name in ("layer", "cluster", "num_units", "share"):
            assert [row[name] for row in rows] == as_read(getattr(single.submodules, name)), name
        assert [row["taxonomy"] for row in rows] == list(single.taxonomy)
        assert [row["taxonomy_adjusted"] for row in rows] == list(single.taxonomy_adjusted)
        assert [[row[f"accuracy_{c}"] for c in range(10)] for row in rows] == [*map(as_read, single.accuracy_by_class)]
        assert {row["num_shuffles"] for row in rows} == {9}
        np.testing.assert_allclose(arrays[f"seed_{seed}/k_3/single/control_accuracy"], single.control_accuracy)
        np.testing.assert_allclose(arrays[f"seed_{seed}/k_3/single/undamaged"], single.undamaged)
        for kind in ("joint", "conditional"):
            rows = [row for row in doubles if (row["seed"], row["kind"]) == (seed, kind)]
            test = tests[kind]
            for name in ("accuracy", "diff", "score", "z_score", "p_value", "p_adjusted", "control_mean"):
                assert [row[name] for row in rows] == as_read(getattr(test, name)), name
            assert [row["important"] for row in rows] == test.important.tolist()
            for side, number in (("a", test.first), ("b", test.second)):
                assert [row[f"layer_{side}"] for row in rows] == test.submodules.layer[number].tolist()
                assert [row[f"cluster_{side}"] for row in rows] == test.submodules.cluster[number].tolist()


def test_undamaged_accuracy_is_that_of_training(workdir):
    last = {(row["phase"], row["seed"]): row["test_accuracy"] for row in read_csv(workdir.path / "metrics.csv")}
    for row in read_csv(workdir.path / "lesions.csv"):
        assert row["accuracy"] - row["diff"] == pytest.approx(last["pruned", row["seed"]], abs=1e-6)


def test_labels_are_those_of_the_clustering_stage(workdir, copy):
    before = read_arrays(workdir.path, "clusters/pruned.npz")
    assert set(before) == {f"seed_{seed}/weights/ncut/k_3/labels" for seed in (0, 1)}
    cluster_stage(copy)
    after = read_arrays(copy.path, "clusters/pruned.npz")
    for name, labels in before.items():
        np.testing.assert_array_equal(after[name], labels)


def test_a_second_run_computes_nothing(workdir, monkeypatch):
    monkeypatch.setattr(lesions, "lesion_test", None)
    before = {name: (workdir.path / name).stat().st_mtime_ns for name in NAMES}
    lesions.lesion_stage(workdir)
    assert {name: (workdir.path / name).stat().st_mtime_ns for name in NAMES} == before
    assert set(read_json(workdir.path, "versions.json")["stage_seconds"]) == {"train", "lesion"}


@pytest.mark.parametrize("keep", [0, 3, 6], ids=["nothing", "some tests", "all tests"])
def test_an_interrupted_run_goes_on_to_the_same_files(workdir, copy, keep):
    lose_results(copy, "lesion")
    lose_pieces(copy, "lesions-*", keep=keep)
    lesions.lesion_stage(copy, seed_mesh())
    assert content(copy.path) == content(workdir.path)


def test_what_the_config_leaves_out(copy):
    for name in NAMES:
        (copy.path / name).unlink()
    lesions.lesion_stage(with_lesion(copy, num_shuffles=0))
    assert not (copy.path / "lesions.csv").exists()
    lesions.lesion_stage(with_lesion(copy, joint=0, num_shuffles=3))
    assert {row["kind"] for row in read_csv(copy.path / "double_lesions.csv")} == {"conditional"}
    assert {row["num_shuffles"] for row in read_csv(copy.path / "lesions.csv")} == {3}


def test_too_many_clusters_leave_out_the_lesions(copy, caplog):
    for name in NAMES:
        (copy.path / name).unlink()
    lesions.lesion_stage(with_lesion(copy, num_clusters=129))
    assert not (copy.path / "lesions.csv").exists()
    assert [(row["seed"], row["num_clusters"]) for row in read_csv(copy.path / "left_out.csv")] == [(0, 129), (1, 129)]
    assert "could not be damaged at k = 129: num_clusters must be at most the number of connected" in caplog.text


def test_a_network_that_cannot_be_tested_leaves_the_others(workdir, copy, monkeypatch, caplog):
    """Its labels put each hidden layer into one module; once noted, it is not tried again."""
    lose_results(copy, "lesion")
    lose_pieces(copy, "lesions-*")
    kept = lesions.kept_clustering

    def one_module_a_layer(store, network, *rest):
        found = kept(store, network, *rest)
        labels = np.repeat([0, 1, 2, 0], (64, 30, 24, 10))
        return found._replace(labels=labels) if network.seed == 0 else found

    monkeypatch.setattr(lesions, "kept_clustering", one_module_a_layer)
    lesions.lesion_stage(copy)
    for name in NAMES:
        assert read_csv(copy.path / name) == [row for row in read_csv(workdir.path / name) if row["seed"] == 1]
    reason = "labels must put at least 2 clusters into some hidden layer, got 1 in each of them"
    expected = [
        {"stage": "lesion", "phase": "pruned", "seed": 0, "graph": "weights", "num_clusters": 3, "reason": reason}
    ]
    assert read_csv(copy.path / "left_out.csv") == expected
    assert f"The pruned network of seed 0 could not be damaged at k = 3: {reason}." in caplog.text
    monkeypatch.setattr(lesions, "load_samples", None)
    lesions.lesion_stage(copy)


def test_a_network_without_hidden_layers_has_no_lesions(tmp_path, caplog):
    config = dataclasses.replace(
        CONFIG,
        model=dataclasses.replace(CONFIG.model, widths=(64, 10)),
        train=dataclasses.replace(CONFIG.train, epochs=0, num_seeds=1),
    )
    made = create_workdir(tmp_path / "flat", config, "a command")
    train_stage(made)
    lesions.lesion_stage(made)
    assert not (made.path / "lesions.csv").exists()
    assert "could not be damaged at k = 3: there is no hidden layer whose neurons could be damaged" in caplog.text


def test_lesions_without_networks_name_the_command(tmp_path):
    empty = create_workdir(tmp_path / "empty", CONFIG, "a command")
    message = rf"no metrics.csv; run `python -m experiments.train --workdir={empty.path}`"
    with pytest.raises(FileNotFoundError, match=message):
        lesions.lesion_stage(empty)
