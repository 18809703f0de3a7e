"""Stages whose work several processes share leave the bytes of one process."""

import dataclasses
import functools
import shutil

import pytest

from modularity_jax.runs import signals
from modularity_jax.runs.processes import Team
from modularity_jax.runs.stages import cluster as clustering
from modularity_jax.runs.stages import train as training
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.workdir import create_workdir
from tests.runs.stages.test_stages import CONFIG as STAGES
from tests.runs.stages.test_stages import content, interrupt
from tests.runs.test_processes import together

CONFIG = dataclasses.replace(
    STAGES,
    train=dataclasses.replace(STAGES.train, num_seeds=3, seeds_per_group=1),
    cluster=dataclasses.replace(STAGES.cluster, curve_epochs=(1,)),
    lesion=dataclasses.replace(STAGES.lesion, num_clusters=2, num_shuffles=4, joint=2, conditional=0),
)


def all_stages(workdir, team):
    train_stage(workdir, team=team)
    cluster_stage(workdir, team=team)
    lesion_stage(workdir, team=team)


def share(workdir, count, work=all_stages):
    return together(workdir.path / "processes", count, functools.partial(work, workdir))


@pytest.fixture(autouse=True)
def _nobody_wishes_to_stop(monkeypatch):
    monkeypatch.setattr(signals, "_wish", None)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    made = create_workdir(tmp_path_factory.mktemp("alone") / "a", CONFIG, "a command")
    all_stages(made, Team())
    return content(made.path)


@pytest.mark.bits
@pytest.mark.parametrize("count", [2, 4])
def test_the_bytes_of_one_process(alone, tmp_path, count):
    """Four are more than there are networks."""
    made = create_workdir(tmp_path / "a", CONFIG, "a command")
    assert share(made, count) == [None] * count
    found = content(made.path)
    assert {"learning_curve.csv", "lesions.csv", "double_lesions.csv"} <= set(found)
    assert found == alone
    assert not (made.path / "checkpoints").exists()


def test_another_number_of_processes_goes_on(alone, tmp_path, monkeypatch):
    """Three processes are gone in the middle of training, two in the middle of clustering; one does the rest."""
    made = create_workdir(tmp_path / "a", CONFIG, "a command")
    trained, train = [], training._train

    def noted(workdir, share, *rest):
        train(workdir, share, *rest)
        trained.append(share.seeds)
        if len(trained) < 3:
            raise OSError("gone")

    monkeypatch.setattr(training, "_train", noted)
    assert all(share(made, 3))
    assert trained

    test = clustering._test

    def test_once(*arguments):
        test(*arguments)
        raise signals.StoppedError("gone")

    monkeypatch.setattr(clustering, "_test", test_once)
    assert all(isinstance(error, signals.StoppedError) for error in share(made, 2))
    assert sorted(trained, key=min) == [range(1), range(1, 2), range(2, 3)]
    monkeypatch.undo()
    assert len(list(made.pieces.glob("controls-*"))) == 2
    assert not made.clusterability.exists()
    shutil.rmtree(made.path / "processes")
    all_stages(made, Team())
    assert content(made.path) == alone


def test_a_training_of_one_process_is_not_divided(alone, tmp_path, monkeypatch):
    made = create_workdir(tmp_path / "a", CONFIG, "a command")
    interrupt(monkeypatch, train_stage, made, 2)
    assert (made.path / "checkpoints" / "train").exists()
    shares = []
    train = training._train

    def noted(workdir, share, *rest):
        shares.append(share.seeds)
        train(workdir, share, *rest)

    monkeypatch.setattr(training, "_train", noted)
    assert share(made, 2) == [None, None]
    assert shares == [range(3)]
    assert content(made.path) == alone


def test_what_is_left_when_the_end_is_cut_short(alone, tmp_path):
    """The results are there, and checkpoints too: a process ended between writing the one and removing the other."""
    made = create_workdir(tmp_path / "a", CONFIG, "a command")
    all_stages(made, Team())
    (made.path / "checkpoints" / "train" / "seeds_00000-00002").mkdir(parents=True)
    all_stages(made, Team())
    assert content(made.path) == alone
    assert not (made.path / "checkpoints").exists()
