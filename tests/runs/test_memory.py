"""Group sizes: chosen from a device's memory, and halved where it does not hold them."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from modularity_jax.metric.graph import LayeredGraph
from modularity_jax.metric.numerics import program_bytes
from modularity_jax.metric.shuffle_test import controls_bytes
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.sweep import epoch_bytes
from modularity_jax.nets.training import Samples
from modularity_jax.runs import memory, training
from modularity_jax.runs.clustering import cluster_stage
from modularity_jax.runs.config import GROUP_SIZES, from_dict
from modularity_jax.runs.lesions import lesion_stage
from modularity_jax.runs.tables import read_json
from modularity_jax.runs.training import train_stage
from modularity_jax.runs.workdir import create_workdir, group_size

GIB = 2**30
CONFIG = {
    "data": {"name": "digits", "num_train": 300},
    "model": {"widths": (64, 100, 60, 10)},
    "train": {"num_seeds": 2, "epochs": 1},
    "prune": {"epochs": 0},
    "cluster": {"num_clusters": [2], "methods": ["layer"], "num_shuffles": 8, "num_restarts": 1, "phases": ["init"]},
    "lesion": {"num_clusters": 2, "num_shuffles": 1, "joint": 0, "conditional": 0, "phases": ["init"]},
}


def config(**sections):
    return from_dict({name: CONFIG.get(name, {}) | sections.get(name, {}) for name in CONFIG})


def exhaust():
    """An error as XLA raises it: no machine has so much memory."""
    jax.jit(lambda: jnp.zeros((2**20, 2**24)))().block_until_ready()


@pytest.mark.parametrize(
    ("limit", "smallest", "most", "low", "high", "expected"),
    [
        (100, 1, 1000, 50, 90, 8),  # 10 each and 10 besides: 8 take 90, 16 take 170
        (170, 1, 1000, 50, 90, 16),
        (169, 1, 1000, 50, 90, 8),
        (10**9, 1, 30, 50, 90, 32),  # one group holds all
        (10**9, 1, 32, 50, 90, 32),
        (5, 1, 1000, 50, 90, 1),  # nothing fits: the least, which may still do
        (10**9, 500, 9000, 10**6, 10**6, 16000),  # the account does not grow
        (7000 * 4 + 100, 500, 9000, 2000 * 7 + 100, 4000 * 7 + 100, 4000),
    ],
)
def test_largest_group(limit, smallest, most, low, high, expected):
    assert memory.largest_group(limit, smallest, most, low, high) == expected


def test_program_bytes_are_those_of_what_goes_in_out_and_between():
    size = 2**20
    found = program_bytes(jax.jit(lambda x: jnp.sort(x)[::-1] * 2).lower(jax.ShapeDtypeStruct((size,), jnp.float32)))
    assert 2 * 4 * size <= found <= 5 * 4 * size


def test_the_account_of_a_large_group_follows_from_two_small_ones():
    model, prune = ModelConfig(widths=(64, 100, 100, 10)), PruneConfig()
    samples = Samples(*(jax.ShapeDtypeStruct(s, t) for s, t in (
        ((300, 64), jnp.float32), ((300,), jnp.int32), ((4000, 64), jnp.float32), ((4000,), jnp.int32),
    )))  # fmt: skip

    def bytes_at(size):
        train = TrainConfig(num_seeds=32, seeds_per_group=size)
        return epoch_bytes(samples, model=model, train=train, prune=prune, num_seeds=32)

    low, high, large = map(bytes_at, (4, 8, 32))
    assert low < high < large
    assert memory.largest_group(1.1 * large, 1, 64, low, high) == 32
    assert memory.largest_group(0.9 * large, 1, 64, low, high) < 32


def test_the_defaults_hold_the_papers_networks_in_8_gib():
    """By the compiler's account of the programs at the study's sizes, ten networks on one device."""
    model, train = ModelConfig(), TrainConfig()
    samples = Samples(*(jax.ShapeDtypeStruct(s, t) for s, t in (
        ((60000, 784), jnp.float32), ((60000,), jnp.int32), ((10000, 784), jnp.float32), ((10000,), jnp.int32),
    )))  # fmt: skip
    assert epoch_bytes(samples, model=model, train=train, prune=PruneConfig(), num_seeds=train.num_seeds) < GIB
    keys = jax.random.split(jax.random.key(0), 5)
    pairs = zip(keys, model.widths[:-1], model.widths[1:], strict=True)
    graph = LayeredGraph.from_weights([jax.random.normal(key, shape) for key, *shape in pairs])
    settings = {"num_restarts": 10, "selection": "inertia", "solver": "auto", "shuffles_per_group": 1}
    assert controls_bytes(graph, num_clusters=12, method="layer", **settings) < GIB // 8


def test_auto_on_a_cpu_takes_what_was_fastest_there_and_notes_it(tmp_path):
    made = create_workdir(tmp_path, config(train={"seeds_per_group": "auto"}), "a command")
    assert made.config.train.seeds_per_group == 0
    memory.choose(made, "train.seeds_per_group", 10, bytes_at=None)
    assert read_json(tmp_path, "versions.json")["group_sizes"] == {"train.seeds_per_group": 1}
    again = create_workdir(tmp_path, made.config, "again")
    assert group_size(again, "train.seeds_per_group") == 1
    assert group_size(again, "lesion.samples_per_batch") == 500


def test_auto_on_a_device_that_tells_its_memory(tmp_path, monkeypatch):
    made = create_workdir(tmp_path, config(lesion={"samples_per_batch": 0}), "a command")

    class Device:
        def memory_stats(self):
            return {"bytes_limit": 1000}

    monkeypatch.setattr(jax, "local_devices", lambda: [Device()])
    memory.choose(made, "lesion.samples_per_batch", 100_000, bytes_at=lambda size: size // 20)
    assert group_size(made, "lesion.samples_per_batch") == 8000  # 400 of the 750 bytes; 16,000 would take 800

    def no_account(size):
        raise NotImplementedError("no account")

    memory.choose(made, "lesion.samples_per_batch", 100, no_account)  # chosen already
    assert group_size(made, "lesion.samples_per_batch") == 8000


def test_a_config_with_numbers_is_left_alone(tmp_path):
    made = create_workdir(tmp_path, config(), "a command")
    for setting in GROUP_SIZES:
        memory.choose(made, setting, 10, bytes_at=None)
    assert "group_sizes" not in read_json(tmp_path, "versions.json")


def test_a_training_that_does_not_fit_goes_on_with_half(tmp_path, monkeypatch, caplog):
    """XLA's error comes with the first two sizes; the bytes are those of the one that is taken then."""
    made = create_workdir(tmp_path / "a", config(train={"seeds_per_group": 8, "num_seeds": 2}), "a command")
    train_seeds = training.train_seeds

    def refuse(*arguments, train, **settings):
        if train.seeds_per_group > 2:
            exhaust()
        return train_seeds(*arguments, train=train, **settings)

    monkeypatch.setattr(training, "train_seeds", refuse)
    train_stage(made)
    versions = read_json(made.path, "versions.json")
    assert versions["group_sizes"] == {"train.seeds_per_group": 2}
    assert [line.partition(": ")[2] for line in versions["out_of_memory"]] == [
        "train.seeds_per_group 8 to 4, out of memory",
        "train.seeds_per_group 4 to 2, out of memory",
    ]
    assert "out of memory with train.seeds_per_group=8; going on with 4, which rounds differently" in caplog.text
    other = create_workdir(tmp_path / "b", config(train={"seeds_per_group": 2, "num_seeds": 2}), "a command")
    train_stage(other)
    assert (made.path / "weights/unpruned.npz").read_bytes() == (other.path / "weights/unpruned.npz").read_bytes()
    assert made.metrics.read_bytes() == other.metrics.read_bytes()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    made = create_workdir(tmp_path_factory.mktemp("run"), config(train={"num_seeds": 1}), "a command")
    train_stage(made)
    return made


