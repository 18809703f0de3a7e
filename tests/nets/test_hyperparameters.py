import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modularity_jax.nets import sweep
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.hyperparameters import Network, is_zero, settings_of, values_of, with_values
from modularity_jax.nets.models.mlp import Dropout
from modularity_jax.nets.training import Samples

MODEL, TRAIN = ModelConfig(widths=(12, 8, 6, 4)), TrainConfig(epochs=2, batch_size=16, seeds_per_group=1)
SECTIONS = {"model": MODEL, "train": TRAIN, "prune": PruneConfig(epochs=2, frequency=2)}
# Each network of a sweep has other settings, and some have none of a penalty or of dropout.
NETWORKS = [
    Network(0),
    Network(1, (("model.dropout_rate", 0.3), ("prune.final_sparsity", 0.7))),
    Network(1, (("train.l1_penalty", 1e-3), ("train.learning_rate", 0.01))),
    Network(2, (("train.l2_penalty", 1e-3), ("prune.initial_sparsity", 0.1), ("model.dropout_rate", 0.5))),
]


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.random((50, 12), np.float32))
    y = jnp.asarray(rng.integers(0, 4, 50), jnp.int32)
    return Samples(x, y, x[:20], y[:20])


def test_values_are_those_of_each_network_and_none_where_all_are_zero():
    values = values_of(NETWORKS, {"model": MODEL, "train": TRAIN})
    np.testing.assert_allclose(values["model.dropout_rate"], [0, 0.3, 0, 0.5])
    np.testing.assert_allclose(values["train.learning_rate"], [1e-3, 1e-3, 1e-2, 1e-3])
    assert all(value.dtype == np.float32 for value in values.values())
    plain = values_of([Network(0)] * 2, {"model": MODEL, "train": TRAIN})
    assert set(values) - set(plain) == {"model.dropout_rate", "train.l1_penalty", "train.l2_penalty"}


def test_settings_of_a_network_are_checked():
    own = settings_of(NETWORKS[1], SECTIONS)
    assert (own["model"].dropout_rate, own["prune"].final_sparsity, own["train"]) == (0.3, 0.7, TRAIN)
    with pytest.raises(ValueError, match=r"^model.dropout_rate must be at least 0 and below 1, got 1.5$"):
        settings_of(Network(0, (("model.dropout_rate", 1.5),)), SECTIONS)


def test_settings_with_values_have_them_in_place_of_all_floats():
    made = with_values("train", TRAIN, {"train.l1_penalty": np.float32(2), "model.dropout_rate": np.float32(1)})
    assert (made.l1_penalty, made.l2_penalty, made.learning_rate, made.epochs) == (2, 0.0, 0.0, 2)
    assert is_zero(made.l2_penalty)
    assert not is_zero(made.l1_penalty)
    assert not is_zero(np.float32(0))  # another network of the program may have another value
    assert TRAIN.learning_rate == 1e-3


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_has_the_bits_of_flax(rate):
    x, key = jnp.arange(1, 401, dtype=jnp.float32).reshape(20, 20), jax.random.key(3)
    ours = jax.jit(lambda rate: Dropout(rate).apply({}, x, True, rngs={"dropout": key}))(jnp.float32(rate))
    theirs = jax.jit(lambda: nn.Dropout(rate, deterministic=False).apply({}, x, rngs={"dropout": key}))()
    np.testing.assert_allclose(ours, theirs, rtol=1e-7)
    np.testing.assert_array_equal(ours == 0, theirs == 0)
    assert Dropout(rate).apply({}, x, False) is x
    np.testing.assert_array_equal(Dropout(jnp.float32(0)).apply({}, x, True, rngs={"dropout": key}), x)


@pytest.mark.bits
def test_a_network_of_a_sweep_has_the_bits_of_a_run_with_its_settings_alone(samples):
    """Also without dropout among others with it; without a penalty among others with one it is the same to rounding."""
    sections = {**SECTIONS, "train": dataclasses.replace(TRAIN, l1_penalty=1e-5, l2_penalty=1e-5)}
    sweep._run_epoch.clear_cache()
    whole = jax.device_get([epoch.params for epoch in sweep.train_seeds(samples, **sections, networks=NETWORKS)])
    assert sweep._run_epoch._cache_size() == 2  # one program for each phase
    for index, network in enumerate(NETWORKS):
        own = settings_of(network, sections)
        alone = [epoch.params for epoch in sweep.train_seeds(samples, **own, networks=[Network(network.seed)])]
        for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(jax.device_get(alone)), strict=True):
            np.testing.assert_array_equal(one[index], other[0])
    zeros = [(whole[-1]["layer_00"]["kernel"][index] == 0).mean() for index in range(4)]
    np.testing.assert_allclose(zeros, [0.9, 0.7, 0.9, 0.9], atol=0.01)
    first = [whole[1]["layer_00"]["kernel"][index] for index in range(4)]
    assert all((first[i] != first[j]).any() for i in range(4) for j in range(i))


def test_going_on_in_a_sweep(samples):
    whole, states = [], []
    for epoch in sweep.train_seeds(samples, **SECTIONS, networks=NETWORKS):
        whole.append(jax.device_get(epoch.params))
        states.append(jax.device_get(epoch.states))
    for index, (phase, done) in ((1, ("unpruned", 1)), (3, ("pruned", 1))):
        like = sweep.states_like(MODEL, TRAIN, NETWORKS, pruned=phase == "pruned")
        assert jax.tree.structure(like) == jax.tree.structure(states[index])
        resume = sweep.ResumePoint(phase, done, states[index])
        rest = [epoch.params for epoch in sweep.train_seeds(samples, **SECTIONS, networks=NETWORKS, resume=resume)]
        for one, other in zip(jax.tree.leaves(rest), jax.tree.leaves(whole[index + 1 :]), strict=True):
            np.testing.assert_array_equal(one, other)
