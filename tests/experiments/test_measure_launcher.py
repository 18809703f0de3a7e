"""Networks that people have are measured as a run's own: its numbers, its files, a report without training."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.report import write_report
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.given import give, read
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.experiments.test_launchers import REPOSITORY, environment
from tests.runs.test_given import SKIP, recurrent

CLUSTER = {"num_clusters": [3], "methods": ["layer"], "num_shuffles": 9, "num_restarts": 2}
LESION = {"num_clusters": 3, "num_shuffles": 9, "joint": 0, "conditional": 0}
SETTINGS = {
    "data": {"name": "digits", "num_train": 200},
    "model": {"widths": [64, 12, 10]},
    "train": {"num_seeds": 2, "epochs": 1},
    "prune": {"epochs": 1},
    "cluster": CLUSTER | {"phases": ["pruned"]},
    "lesion": LESION,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = create_workdir(tmp_path_factory.mktemp("measure") / "run", from_dict(SETTINGS), "a command")
    train_stage(workdir)
    cluster_stage(workdir)
    return workdir


@pytest.fixture(scope="module")
def measured(trained):
    found = read([trained.path / "weights/pruned.npz"])
    config = found.config(from_dict({"cluster": CLUSTER}).cluster, 0)
    workdir = create_workdir(trained.path.parent / "measured", config, "a command")
    give(workdir, found)
    cluster_stage(workdir)
    return workdir


def test_a_runs_weights_give_its_numbers(trained, measured):
    tables = [read_csv(workdir.path / "clusterability.csv") for workdir in (trained, measured)]
    own = [{name: v for name, v in row.items() if name not in ("phase", "test_accuracy")} for row in tables[0]]
    assert own == [{name: v for name, v in row.items() if name not in ("phase", "test_accuracy")} for row in tables[1]]
    assert {(row["phase"], row["test_accuracy"]) for row in tables[1]} == {("given", None)}
    arrays = [read_arrays(w.path, f"clusters/{p}.npz") for w, p in ((trained, "pruned"), (measured, "given"))]
    assert list(arrays[0]) == list(arrays[1])
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(arrays[1][name], array)


def test_lesions_of_a_runs_weights_give_its_numbers(trained):
    found = read([trained.path / "weights/pruned.npz"], perceptrons=True)
    config = from_dict({"data": SETTINGS["data"], "cluster": CLUSTER, "lesion": LESION | {"phases": "last"}})
    own = found.config(config.cluster, 0, config.data, dataclasses.replace(config.lesion, phases=("last",)))
    workdir = create_workdir(trained.path.parent / "damaged", own, "a command")
    give(workdir, found)
    lesion_stage(trained)
    lesion_stage(workdir)
    tables = [read_csv(path / "lesions.csv") for path in (trained.path, workdir.path)]
    assert {row["phase"] for row in tables[1]} == {"given"}
    assert tables[0] == [row | {"phase": "pruned"} for row in tables[1]]
    assert {row["seed"] for row in tables[0]} == {0, 1}


def test_it_is_reported_as_a_run_is_without_training(measured):
    page = write_report(measured.path).read_text(encoding="utf-8")
    assert not (measured.path / "metrics.csv").exists()
    for name in ("across_seeds.csv", "audit.csv", "figures/network_k3.png", "figures/controls.png"):
        assert (measured.path / name).is_file()
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))
    assert "pruned.npz" in text
    assert "test accuracy" not in text
    assert "of the weights pruned" not in text


def test_a_workdir_belongs_to_its_networks(measured, trained):
    found = read([trained.path / "weights/pruned.npz"])
    other = found._replace(params=found.params[::-1]).config(measured.config.cluster, 0)
    with pytest.raises(ValueError, match=r"measured holds a run with another config .*: model\.weights: "):
        create_workdir(measured.path, other, "a command")
    assert create_workdir(measured.path, found.config(measured.config.cluster, 0), "a command") == measured


def test_a_recurrent_network_is_clustered_and_reported(tmp_path):
    np.savez(tmp_path / "net.npz", **recurrent())
    (tmp_path / "wiring.json").write_text(json.dumps(SKIP))
    found = read([tmp_path / "net.npz"], wiring=tmp_path / "wiring.json")
    workdir = create_workdir(tmp_path / "run", found.config(from_dict({"cluster": CLUSTER}).cluster, 0), "a command")
    give(workdir, found)
    cluster_stage(workdir)
    write_report(workdir.path)
    (row,) = read_csv(workdir.path / "clusterability.csv")
    (labels,) = [a for n, a in read_arrays(workdir.path, "clusters/given.npz").items() if n.endswith("/labels")]
    assert row["observed"] == pytest.approx(float(mj.ncut(found.graph, labels, num_clusters=3)), rel=1e-5)
    assert not list((workdir.path / "figures").glob("network*"))


def test_the_launcher_from_end_to_end(trained, measured):
    path = trained.path.parent / "launched"
    command = [sys.executable, "-m", "experiments.measure", f"--network={trained.path / 'weights/pruned.npz'}"]
    command += [f"--workdir={path}", "--config.cluster.measures=ncut", "--config.cluster.methods=layer"]
    command += ["--config.cluster.num_clusters=3", "--config.cluster.num_shuffles=9", "--config.cluster.num_restarts=2"]
    command += ["--config.cluster.selection=inertia", "--config.cluster.refine=False"]
    where = {"cwd": REPOSITORY, "env": environment(path.parent), "capture_output": True, "text": True, "timeout": 300}
    first = subprocess.run(command, **where)
    assert first.returncode == 0, first.stderr
    assert re.search(r"the inputs -> layer_00 +64 x 12, +\d+% zeros", first.stdout)
    assert first.stdout.endswith(f"\nReport: {path / 'report.html'}\n")
    assert len(read_csv(path / "clusterability.csv")) == 2
    for row, other in zip(*(read_csv(p / "clusterability.csv") for p in (path, measured.path)), strict=True):
        assert row["observed"] == pytest.approx(other["observed"], rel=1e-5)
        assert row["shuffled_mean"] == pytest.approx(other["shuffled_mean"], rel=1e-5)
    second = subprocess.run(command, **where)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert "holds its clusterings already" in second.stderr
