"""The specialisation stage: its tables against the library's own functions, going on, what is left out, the report."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax import data
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models import apply_recorded
from modularity_jax.report import write_report
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.feasibility import check_feasible
from modularity_jax.runs.stages import specialise
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.runs.stages.test_stages import content

K, SHUFFLES, WIDTHS = 4, 19, (64, 30, 24, 10)
SETTINGS = {
    "data": {"name": "digits", "num_train": 300},
    "model": {"widths": WIDTHS},
    "train": {"num_seeds": 2, "seed": 3, "epochs": 3, "seeds_per_group": 2},
    "prune": {"epochs": 0},
    "cluster": {
        "num_clusters": [3], "methods": ["layer", "edges", "samples"], "graphs": ["weights", "activations"],
        "num_shuffles": 2, "num_restarts": 2, "phases": ["unpruned"],
    },
    "lesion": {"num_shuffles": 0, "samples_per_batch": 100},
    "activations": {"num_samples": 200},
    "specialisation": {
        "phases": ["unpruned"], "num_clusters": K, "num_shuffles": SHUFFLES, "first_shuffles": 9, "num_samples": 150,
        "num_top": 20,
    },
}  # fmt: skip
CONFIG = from_dict(SETTINGS)
PLACES = [(graph, scope) for graph in ("weights", "activations") for scope in ("global", "local")]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    made = create_workdir(tmp_path_factory.mktemp("run") / "a", CONFIG, "a command")
    train_stage(made)
    cluster_stage(made)
    specialise.specialise_stage(made)
    return made


def params_of(workdir, seed):
    arrays = read_arrays(workdir.path, "weights/unpruned.npz", f"seed_{seed}/")
    return {
        f"layer_{i:02d}": {p: arrays[f"seed_{seed}/layer_{i:02d}/{p}"] for p in ("kernel", "bias")} for i in range(3)
    }


def labels_of(workdir, seed, graph, scope):
    return read_arrays(workdir.path, "specialisation/unpruned.npz")[f"seed_{seed}/{graph}/{scope}/labels"]


def test_tables_have_a_row_for_each_partitioning(workdir):
    layers, modules, networks = (
        read_csv(workdir.path / name) for name in ("partitionings.csv", "submodules.csv", "specialisation.csv")
    )
    asked = [(seed, *place) for seed in (0, 1) for place in PLACES]
    assert [(r["seed"], r["graph"], r["scope"], r["layer"]) for r in layers] == [(*a, n) for a in asked for n in (1, 2)]
    statistics = [(n, s) for n in (9, 19) for s in ("importance", "coherence", "input_coherence")]
    found = [(r["seed"], r["graph"], r["scope"], r["num_shuffles"], r["statistic"]) for r in networks]
    assert found == [(*a, *s) for a in asked for s in statistics]
    for seed, graph, scope in asked:
        labels = np.split(labels_of(workdir, seed, graph, scope), np.cumsum(WIDTHS)[:-1])
        own = [r for r in layers if (r["seed"], r["graph"], r["scope"]) == (seed, graph, scope)]
        mine = [r for r in modules if (r["seed"], r["graph"], r["scope"]) == (seed, graph, scope)]
        for row, hidden in zip(own, labels[1:3], strict=True):
            present, sizes = np.unique(hidden[hidden >= 0], return_counts=True)
            assert (row["num_clusters"], row["num_units"]) == (len(present), sizes.sum())
            assert row[f"ari_{graph}_{scope}"] in (1, None)  # of one cluster there is none
            assert [r["num_units"] for r in mine if r["layer"] == row["layer"]] == list(sizes)


def test_a_layer_alone_has_as_many_clusters_as_labels_of_all(workdir):
    for seed in (0, 1):
        for graph in ("weights", "activations"):
            whole, local = (
                np.split(labels_of(workdir, seed, graph, scope), np.cumsum(WIDTHS)[:-1])[1:3]
                for scope in ("global", "local")
            )
            for a, b in zip(whole, local, strict=True):
                assert len(set(b[b >= 0])) <= len(set(a[a >= 0]))
                if graph == "activations":  # where the layer is all there is
                    assert len(set(b[b >= 0])) == len(set(a[a >= 0]))


def test_the_tests_are_the_librarys(workdir):
    digits = data.load("digits", num_train=300)
    rows = {
        (r["graph"], r["scope"], r["statistic"], r["num_shuffles"]): r
        for r in read_csv(workdir.path / "specialisation.csv")
        if r["seed"] == 1
    }
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 2**32 - 1), 1)
    params = params_of(workdir, 1)
    for graph, scope in PLACES[1:3]:
        labels = labels_of(workdir, 1, graph, scope)
        own_key = jax.random.fold_in(key, 2**32 - 5)
        test = mj.lesion_test(
            params, labels, digits.x_test[:150], digits.y_test[:150], own_key, num_clusters=K, num_shuffles=SHUFFLES
        )
        for count in (9, 19):
            found = mj.specialisation(test, num_shuffles=count)
            for name in ("importance", "coherence"):
                row, own = rows[graph, scope, name, count], getattr(found, name)
                for column in ("p_network", "p_max_t", "p_fisher", "median_effect"):
                    value = getattr(own, column)
                    assert row[column] == (None if np.isnan(value) else pytest.approx(value, rel=1e-5))
                assert (row["num_tested"], row["num_na"]) == (own.num_tested, own.num_na)


def test_graphs_of_activations_are_those_of_the_drawn_samples(workdir):
    digits, order = data.load("digits", num_train=300), np.random.default_rng([3, 2**32 - 3]).permutation(300)[:200]
    run = apply_recorded(ModelConfig(widths=WIDTHS), before=True)
    graph = mj.activation_graph([np.asarray(own) for own in run(params_of(workdir, 0), digits.x_train[order])])
    labels = labels_of(workdir, 0, "activations", "global")
    assert (labels[:64] == -1).all()
    assert (labels[-10:] == -1).all()
    row = next(r for r in read_csv(workdir.path / "partitionings.csv") if (r["seed"], r["graph"]) == (0, "activations"))
    assert row["ncut"] == pytest.approx(float(mj.ncut(graph, labels[64:-10], num_clusters=K)), rel=1e-4)
    methods = [(r["graph"], r["method"]) for r in read_csv(workdir.path / "clusterability.csv") if r["seed"] == 0]
    assert methods == [("weights", "layer"), ("weights", "edges"), ("activations", "edges"), ("activations", "samples")]


def test_what_is_in_the_store_is_not_computed_again(workdir, tmp_path, monkeypatch):
    before = content(workdir.path)
    monkeypatch.setattr(specialise, "lesion_test", None)
    (workdir.path / "specialisation.csv").unlink()
    specialise.specialise_stage(workdir)
    assert content(workdir.path) == before


def test_a_network_that_cannot_be_tested_is_left_out(workdir, tmp_path, monkeypatch):
    config = dataclasses.replace(workdir.config, specialisation=dataclasses.replace(CONFIG.specialisation, num_top=19))
    copy = create_workdir(shutil.copytree(workdir.path, tmp_path / "b"), workdir.config, "a command")
    copy = dataclasses.replace(copy, config=config)
    (copy.path / "specialisation.csv").unlink()
    test = specialise.lesion_test

    def fails(params, *rest, **how):
        if (params["layer_00"]["kernel"] == params_of(workdir, 1)["layer_00"]["kernel"]).all():
            raise ValueError("labels must have a live unit in every hidden layer, got none in layer 2")
        return test(params, *rest, **how)

    monkeypatch.setattr(specialise, "lesion_test", fails)
    specialise.specialise_stage(copy)
    assert {row["seed"] for row in read_csv(copy.path / "specialisation.csv")} == {0}
    noted = read_csv(copy.path / "left_out.csv")
    assert {(row["stage"], row["seed"], row["graph"]) for row in noted} == {
        ("specialise", 1, "weights"),
        ("specialise", 1, "activations"),
    }
    assert all("a live unit in every hidden layer" in row["reason"] for row in noted)
    monkeypatch.setattr(specialise, "lesion_test", None)  # and the run is done
    specialise.specialise_stage(copy)


def test_what_is_not_asked_for_reads_nothing(workdir, monkeypatch):
    monkeypatch.setattr(specialise, "load_samples", None)
    for changes in ({"num_shuffles": 0}, {"phases": ("pruned",)}):
        specialise.specialise_stage(dataclasses.replace(workdir, config=with_section("specialisation", **changes)))


def test_the_report_answers_in_words(workdir):
    text = write_report(workdir.path).read_text()
    assert "Do modules matter, and are they coherent?" in text
    assert "Modules by activations, local: important beyond" in text
    for name in ("specialisation", "partitionings"):
        assert (workdir.path / f"figures/{name}.png").stat().st_size > 5000


def with_section(section, **changes):
    return dataclasses.replace(CONFIG, **{section: dataclasses.replace(getattr(CONFIG, section), **changes)})


def test_what_cannot_be_had_is_refused():
    with pytest.raises(ValueError, match=r"must be at most 54, the hidden neurons of model\.widths, got 55"):
        check_feasible(with_section("specialisation", num_clusters=55))
    with pytest.raises(ValueError, match=r"must have one of .*samples.* for the graph activations, got"):
        check_feasible(with_section("cluster", methods=("layer",)))
    (told,) = check_feasible(with_section("specialisation", phases=("pruned",)))
    assert told.startswith("specialisation.phases names no phase of this run, got pruned, so nothing is damaged; ")
    for name, value, text in (
        ("scopes", ("near",), "specialisation.scopes must be"),
        ("graphs", ("weight",), "specialisation.graphs"),
        ("num_top", 0, "specialisation.num_top must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=text):
            with_section("specialisation", **{name: value})
    with pytest.raises(ValueError, match=r"activations\.split must be"):
        with_section("activations", split="all")
