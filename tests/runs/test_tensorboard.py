import dataclasses
import itertools
import math
import struct
import sys

import numpy as np
import pytest

from modularity_jax.runs import signals
from modularity_jax.runs import tensorboard as events
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages import train as training
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_csv
from modularity_jax.runs.workdir import create_workdir, record

event_pb2 = pytest.importorskip(
    "tensorboardX.proto.event_pb2", reason='needs tensorboardX: pip install "modularity_jax[tensorboard]"'
)

CONFIG = from_dict(
    {
        "data": {"name": "digits", "num_train": 200},
        "model": {"widths": (64, 12, 10, 10), "dropout_rate": (0, 0.5)},
        "train": {"num_seeds": 1, "seed": 3, "epochs": 2, "seeds_per_group": 1},
        "prune": {"epochs": 1},
        "cluster": {"num_clusters": [3], "measures": ["ncut", "modularity"], "num_restarts": 2, "curve_epochs": [1]},
        "report": {"tensorboard": True},
    }
)
FOLDERS = ["seed_0,dropout_rate=0.0", "seed_1,dropout_rate=0.5"]
STEPS = {("init", 0): 0, ("unpruned", 1): 1, ("unpruned", 2): 2, ("pruned", 1): 3}
WITHOUT = dataclasses.replace(CONFIG, report=events.ReportConfig())


