"""Activations of hidden units: of Flax's layers by hand, channels by their norms, steps as samples."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models import MODELS, apply, apply_recorded, init_params
from modularity_jax.probes.activations import unit_activations

X = np.random.default_rng(0).normal(size=(7, 36)).astype(np.float32)
WIDTHS = {"mlp": (36, 6, 5, 4), "cnn": (36, 3, 4, 5, 4), "rnn": (36, 5, 4), "lstm": (36, 5, 4)}


def network(name):
    config = ModelConfig(widths=WIDTHS[name], name=name)
    return config, jax.device_get(init_params(MODELS[name].module(config), 36, jax.random.key(1)))


def test_those_of_a_perceptron():
    config, params = network("mlp")
    before, after = X, X
    for layer in range(2):
        before = after @ params[f"layer_0{layer}"]["kernel"] + params[f"layer_0{layer}"]["bias"]
        after = np.maximum(before, 0)
    for is_before, wanted in ((True, before), (False, after)):
        found = unit_activations(apply_recorded(config, before=is_before), params, X, samples_per_batch=3)
        assert [own.shape for own in found] == [(7, 6), (7, 5)]
        np.testing.assert_allclose(found[1], wanted, atol=1e-6)


def test_channels_by_their_norms():
    config, params = network("cnn")
    run = apply_recorded(config, before=True)
    kernel = params["layer_00"]["kernel"]
    maps = np.asarray(
        nn.Conv(3, (3, 3)).apply({"params": {"kernel": kernel, "bias": np.zeros(3)}}, X.reshape(7, 6, 6, 1))
    )
    wanted = {
        "max_column": np.abs(maps).sum(axis=1).max(axis=1),
        "l1": np.abs(maps).sum(axis=(1, 2)),
        "l2": np.sqrt((maps**2).sum(axis=(1, 2))),
    }
    for norm, values in wanted.items():
        found = unit_activations(run, params, X, norm=norm)
        assert [own.shape for own in found] == [(7, 3), (7, 4), (7, 5)]
        np.testing.assert_allclose(found[0], values, rtol=1e-5)
    assert (found[2] < 0).any()  # of a dense layer the values as they are


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_steps_are_samples(name):
    config, params = network(name)
    run = apply_recorded(config, before=False)
    (steps,) = unit_activations(run, params, X, norm="none", samples_per_batch=4)
    assert steps.shape == (7 * 6, 5)
    last = steps.reshape(7, 6, 5)[:, -1]
    logits = last @ params["readout"]["kernel"] + params["readout"]["bias"]
    np.testing.assert_allclose(logits, apply(MODELS[name].module(config), params, X), atol=1e-6)
    (summed,) = unit_activations(run, params, X, norm="l1")
    np.testing.assert_allclose(summed, np.abs(steps.reshape(7, 6, 5)).sum(axis=1), rtol=1e-5)


def test_bad_input():
    config, params = network("cnn")
    run = apply_recorded(config, before=True)
    with pytest.raises(ValueError, match="norm must be"):
        unit_activations(run, params, X, norm="l3")
    with pytest.raises(ValueError, match="norm must not be 'none' where groups differ in their places"):
        unit_activations(run, params, X, norm="none")
    with pytest.raises(ValueError, match=r"x must have shape \[n, ...\]"):
        unit_activations(run, params, X[:0])
    with pytest.raises(ValueError, match="samples_per_batch must be at least 1, got 0"):
        unit_activations(run, params, X, samples_per_batch=0)
    with pytest.raises(ValueError, match="apply must give activations"):
        unit_activations(lambda params, x: [x.sum()], params, X)
    given = ModelConfig(widths=(3, 2), name="given", wiring="a -> b")
    with pytest.raises(ValueError, match=r"model\.name=given does not tell its units' activations"):
        apply_recorded(given, before=True)
