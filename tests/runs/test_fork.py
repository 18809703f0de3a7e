"""Runs that begin with what is still valid of another: the bytes are those of a run that began with nothing."""

import dataclasses
import json
import logging
import shutil

import pytest

from modularity_jax.metric.shuffle_test import shuffled_ncuts
from modularity_jax.probes.lesion_test import double_lesion_test, lesion_test
from modularity_jax.runs import signals as stopping
from modularity_jax.runs.fork import check_fork, fork_workdir
from modularity_jax.runs.processes import ALONE
from modularity_jax.runs.session import opened
from modularity_jax.runs.stages import cluster as clustering
from modularity_jax.runs.stages import cluster_tables, lesion_tables
from modularity_jax.runs.stages import lesion as lesions
from modularity_jax.runs.stages.train import METRICS_COLUMNS, train_stage
from modularity_jax.runs.tables import read_arrays, read_csv, read_json, write_csv
from modularity_jax.runs.workdir import create_workdir
from tests.runs.stages.test_shared_stages import all_stages
from tests.runs.stages.test_stages import CONFIG as STAGES
from tests.runs.stages.test_stages import content, interrupt, note_epochs
from tests.runs.test_processes import together


def change(config, section, **values):
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **values)})


CONFIG = change(STAGES, "cluster", curve_epochs=(1,), num_shuffles=3)
CONFIG = change(CONFIG, "train", seeds_per_group=1)
CONFIG = change(CONFIG, "lesion", num_clusters=2, num_shuffles=4, joint=2, conditional=0, samples_per_batch=360)
PHASES = ["init", "unpruned", "pruned"]


@pytest.fixture(autouse=True)
def _nobody_wishes_to_stop(monkeypatch):
    monkeypatch.setattr(stopping, "_wish", None)


def whole(path, config):
    """A finished run that began with nothing."""
    made = create_workdir(path, config, "a command")
    all_stages(made, ALONE)
    return made


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("old") / "old", CONFIG)


@pytest.fixture
def copy(old, tmp_path):
    """A copy of the old run to meddle with, without what its tables replaced."""
    shutil.copytree(old.path, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))
    return dataclasses.replace(old, path=tmp_path / "copy")


@pytest.fixture
def computed(monkeypatch):
    """What the stages compute, as it comes."""
    noted = {"epochs": note_epochs(monkeypatch), "shuffle_tests": [], "lesion_tests": []}

    def shuffled(graph, key, **settings):
        noted["shuffle_tests"].append((settings["num_clusters"], settings["method"]))
        return shuffled_ncuts(graph, key, **settings)

    def single(*arguments, **settings):
        noted["lesion_tests"].append("single")
        return lesion_test(*arguments, **settings)

    def double(*arguments, kind, **settings):
        noted["lesion_tests"].append(kind)
        return double_lesion_test(*arguments, kind=kind, **settings)

    monkeypatch.setattr(clustering, "shuffled_ncuts", shuffled)
    monkeypatch.setattr(lesions, "lesion_test", single)
    monkeypatch.setattr(lesions, "double_lesion_test", double)
    return noted


def forked(path, donor, config):
    """A new run with what is valid of the donor, which stays as it is."""
    before = content(donor.path)
    made = create_workdir(path, config, "a command")
    fork_workdir(made, donor)
    assert content(donor.path) == before
    return made


def taken(workdir):
    return read_json(workdir.path, "versions.json")["forked_from"]["taken"]


