import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modularity_jax.nets import models
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models.mlp import MLP, layer_name

WIDTHS = (200, 120, 80, 10)


@pytest.fixture(scope="module")
def params():
    return init(jax.random.key(0))


init = jax.jit(functools.partial(models.init_params, MLP(WIDTHS), WIDTHS[0]))


def slow_logits(params, x):
    for layer in range(len(WIDTHS) - 1):
        part = params[f"layer_{layer:02d}"]
        x = x @ np.asarray(part["kernel"], np.float64) + np.asarray(part["bias"], np.float64)
        if layer < len(WIDTHS) - 2:
            x = np.maximum(x, 0)
    return x


def test_shapes(params):
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)
    assert shapes == {
        "layer_00": {"kernel": (200, 120), "bias": (120,)},
        "layer_01": {"kernel": (120, 80), "bias": (80,)},
        "layer_02": {"kernel": (80, 10), "bias": (10,)},
    }
    assert sum(models.kernel_sizes(ModelConfig(WIDTHS))) == 200 * 120 + 120 * 80 + 80 * 10


def test_kernels_are_glorot_uniform(params):
    for layer in params.values():
        kernel = np.asarray(layer["kernel"], np.float64)
        limit = np.sqrt(6 / sum(kernel.shape))
        assert np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert np.abs(kernel).max() > 0.98 * limit
        # A uniform variable on [-a, a] has variance a^2 / 3 and fourth moment a^4 / 5.
        error = np.sqrt((1 / 5 - 1 / 9) * limit**4 / kernel.size)
        assert abs((kernel**2).mean() - limit**2 / 3) < 4 * error
        assert abs(kernel.mean()) < 4 * limit / np.sqrt(3 * kernel.size)


def test_biases_begin_at_zero(params):
    assert all((np.asarray(layer["bias"]) == 0).all() for layer in params.values())


def test_init_follows_the_key(params):
    same, other = (init(jax.random.key(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(same["layer_01"]["kernel"], params["layer_01"]["kernel"])
    assert (np.asarray(other["layer_01"]["kernel"]) != np.asarray(params["layer_01"]["kernel"])).mean() > 0.99


def test_logits_equal_numpy(params):
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda leaf: leaf + 0.01 * rng.normal(size=leaf.shape).astype(np.float32), params)
    x = rng.random((7, 200))
    logits = models.apply(MLP(WIDTHS, 0.5), moved, jnp.asarray(x, jnp.float32))
    assert logits.shape == (7, 10)
    np.testing.assert_allclose(logits, slow_logits(moved, x), atol=2e-5)


def identity_params(widths):
    """Each layer hands on what it gets, so that what dropout does to it shows."""
    return {
        layer_name(i): {"kernel": jnp.eye(a, b), "bias": jnp.zeros(b)}
        for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
    }


def test_no_dropout_without_a_hidden_layer():
    widths, x = (300, 300), jnp.ones((4, 300))
    out = models.apply_in_training(MLP(widths, 0.5), identity_params(widths), x, jax.random.key(0))[0]
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("num_hidden", [1, 2])
def test_dropout_after_each_hidden_layer_and_nowhere_else(num_hidden):
    widths, rate = (400,) * (num_hidden + 2), 0.25
    out, _ = models.apply_in_training(
        MLP(widths, rate), identity_params(widths), jnp.ones((50, 400)), jax.random.key(1)
    )
    # What survives every hidden layer is scaled up once by each.
    scale = (1 - rate) ** -num_hidden
    assert set(np.unique(np.asarray(out)).round(4)) == {0, np.float32(round(scale, 4))}
    kept, expected = (np.asarray(out) > 0).mean(), (1 - rate) ** num_hidden
    assert abs(kept - expected) < 4 * np.sqrt(expected * (1 - expected) / out.size)


def test_dropout_only_in_training():
    widths, x = (400, 400, 400), jnp.ones((3, 400))
    np.testing.assert_array_equal(models.apply(MLP(widths, 0.5), identity_params(widths), x), x)


def test_dropout_follows_the_key():
    widths, x = (400, 400, 400), jnp.ones((3, 400))
    model, params = MLP(widths, 0.5), identity_params(widths)
    one, again, other = (
        np.asarray(models.apply_in_training(model, params, x, jax.random.key(seed))[0]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_twelve_layers_sort_in_order():
    widths = tuple(range(20, 7, -1))
    shapes = jax.eval_shape(lambda key: models.init_params(MLP(widths), widths[0], key), jax.random.key(0))
    leaves = jax.tree.leaves(shapes)
    assert [leaf.shape for leaf in leaves if leaf.ndim == 2] == list(zip(widths, widths[1:], strict=False))