def read_events(file):
    """The events of a file, of whose records each has its length before it and sums to check them by around it."""
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(event_pb2.Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def scalars(path):
    """Of each network's one file, {(tag, step): value}; none is there twice."""
    made = {}
    for folder in sorted(path.glob("tensorboard/*/")):
        (file,) = folder.iterdir()
        first, start, *rest = read_events(file)
        assert first.file_version == "brain.Event:2"
        assert (start.step, start.session_log.status) == (0, event_pb2.SessionLog.START)
        values = [((value.tag, event.step), value.simple_value) for event in rest for value in event.summary.value]
        made[folder.name] = dict(values)
        assert len(made[folder.name]) == len(values)
    return made


def of_tables(path):
    """What `scalars` should give by the tables."""
    made = {folder: {} for folder in FOLDERS}
    for row in read_csv(path / "metrics.csv"):
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "sparsity"):
            made[FOLDERS[row["seed"]]][name.replace("_", "/"), STEPS[row["phase"], row["epoch"]]] = row[name]
    for row in read_csv(path / "learning_curve.csv"):
        for name, tag in (("observed", ""), ("shuffled_mean", "/controls")):
            place = f"{row['measure']}/k_3{tag}", STEPS[row["phase"], row["epoch"]]
            made[FOLDERS[row["seed"]]][place] = row[name]
    return {
        folder: {place: float(np.float32(own)) for place, own in values.items() if own is not None}
        for folder, values in made.items()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    workdir = create_workdir(tmp_path_factory.mktemp("run") / "run", CONFIG, "a command")
    train_stage(workdir)
    return workdir


@pytest.fixture
def forbidden(monkeypatch):
    def fail(*arguments, **settings):
        raise AssertionError("this was trained already")

    monkeypatch.setattr(training, "train_seeds", fail)


def test_scalars_are_those_of_the_tables(made):
    found = scalars(made.path)
    assert found == of_tables(made.path)
    assert {step for tag, step in found[FOLDERS[1]] if tag == "train/loss"} >= {1, 2, 3}
    tags = {tag for tag, _ in found[FOLDERS[1]]}
    assert tags >= {"test/accuracy", "ncut/k_3", "ncut/k_3/controls", "modularity/k_3", "modularity/k_3/controls"}


def test_the_files_stay_where_nothing_is_new(made, forbidden):
    before = {file: file.stat().st_mtime_ns for file in made.path.glob("tensorboard/*/*")}
    train_stage(create_workdir(made.path, CONFIG, "a command"))
    assert {file: file.stat().st_mtime_ns for file in made.path.glob("tensorboard/*/*")} == before


def test_a_training_that_was_stopped_goes_on_with_the_same_scalars(made, tmp_path, monkeypatch):
    """Before there is a checkpoint, within a phase from its checkpoint on, and between two phases."""
    other = create_workdir(tmp_path, CONFIG, "a command")
    for num_epochs, steps in ((1, {0}), (2, {0, 1}), (1, {0, 1, 2})):
        stop_after(num_epochs, other, monkeypatch)
        assert [{step for _, step in own} for own in scalars(tmp_path).values()] == [steps, steps]
    train_stage(other)
    assert scalars(tmp_path) == scalars(made.path)


def stop_after(num_epochs, workdir, monkeypatch):
    seen = itertools.count(1)

    def check():
        if next(seen) == num_epochs:
            raise signals.StoppedError("stopped by SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(signals, "is_wanted", lambda: True)
        patch.setattr(signals, "check", check)
        with pytest.raises(signals.StoppedError):
            train_stage(workdir)


def test_what_is_written_is_soon_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "SECONDS", -1.0)
    files = events.EventFiles(tmp_path / "tensorboard", {0: "seed_0"}, {"init": 0})
    row = {"seed": 0, "phase": "init", "epoch": 0, "train_loss": math.inf, "test_loss": 0.5, "sparsity": 0.0}
    files.write([row | {"train_accuracy": None, "test_accuracy": None}], [])  # of a regression
    expected = {("train/loss", 0): math.inf, ("test/loss", 0): 0.5, ("sparsity", 0): 0.0}
    assert scalars(tmp_path) == {"seed_0": expected}
    point = {"seed": 0, "phase": "init", "epoch": 0, "graph": "balanced", "measure": "ncut", "num_clusters": 4}
    points = [point | {"observed": 2.5, "shuffled_mean": None}, point | {"seed": 1, "observed": 3.5}]
    files.write([row], [row | {"shuffled_mean": None} for row in points])
    assert scalars(tmp_path) == {"seed_0": expected | {("ncut/k_4/balanced", 0): 2.5}}
    files.close()


def test_networks_of_the_store_and_a_run_that_is_asked_later(made, tmp_path, forbidden):
    for name in ("taken", "later"):
        workdir = create_workdir(tmp_path / name, CONFIG if name == "taken" else WITHOUT, "a command")
        record(workdir.path, {"lenders": [str(made.path)]})
        train_stage(workdir)
    assert scalars(tmp_path / "taken") == scalars(made.path)
    assert not (tmp_path / "later" / "tensorboard").exists()
    train_stage(create_workdir(tmp_path / "later", CONFIG, "a command"))
    assert scalars(tmp_path / "later") == scalars(made.path)


def test_files_that_were_left_unfinished(made, tmp_path, forbidden):
    """A process was killed between the tables and the last event files."""
    workdir = create_workdir(tmp_path, CONFIG, "a command")
    record(workdir.path, {"lenders": [str(made.path)]})
    train_stage(workdir)
    (tmp_path / "tensorboard" / events.COMPLETE).unlink()
    (file,) = (tmp_path / "tensorboard" / FOLDERS[1]).iterdir()
    file.write_bytes(file.read_bytes()[:50])
    train_stage(workdir)
    assert scalars(tmp_path) == scalars(made.path)


def test_files_of_another_config_are_not_left(tmp_path):
    workdir = create_workdir(tmp_path, CONFIG, "a command")
    (tmp_path / "tensorboard" / "seed_9").mkdir(parents=True)
    create_workdir(tmp_path, WITHOUT, "a command")
    assert (tmp_path / "tensorboard" / "seed_9").exists()
    create_workdir(tmp_path, dataclasses.replace(workdir.config, swept=()), "a command")
    assert not (tmp_path / "tensorboard").exists()


def test_without_the_writer_nothing_is_begun(tmp_path, forbidden, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    workdir = create_workdir(tmp_path, CONFIG, "a command")
    with pytest.raises(ImportError) as caught:
        train_stage(workdir)
    assert str(caught.value) == 'report.tensorboard needs tensorboardX: pip install "modularity_jax[tensorboard]"'
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["config.json", "versions.json"]