BOTH = ["layer", "layer_nonzero"]
# Config -> what is computed: epochs, shuffle tests (number of clusters and control), lesion tests.
CHANGES = {
    "prune": (
        change(CONFIG, "prune", final_sparsity=0.8),
        [("pruned", 1)], [(3, method) for method in BOTH] * 2, ["single", "joint"] * 2,
    ),
    "more shuffles": (
        change(CONFIG, "cluster", num_shuffles=4), [], [(3, method) for method in BOTH] * 6, [],
    ),
    "one more k, the other methods": (
        change(change(CONFIG, "cluster", num_clusters=(2, 3), methods=("layer_nonzero",)), "cluster", curve_epochs=()),
        [], [(2, "layer_nonzero")] * 6, [],
    ),
    "another learning curve": (
        change(CONFIG, "cluster", curve_epochs=(0,)),
        [("init", 0), ("unpruned", 1), ("unpruned", 2), ("pruned", 1)], [], [],
    ),
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


@pytest.mark.parametrize("name", CHANGES)
def test_the_bytes_of_a_run_that_began_with_nothing(old, tmp_path, computed, name):
    config, *expected = CHANGES[name]
    made = forked(tmp_path / "new", old, config)
    all_stages(made, ALONE)
    assert [*computed.values()] == expected
    fresh = content(whole(tmp_path / "fresh", config).path)
    assert content(made.path) == fresh
    kept = taken(made)
    assert kept["shuffle_tests"] == len(read_csv(made.clusterability)) - len(expected[1])
    assert kept["training"] is False


def test_what_is_noted(old, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    made = forked(tmp_path / "new", old, change(CONFIG, "prune", final_sparsity=0.8))
    noted = read_json(made.path, "versions.json")["forked_from"]
    kept = {"networks": PHASES[:2], "training": False, "shuffle_tests": 8, "lesion_tests": 0}
    commit = read_json(old.path, "versions.json")["git_commit"]
    assert noted == {"workdir": str(old.path), "git_commit": commit, "taken": kept}
    assert f"{made.path} takes from {old.path}: networks: init unpruned, shuffle_tests: 8\n" in caplog.text
    # Labels are there for tests that have to be made again.
    other = forked(tmp_path / "other", old, change(CONFIG, "cluster", num_shuffles=4))
    labels = read_arrays(old.path, "clusters/init.npz")["seed_1/k_3/labels"]
    assert (read_arrays(other.path, "clusters/init.npz")["seed_1/k_3/labels"] == labels).all()


def test_nothing_is_valid(old, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    made = forked(tmp_path / "new", old, change(CONFIG, "train", seed=4))
    assert set(content(made.path)) == {"config.json"}
    assert f"{made.path} takes from {old.path}: nothing, for nothing is valid here" in caplog.text


def test_more_seeds_keep_the_tests_of_those_that_are_there(old, tmp_path):
    made = forked(tmp_path / "new", old, change(CONFIG, "train", num_seeds=3))
    assert taken(made) == {"networks": [], "training": False, "shuffle_tests": 12, "lesion_tests": 4}
    assert not made.metrics.exists()


def test_tests_that_several_processes_have_left_in_parts(copy, tmp_path):
    for stage, names in (("cluster", ["clusterability.csv", "clusters"]), ("lesion", ["lesions"])):
        part = copy.part(stage, "process_1").path
        part.mkdir(parents=True)
        for name in names:
            (copy.path / name).rename(part / name)
    for table in (copy.lesions, copy.double_lesions):
        table.rename(copy.part("lesion", "process_1").path / table.name)
    (copy.path / "parts/lesion/process_1/clusters").symlink_to(copy.path / "parts/cluster/process_1/clusters")
    made = forked(tmp_path / "new", copy, CONFIG)
    assert taken(made) == {"networks": PHASES, "training": False, "shuffle_tests": 12, "lesion_tests": 4}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("weights/unpruned.npz", {"networks": PHASES[:1]}),
        ("metrics.csv", {"networks": []}),
        ("clusters/pruned.npz", {"shuffle_tests": 8, "lesion_tests": 0}),
        ("clusterability.csv", {"shuffle_tests": 0}),
        ("lesions.csv", {"lesion_tests": 2}),
        ("lesions/pruned.npz", {"lesion_tests": 0}),
        ("versions.json", {}),
    ],
)
def test_a_damaged_file_is_named_and_not_copied(old, copy, tmp_path, caplog, name, expected):
    path = copy.path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    made = forked(tmp_path / "new", copy, CONFIG)
    assert f"{path} is" in caplog.text
    everything = {"networks": PHASES, "training": False, "shuffle_tests": 12, "lesion_tests": 4}
    assert taken(made) == everything | expected
    if name == "lesions/pruned.npz":
        all_stages(made, ALONE)
        assert content(made.path) == content(old.path)


def test_other_versions_are_taken_with_a_warning_and_no_test_without_its_network(copy, tmp_path, caplog):
    known = read_json(copy.path, "versions.json") | {"jaxlib": "0.0.1", "devices": []}
    known["jax_settings"] |= {"jax_random_seed_offset": 1}
    (copy.path / "versions.json").write_text(json.dumps(known))
    made = forked(tmp_path / "new", copy, CONFIG)
    assert (
        f"{copy.path} was made with another jaxlib, devices, jax_random_seed_offset and may round differently"
        in caplog.text
    )
    assert read_json(made.path, "versions.json")["forked_from"]["differs_in"] == [
        "jaxlib",
        "devices",
        "jax_random_seed_offset",
    ]
    assert taken(made) == {"networks": PHASES, "training": False, "shuffle_tests": 12, "lesion_tests": 4}
    copy.weights("pruned").unlink()
    made = forked(tmp_path / "other", copy, CONFIG)
    assert taken(made) == {"networks": PHASES[:2], "training": False, "shuffle_tests": 8, "lesion_tests": 0}


def test_a_run_that_fails_at_a_loss_that_is_not_finite_takes_no_such_network(copy, tmp_path):
    rows = read_csv(copy.metrics)
    lost = [row | {"nonfinite_step": 2} if (row["phase"], row["seed"]) == ("unpruned", 1) else row for row in rows]
    write_csv(copy.metrics, lost, METRICS_COLUMNS)
    config = change(CONFIG, "train", on_nan="fail")
    assert taken(forked(tmp_path / "mark", copy, CONFIG))["networks"] == PHASES
    assert taken(forked(tmp_path / "fail", copy, config))["networks"] == PHASES[:1]
    assert taken(forked(tmp_path / "one", copy, change(config, "train", num_seeds=1)))["networks"] == PHASES


def test_a_training_under_way(old, tmp_path, monkeypatch, computed):
    started = create_workdir(tmp_path / "started", CONFIG, "a command")
    interrupt(monkeypatch, train_stage, started, 2)
    computed["epochs"].clear()
    other = forked(tmp_path / "other", started, change(CONFIG, "prune", final_sparsity=0.8))
    assert taken(other) == {"networks": ["init"], "training": False, "shuffle_tests": 0, "lesion_tests": 0}
    made = forked(tmp_path / "new", started, change(CONFIG, "lesion", joint=3))
    assert taken(made) == {"networks": ["init"], "training": True, "shuffle_tests": 0, "lesion_tests": 0}
    train_stage(made)
    assert computed["epochs"] == [("unpruned", 2), ("pruned", 1)]
    assert made.metrics.read_bytes() == old.metrics.read_bytes()
    assert made.weights("pruned").read_bytes() == old.weights("pruned").read_bytes()


def test_several_processes_go_on_from_the_networks_that_were_taken(old, tmp_path, monkeypatch):
    config = change(CONFIG, "prune", final_sparsity=0.8)
    made = forked(tmp_path / "new", old, config)
    epochs = note_epochs(monkeypatch)
    assert together(made.path / "processes", 2, lambda team: train_stage(made, team=team)) == [None, None]
    assert epochs == [("pruned", 1)] * 2
    fresh = create_workdir(tmp_path / "fresh", config, "a command")
    train_stage(fresh)
    for file in (made.metrics, made.learning_curve, *map(made.weights, PHASES)):
        assert file.read_bytes() == (fresh.path / file.relative_to(made.path)).read_bytes(), file


def test_the_second_command_goes_on(old, tmp_path, monkeypatch, caplog, computed):
    """The first ended while it forked, the second after that; the third, with the old run gone on, takes no more."""
    caplog.set_level(logging.INFO, logger="absl")
    config = change(CONFIG, "lesion", correction="holm")

    def command():
        with opened(tmp_path / "new", config, old.path) as (workdir, team):
            all_stages(workdir, team)
            return workdir

    with monkeypatch.context() as patch:
        patch.setattr(lesion_tables, "take_tests", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            command()
    interrupt(monkeypatch, lambda workdir: command(), None, 1)
    command()
    assert f"{tmp_path / 'new'} was forked from {old.path} already" in caplog.text
    assert computed == {"epochs": [], "shuffle_tests": [], "lesion_tests": ["single", "joint"] * 2}
    command()
    assert len(computed["lesion_tests"]) == 4


def test_what_is_there_is_kept(old, copy, tmp_path):
    """A run that made its own networks, and its own first test, before it was forked."""
    made = create_workdir(tmp_path / "new", CONFIG, "a command")
    train_stage(made)
    rows = read_csv(copy.clusterability)
    arrays = read_arrays(copy.path, "clusters/init.npz")
    cluster_tables.write_arrays(made.clusters("init"), arrays)
    write_csv(made.clusterability, [rows[0] | {"ncut": 9.5}], cluster_tables.CLUSTERABILITY_COLUMNS)
    trained = made.metrics.stat().st_mtime_ns
    fork_workdir(made, old)
    assert made.metrics.stat().st_mtime_ns == trained
    assert taken(made) == {"networks": [], "training": False, "shuffle_tests": 11, "lesion_tests": 4}
    assert read_csv(made.clusterability) == [rows[0] | {"ncut": 9.5}, *rows[1:]]


def test_what_is_no_donor(old, tmp_path):
    with pytest.raises(ValueError, match="--fork_workdir must name another directory than --workdir"):
        check_fork(old.path, old.path / ".." / "old")
    message = f"--fork_workdir copies from the run in --workdir, but {tmp_path / 'nothing'} holds no config.json"
    with pytest.raises(ValueError, match=message), opened(tmp_path / "new", CONFIG, tmp_path / "nothing"):
        pass
    assert not (tmp_path / "new").exists()


def test_results_that_were_copied_claim_the_directory(old, tmp_path):
    """Tests without networks, too; where nothing was copied, another config takes its place and may fork again."""
    path = forked(tmp_path / "new", old, change(CONFIG, "train", num_seeds=3)).path
    with pytest.raises(ValueError, match=r"another config .*num_seeds: 3 and 2; take a new --workdir, or --fork"):
        create_workdir(path, CONFIG, "a command")
    path = forked(tmp_path / "other", old, change(CONFIG, "train", seed=4)).path
    assert taken(forked(path, old, CONFIG))["networks"] == PHASES
