"""Runs that take what is valid of another: the bytes are those of a run that began with nothing."""

import dataclasses
import json
import logging
import shutil

import pytest

from modularity_jax.metric.items import partition_controls
from modularity_jax.probes.lesion_test import double_lesion_test, lesion_test
from modularity_jax.runs import signals
from modularity_jax.runs.session import opened, take_from
from modularity_jax.runs.stages import cluster as clustering
from modularity_jax.runs.stages import lesion as lesions
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_json
from modularity_jax.runs.workdir import create_workdir
from tests.runs.stages.test_stages import CONFIG as STAGES
from tests.runs.stages.test_stages import content, interrupt, lose_pieces, note_epochs


def change(config, section, **values):
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})


CONFIG = change(STAGES, "cluster", curve_epochs=(1,), num_shuffles=3)
CONFIG = change(CONFIG, "train", seeds_per_group=1)
CONFIG = change(CONFIG, "lesion", num_clusters=2, num_shuffles=4, joint=2, conditional=0, samples_per_batch=360)


def all_stages(workdir):
    train_stage(workdir)
    cluster_stage(workdir)
    lesion_stage(workdir)


@pytest.fixture(autouse=True)
def _nobody_wishes_to_stop(monkeypatch):
    monkeypatch.setattr(signals, "_wish", None)


def whole(path, config):
    """A finished run that began with nothing."""
    made = create_workdir(path, config, "a command")
    all_stages(made)
    return made


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("old") / "old", CONFIG)


@pytest.fixture
def copy(old, tmp_path):
    """A copy of the old run to meddle with."""
    shutil.copytree(old.path, tmp_path / "copy")
    return dataclasses.replace(old, path=tmp_path / "copy")


@pytest.fixture
def computed(monkeypatch):
    """What the stages compute, as it comes."""
    noted = {"epochs": note_epochs(monkeypatch), "shuffle_tests": [], "lesion_tests": []}

    def shuffled(graph, key, settings, *, method, **more):
        noted["shuffle_tests"].append((settings.num_clusters, method))
        return partition_controls(graph, key, settings, method=method, **more)

    def single(*arguments, **settings):
        noted["lesion_tests"].append("single")
        return lesion_test(*arguments, **settings)

    def double(*arguments, kind, **settings):
        noted["lesion_tests"].append(kind)
        return double_lesion_test(*arguments, kind=kind, **settings)

    monkeypatch.setattr(clustering, "partition_controls", shuffled)
    monkeypatch.setattr(lesions, "lesion_test", single)
    monkeypatch.setattr(lesions, "double_lesion_test", double)
    return noted


def borrowing(path, donor, config):
    """A new run that may take from the donor."""
    made = create_workdir(path, config, "a command")
    take_from(made, [donor.path])
    return made


BOTH = ["layer", "layer_nonzero"]
ALL_EPOCHS = [("init", 0), ("unpruned", 1), ("unpruned", 2), ("pruned", 1)]
# Config -> what is computed: epochs, shuffle tests (number of clusters and control), lesion tests.
CHANGES = {
    "nothing": (CONFIG, [], [], []),
    "prune": (
        change(CONFIG, "prune", final_sparsity=0.8),
        [("pruned", 1)], [(3, method) for method in BOTH] * 2, ["single", "joint"] * 2,
    ),
    "more seeds": (
        change(CONFIG, "train", num_seeds=3), ALL_EPOCHS, [(3, method) for method in BOTH] * 3, ["single", "joint"],
    ),
    "other seeds": (
        change(CONFIG, "train", seed=4), ALL_EPOCHS, [(3, method) for method in BOTH] * 6, ["single", "joint"] * 2,
    ),
    "more shuffles": (
        change(CONFIG, "cluster", num_shuffles=4), [], [(3, method) for method in BOTH] * 6, [],
    ),
    "one more k, the other methods": (
        change(change(CONFIG, "cluster", num_clusters=(2, 3), methods=("layer_nonzero",)), "cluster", curve_epochs=()),
        [], [(2, "layer_nonzero")] * 6, [],
    ),
    "another learning curve": (change(CONFIG, "cluster", curve_epochs=(0,)), ALL_EPOCHS, [], []),
    "fewer seeds, fewer phases": (
        change(change(CONFIG, "train", num_seeds=1, on_nan="fail"), "cluster", phases=("init", "pruned")), [], [], [],
    ),
    "no pruning": (
        change(change(CONFIG, "prune", epochs=0), "lesion", phases=("unpruned",), num_clusters=3),
        [], [], ["single", "joint"] * 2,
    ),
    "correction": (change(CONFIG, "lesion", correction="holm"), [], [], ["single", "joint"] * 2),
    "more pairs": (change(CONFIG, "lesion", joint=3), [], [], ["joint"] * 2),
    "lesions of clusters that only they have": (
        change(change(CONFIG, "cluster", num_clusters=(2,), curve_epochs=()), "lesion", num_clusters=3),
        [], [(2, method) for method in BOTH] * 6, ["single", "joint"] * 2,
    ),
    "labels": (
        change(change(CONFIG, "cluster", selection="ncut", curve_epochs=()), "lesion", num_shuffles=0),
        [], [(3, method) for method in BOTH] * 6, [],
    ),
}  # fmt: skip