@pytest.mark.parametrize(
    ("stage", "setting", "size"),
    [(cluster_stage, "cluster.shuffles_per_group", 4), (lesion_stage, "lesion.samples_per_batch", 512)],
)
def test_so_do_the_other_stages(trained, stage, setting, size, monkeypatch):
    """XLA's error comes with the first call."""
    section, name = setting.split(".")
    changed = dataclasses.replace(getattr(trained.config, section), **{name: size})
    made = dataclasses.replace(trained, config=dataclasses.replace(trained.config, **{section: changed}))
    module = __import__(stage.__module__, fromlist=["_test"])
    sizes, test = [], module._test

    def refuse(*arguments):
        sizes.append(arguments[-1])
        if len(sizes) == 1:
            exhaust()
        return test(*arguments)

    monkeypatch.setattr(module, "_test", refuse)
    stage(made)
    assert sizes == [size, size // 2]
    assert group_size(made, setting) == size // 2


def test_a_group_of_one_that_does_not_fit_is_an_error(tmp_path):
    made = create_workdir(tmp_path, config(), "a command")

    def work(size):
        exhaust()

    with pytest.raises(ValueError, match=r"out of memory even with train\.seeds_per_group=1: "):
        memory.with_room(made, "train.seeds_per_group", work)


def test_other_errors_pass(tmp_path):
    made = create_workdir(tmp_path, config(), "a command")

    def work(size):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        memory.with_room(made, "train.seeds_per_group", work)
    assert "out_of_memory" not in read_json(tmp_path, "versions.json")
