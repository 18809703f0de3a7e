"""One of each kind from outside the package: each is found in the tables and the report of a run."""

import re

import jax
import numpy as np
import pytest

import modularity_jax as mj
from experiments import papers
from modularity_jax.nets.models import apply
from modularity_jax.report import write_report
from modularity_jax.report.figures import FIGURES
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.inputs import load_params, load_samples
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.metric import nets
from tests.plugs.graph import squares
from tests.plugs.model import ARCHITECTURE

RECIPE = "tests.plugs.recipe.RECIPE"
MEASURE, METHOD, GRAPH = "tests.plugs.measure.MEASURE", "tests.plugs.control.METHOD", "tests.plugs.graph.squares"
SETTINGS = {
    "data": {"name": "digits", "num_train": 300},
    "model": {"widths": [64, 12, 10], "name": "tests.plugs.model.ARCHITECTURE"},
    "train": {
        "num_seeds": 2,
        "epochs": 3,
        "batch_size": 16,
        "recipe": "tests.plugs.recipe.RECIPE",
        "learning_rate": 0.5,
    },
    "cluster": {
        "graphs": ["weights", GRAPH],
        "measures": ["ncut", MEASURE],
        "num_clusters": [3],
        "methods": ["layer", METHOD],
        "num_shuffles": 19,
        "num_restarts": 2,
        "curve_epochs": [1],
    },
}
SHAPE = {"num_clusters": 3, "num_restarts": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = create_workdir(tmp_path_factory.mktemp("plugs") / "run", from_dict(SETTINGS), "a command")
    for stage in (train_stage, cluster_stage, lesion_stage):
        stage(workdir)
    return workdir


def test_each_stands_in_the_tables(run):
    rows = read_csv(run.path / "clusterability.csv")
    places = {(row["phase"], row["graph"], row["measure"], row["method"]) for row in rows}
    assert len(rows) == 2 * len(places) == 2 * 16
    phases, graphs, measures, methods = map(set, zip(*places, strict=True))
    assert (phases, graphs) == ({"init", "descended"}, {"weights", GRAPH})
    assert (measures, methods) == ({"ncut", MEASURE}, {"layer", METHOD})
    assert {row["phase"] for row in read_csv(run.path / "metrics.csv")} == {"init", "descended"}
    curve = read_csv(run.path / "learning_curve.csv")
    assert {(row["phase"], row["epoch"]) for row in curve} == {("init", 0), ("descended", 1), ("descended", 3)}
    assert {(row["graph"], row["measure"]) for row in curve} == {(g, m) for g in graphs for m in measures}


def test_the_architecture_and_the_recipe_are_what_was_trained(run):
    samples = load_samples(run.config)
    last = [row for row in read_csv(run.path / "metrics.csv") if row["epoch"] == 3]
    for row, params in zip(last, load_params(run, "descended"), strict=True):
        assert set(params) == {"bypass", "first", "second"}
        logits = apply(ARCHITECTURE.module(run.config.model), params, samples.x_test)
        hits = np.asarray(logits).argmax(axis=1) == np.asarray(samples.y_test)
        assert row["test_accuracy"] == pytest.approx(hits.mean(), abs=1e-6)
        assert row["test_accuracy"] > 0.5
        assert row["sparsity"] == 0
        assert np.abs(params["bypass"]).max() > 0


def test_the_measure_and_the_graph_are_what_was_measured(run):
    arrays = read_arrays(run.path, "clusters/descended.npz")
    for seed, params in enumerate(load_params(run, "descended")):
        for name, graph in (("weights", ARCHITECTURE.graph(params)), (GRAPH, squares(ARCHITECTURE, params))):
            labels = arrays[f"seed_{seed}/{name}/{MEASURE}/k_3/labels"]
            dense = nets.dense(graph)
            inside = sum(dense[np.ix_(labels == c, labels == c)].sum() for c in range(3))
            rows = [
                r for r in read_csv(run.path / "clusterability.csv") if r["phase"] == "descended" and r["seed"] == seed
            ]
            row, _ = [r for r in rows if (r["graph"], r["measure"]) == (name, MEASURE)]
            assert row["observed"] == pytest.approx(inside / dense.sum(), rel=1e-5)
            assert row["bound"] is None
            controls = arrays[f"seed_{seed}/{name}/{MEASURE}/k_3/layer/controls"]
            at_least = (controls >= row["observed"] * (1 - 1e-6)).sum()  # higher is more modular
            assert row["p_value"] == pytest.approx((1 + at_least) / 20)
            assert (row["effect_size"] > 0) == (row["observed"] > np.median(controls))


def test_a_measure_chooses_the_partition_that_it_finds_best():
    net = nets.random_net(0, (12, 10, 8), 0.5)
    found = mj.cluster(net, jax.random.key(3), measure=MEASURE, **SHAPE | {"num_restarts": 20})
    cut = mj.cluster(net, jax.random.key(3), **SHAPE | {"num_restarts": 20})
    assert float(cut.ncut) <= float(found.ncut) * (1 + 1e-6)
    assert float(cut.value) == float(cut.ncut)
    assert float(found.ncut) == pytest.approx(float(mj.ncut(net, found.labels, num_clusters=3)), rel=1e-5)


def test_each_stands_in_the_report(run, monkeypatch):
    monkeypatch.setitem(FIGURES, "training", (*FIGURES["training"], "tests.plugs.figure"))
    page = write_report(run.path).read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))
    for name in (MEASURE, METHOD, GRAPH, "descended", "Accuracy by phase, from outside."):
        assert name in text
    assert f"By {MEASURE}: " in text
    assert f"In the graph {GRAPH}: " in text
    assert "cannot be silenced" in text


def test_a_table_of_a_paper(tmp_path):
    def run(path, config, table, donors):
        workdir = create_workdir(path, config, "a command")
        train_stage(workdir)
        cluster_stage(workdir)
        return workdir

    small = {"data": SETTINGS["data"], "model": {"widths": [64, 12, 10]}, "train": {"num_seeds": 2, "epochs": 1}}
    config = from_dict(small | {"prune": {"epochs": 1}, "cluster": {"num_shuffles": 4, "num_restarts": 2}})
    (row,) = papers.run_table("tests.plugs.table.TABLE", tmp_path, {"digits": config}, run)
    assert (row["paper_mean"], row["source"], row["seeds"]) == (1.5, "a paper of one's own", 2)
    found = [r["observed"] for r in read_csv(tmp_path / "tests.plugs.table.TABLE" / "digits" / "clusterability.csv")]
    assert row["mean"] == pytest.approx(np.mean(found))
    assert (tmp_path / "tests.plugs.table.TABLE.csv").exists()


@pytest.mark.parametrize(
    ("section", "setting", "value"),
    [
        ("model", "name", "transformer"),
        ("train", "recipe", "tests.plugs.recipe.NOTHING"),
        ("cluster", "graphs", ["tests.nowhere.graph"]),
        ("cluster", "measures", ["modular"]),
        ("cluster", "methods", ["tests.plugs.control.nothing"]),
        ("cluster", "phases", ["trained"]),
    ],
)
def test_what_is_nowhere_is_named_before_anything_runs(section, setting, value):
    with pytest.raises(ValueError, match=rf"^{section}\.{setting} must be one of .*, got '"):
        from_dict({section: {setting: value}})