# The fast lane changes something of each stage, and the networks' number both ways.
FEW = ("nothing", "prune", "more seeds", "one more k, the other methods", "fewer seeds, fewer phases", "labels")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.long) for name in CHANGES]
)
def test_the_bytes_of_a_run_that_began_with_nothing(old, tmp_path, computed, name):
    config, *expected = CHANGES[name]
    before = content(old.path)
    made = borrowing(tmp_path / "new", old, config)
    all_stages(made)
    assert [*computed.values()] == expected
    assert content(made.path) == content(whole(tmp_path / "fresh", config).path)
    assert content(old.path) == before
    # What was taken is here to stay.
    shutil.rmtree(tmp_path / "fresh")
    (made.path / "metrics.csv").unlink()
    for noted in computed.values():
        noted.clear()
    (made.path / "versions.json").unlink()
    all_stages(made)
    assert not any(computed.values())


def test_what_is_noted(old, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    made = borrowing(tmp_path / "new", old, CONFIG)
    assert read_json(made.path, "versions.json")["lenders"] == [str(old.path)]
    assert f"{made.path} takes from {old.path} what is valid here" in caplog.text
    take_from(made, [old.path, tmp_path / "nothing"])
    assert read_json(made.path, "versions.json")["lenders"] == [str(old.path)]


@pytest.mark.parametrize("piece", ["network", "curve", "controls", "clustering", "lesions"])
def test_a_damaged_piece_is_named_and_made_anew(old, copy, tmp_path, caplog, piece):
    path = min(copy.path.glob(f"pieces/{piece}-*"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    damaged = path.read_bytes()
    made = borrowing(tmp_path / "new", copy, CONFIG)
    all_stages(made)
    assert f"{path} is damaged" in caplog.text
    assert content(made.path) == content(old.path)
    assert path.read_bytes() == damaged


def test_other_versions_are_taken_with_a_warning(copy, tmp_path, caplog, computed):
    known = read_json(copy.path, "versions.json") | {"jaxlib": "0.0.1", "devices": []}
    (copy.path / "versions.json").write_text(json.dumps(known))
    made = borrowing(tmp_path / "new", copy, CONFIG)
    assert f"{copy.path} was made with another jaxlib, devices and may round differently" in caplog.text
    all_stages(made)
    assert not any(computed.values())


def test_a_training_under_way_lends_its_finished_phases(old, tmp_path, monkeypatch, computed):
    started = create_workdir(tmp_path / "started", CONFIG, "a command")
    interrupt(monkeypatch, train_stage, started, 3)
    computed["epochs"].clear()
    made = borrowing(tmp_path / "new", started, change(CONFIG, "lesion", joint=3))
    train_stage(made)
    assert computed["epochs"] == [("pruned", 1)]
    assert (made.path / "metrics.csv").read_bytes() == (old.path / "metrics.csv").read_bytes()
    assert (made.path / "weights/pruned.npz").read_bytes() == (old.path / "weights/pruned.npz").read_bytes()


def test_the_second_command_goes_on(old, tmp_path, monkeypatch, computed):
    config = change(CONFIG, "lesion", correction="holm")

    def command():
        with opened(tmp_path / "new", config, old.path) as workdir:
            all_stages(workdir)
            return workdir

    interrupt(monkeypatch, lambda workdir: command(), None, 2)
    command()
    assert computed == {"epochs": [], "shuffle_tests": [], "lesion_tests": ["single", "joint"] * 2}
    command()
    assert len(computed["lesion_tests"]) == 4


def test_pieces_without_results_do_not_claim_the_directory(old, tmp_path, computed):
    made = borrowing(tmp_path / "new", old, CONFIG)
    train_stage(made)
    assert lose_pieces(made, "*", keep=1)
    (made.path / "metrics.csv").unlink()
    (made.path / "learning_curve.csv").unlink()
    again = create_workdir(made.path, change(CONFIG, "train", seed=4), "a command")
    assert again.config.train.seed == 4


def test_what_is_no_donor(old, tmp_path):
    message = "--fork_workdir must name another directory than --workdir"
    with pytest.raises(ValueError, match=message), opened(old.path / ".." / "old", CONFIG, old.path):
        pass
    message = f"--fork_workdir copies from the run in --workdir, but {tmp_path / 'nothing'} holds no config.json"
    with pytest.raises(ValueError, match=message), opened(tmp_path / "new", CONFIG, tmp_path / "nothing"):
        pass
    assert not (tmp_path / "new").exists()
