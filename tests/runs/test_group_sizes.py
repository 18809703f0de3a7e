"""Group sizes: settled once, by platform and memory, and named where the memory does not hold them."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import pytest

from experiments.exit_codes import outcome_of
from modularity_jax.metric import group_sizes as rules
from modularity_jax.nets.group_sizes import networks_at_once, samples_at_once
from modularity_jax.runs.config import GROUP_SIZES, RunConfig, from_dict
from modularity_jax.runs.group_sizes import _RULES, naming, resolve
from modularity_jax.runs.stages import cluster as clustering
from modularity_jax.runs.stages import lesion as lesions
from modularity_jax.runs.stages import train as training
from modularity_jax.runs.tables import read_json
from modularity_jax.runs.workdir import create_workdir, open_workdir

STUDY = (784, 256, 256, 256, 256, 10)
SHAPES = [*itertools.pairwise(STUDY)]
ON_CPU = (1, 1, 125)
CONFIG = {
    "data": {"name": "digits", "num_train": 300},
    "model": {"widths": (64, 100, 60, 10)},
    "train": {"num_seeds": 1, "epochs": 1},
    "prune": {"epochs": 0},
    "cluster": {"num_clusters": [2], "methods": ["layer"], "num_shuffles": 8, "num_restarts": 1, "phases": ["init"]},
    "lesion": {"num_clusters": 2, "num_shuffles": 1, "joint": 0, "conditional": 0, "phases": ["init"]},
}


def config(**sections):
    return from_dict({name: CONFIG.get(name, {}) | sections.get(name, {}) for name in CONFIG})


def sizes(config):
    return config.train.seeds_per_group, config.cluster.shuffles_per_group, config.lesion.samples_per_batch


def exhaust(*arguments, **settings):
    """An error as XLA raises it: no machine has so much memory."""
    jax.jit(lambda: jnp.zeros((2**20, 2**24)))().block_until_ready()


@pytest.fixture
def accelerator(monkeypatch):
    """Makes the first device one with so many bytes; without a call there is one that does not tell."""

    class Device:
        bytes_limit = None

        def memory_stats(self):
            return {"bytes_limit": self.bytes_limit} if self.bytes_limit else None

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    return lambda num_bytes: setattr(Device, "bytes_limit", num_bytes)


def test_the_rules_are_of_the_settings():
    assert tuple(_RULES) == GROUP_SIZES


def test_on_a_cpu_what_was_fastest_there():
    assert sizes(resolve(RunConfig())) == ON_CPU
    assert networks_at_once(SHAPES, 1000, 4) == 1


def test_what_the_user_says_stays():
    given = config(train={"seeds_per_group": 3}, cluster={"shuffles_per_group": 8}, lesion={"samples_per_batch": 7})
    assert resolve(given) is given
    assert resolve(given, like=config()) == given


def test_an_accelerator_is_filled(accelerator):
    accelerator(60 * 10**9)
    many = dataclasses.replace(RunConfig(), train=dataclasses.replace(RunConfig().train, num_seeds=128))
    assert sizes(resolve(many)) == (128, 200, 10_000)
    thousand = dataclasses.replace(many, cluster=dataclasses.replace(many.cluster, num_shuffles=1000))
    assert resolve(thousand).cluster.shuffles_per_group == 256
    assert networks_at_once(SHAPES, 10, 1) == 10
    assert networks_at_once(SHAPES, 10, 4) == 3
    assert networks_at_once(SHAPES, 200, 1) == 100  # two groups of one size
    assert samples_at_once(STUDY, 10, 4) == 2500  # each device has a batch


def test_each_device_has_a_share(accelerator, monkeypatch):
    accelerator(60 * 10**9)
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert sizes(resolve(RunConfig())) == (2, 25, 1250)


def test_memory_bounds_a_group(accelerator):
    """Of wide networks, and of a device that is small or does not tell."""
    assert rules.room() == 4 * 10**9
    wide = (784, 4096, 4096, 4096, 10)
    each = 40 * (784 * 4096 + 2 * 4096**2 + 40960) + 12 * 10_000 * 4096
    assert networks_at_once([*itertools.pairwise(wide)], 4 * 10**9 // each, 1) == 4 * 10**9 // each
    assert networks_at_once([*itertools.pairwise(wide)], 4 * 10**9 // each + 1, 1) <= 4 * 10**9 // each
    accelerator(10**9)
    assert 1 <= resolve(RunConfig()).cluster.shuffles_per_group < 64
    assert 500 < samples_at_once(wide, 12, 1) < 10_000
    accelerator(1000)
    assert sizes(resolve(RunConfig())) == (1, 1, 1)


def test_nothing_is_left_open_in_a_workdir(tmp_path):
    made = create_workdir(tmp_path, config(train={"seeds_per_group": "auto"}), "a command")
    assert sizes(made.config) == sizes(open_workdir(tmp_path).config) == ON_CPU
    held = read_json(tmp_path, "config.json")
    assert [held[s][n] for s, n in (setting.split(".") for setting in GROUP_SIZES)] == list(ON_CPU)


def test_the_same_command_goes_on_on_another_platform(tmp_path, accelerator):
    create_workdir(tmp_path, config(train={"seeds_per_group": 4}), "there")
    assert sizes(open_workdir(tmp_path).config) == (4, 8, 10_000)
    # Nothing is computed yet, so what is typed next takes its place.
    assert sizes(create_workdir(tmp_path, config(), "there").config) == (1, 8, 10_000)
    (tmp_path / "metrics.csv").touch()
    with pytest.MonkeyPatch.context() as here:
        here.setattr(jax, "default_backend", lambda: "cpu")
        assert sizes(create_workdir(tmp_path, config(), "here").config) == (1, 8, 10_000)
        with pytest.raises(ValueError, match=r"cluster\.shuffles_per_group: 8 and 4"):
            create_workdir(tmp_path, config(cluster={"shuffles_per_group": 4}), "here")


def test_a_fork_takes_the_sizes_of_what_it_copies():
    donor = resolve(config(train={"seeds_per_group": 4}, cluster={"shuffles_per_group": 8}))
    assert sizes(resolve(config(cluster={"num_shuffles": 9}), like=donor)) == (4, 8, 125)


def test_a_workdir_of_an_earlier_version_that_left_it_open(tmp_path):
    create_workdir(tmp_path, config(), "a command")
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"seeds_per_group": 1', '"seeds_per_group": 0'))
    assert sizes(open_workdir(tmp_path).config) == ON_CPU


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    made = create_workdir(tmp_path_factory.mktemp("run"), config(lesion={"samples_per_batch": 512}), "a command")
    training.train_stage(made)
    return made


@pytest.mark.parametrize(
    ("stage", "module", "name", "line"),
    [
        (training.train_stage, training, "train_seeds", "even with --config.train.seeds_per_group=1: "),
        (clustering.cluster_stage, clustering, "_test", "even with --config.cluster.shuffles_per_group=1: "),
        (
            lesions.lesion_stage,
            lesions,
            "_test",
            "lower --config.lesion.samples_per_batch=512, and --fork_workdir=NEW takes over what is finished",
        ),
    ],
)
def test_a_stage_that_runs_out_of_memory_names_its_flag(trained, tmp_path, stage, module, name, line, monkeypatch):
    made = create_workdir(tmp_path, trained.config, "a command") if module is training else trained
    monkeypatch.setattr(module, name, exhaust)
    with pytest.raises(MemoryError) as caught:
        stage(made)
    said, code = outcome_of(caught.value)
    assert said.startswith(("out of memory " if "even" in line else "out of memory; ") + line)
    assert code == 1
    assert "\n" not in said


def test_other_errors_pass():
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"), naming(config(), GROUP_SIZES[0]):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")
