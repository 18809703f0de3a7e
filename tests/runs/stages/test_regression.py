"""A run on targets instead of classes, from training to the report: losses stand where accuracies would."""

import html
import re

import pytest

from modularity_jax import data
from modularity_jax.report import write_report
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_csv
from modularity_jax.runs.workdir import create_workdir

CONFIG = {
    "data": {"name": "polynomials", "num_train": 1000},
    "model": {"widths": (2, 16, 16, 512)},
    "train": {"num_seeds": 2, "epochs": 2},
    "prune": {"epochs": 1},
    "cluster": {"num_clusters": (3,), "num_shuffles": 9, "num_restarts": 2, "curve_epochs": (1,)},
    "lesion": {"num_clusters": 3, "num_shuffles": 9, "joint": 0, "conditional": 0},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    workdir = create_workdir(tmp_path_factory.mktemp("runs") / "run", from_dict(CONFIG), "a command")
    load = data.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *args, **kwargs: cut(load(*args, **kwargs)))
        for stage in (train_stage, cluster_stage, lesion_stage):
            stage(workdir)
    write_report(workdir.path)
    return workdir.path


def cut(found):
    return found._replace(x_test=found.x_test[:500], y_test=found.y_test[:500])


def test_tables_have_losses(path):
    metrics = read_csv(path / "metrics.csv")
    assert {row["test_accuracy"] for row in metrics} | {row["train_accuracy"] for row in metrics} == {None}
    last = {(row["phase"], row["seed"]): row["test_loss"] for row in metrics}
    assert len(last) == 6
    assert min(last.values()) > 0
    for name in ("clusterability.csv", "learning_curve.csv"):
        rows = read_csv(path / name, ("test_loss",))
        assert not any("accuracy" in column for column in rows[0])
        ends = {(row["phase"], row["seed"]): row["test_loss"] for row in rows}
        assert ends == last


def test_lesions_are_refused(path):
    assert read_csv(path / "lesions.csv") == []
    reasons = {(row["stage"], row["seed"]): row["reason"] for row in read_csv(path / "left_out.csv")}
    why = "lesions are of networks that classify, and this is a regression"
    assert reasons == {("lesion", 0): why, ("lesion", 1): why}


def test_the_report_speaks_of_losses_alone(path):
    page = re.sub(r"<style.*?</style>|src=\"data:[^\"]*\"", "", (path / "report.html").read_text("utf-8"), flags=re.S)
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
    figures = [re.sub(r"<path[^>]*>", "", file.read_text("utf-8")) for file in (path / "figures").glob("*.svg")]
    assert len(figures) > 5
    for shown in (text, *re.findall(r'alt="([^"]*)"', page), *figures):
        assert not re.search(r"accurac|cross-entropy|\bnan\b", shown.lower())
    for told in (
        "test loss, mean squared error",
        "n-cut at k = 3 and test loss along training",
        "this is a regression",
    ):
        assert told in text
    assert sum("mean squared error" in figure for figure in figures) == 1
