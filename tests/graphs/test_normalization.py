"""Hidden units of one size: the same network, and one graph for all that differ in the units' factors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.graphs.normalization import SIZES


def network(seed, widths=(6, 9, 8, 4)):
    rng = np.random.default_rng(seed)
    kernels = [rng.normal(size=s).astype(np.float32) for s in zip(widths, widths[1:], strict=False)]
    return kernels, [rng.normal(size=w).astype(np.float32) for w in widths[1:]]


def logits(kernels, biases, x):
    *hidden, last = zip(kernels, biases, strict=True)
    for kernel, bias in hidden:
        x = np.maximum(x @ kernel + (0 if bias is None else bias), 0)
    return x @ last[0] + (0 if last[1] is None else last[1])


def rescaled(kernels, biases, seed):
    """The same network with each hidden unit's sides scaled against each other."""
    kernels, biases = [k.copy() for k in kernels], [b.copy() for b in biases]
    rng = np.random.default_rng(seed)
    for layer in range(len(kernels) - 1):
        factor = np.exp(rng.normal(size=kernels[layer].shape[1])).astype(np.float32)
        kernels[layer] *= factor
        biases[layer] *= factor
        kernels[layer + 1] /= factor[:, None]
    return kernels, biases


def test_sizes_by_hand():
    kernels, biases = [np.array([[3.0, 0], [-4, 0]]), np.array([[1.0], [2]])], [np.array([5.0, 0]), None]
    for size, want in {"mean": 3.5, "l2": 5, "l2_bias": 5}.items():
        made, shifts = mj.normalize(kernels, biases, size=size)
        np.testing.assert_allclose(made[0][:, 0], [3 / want, -4 / want])
        np.testing.assert_allclose(shifts[0], [5 / want, 0])
        np.testing.assert_allclose(made[1], [[want], [0 if size == "l2_bias" else 2]])  # of a unit of size 0
        assert shifts[1] is None
    np.testing.assert_allclose(mj.normalize(kernels, biases, size="l2", epsilon=1)[0][1], [[6], [2]])


@pytest.mark.parametrize("size", SIZES)
def test_logits_stay(size):
    kernels, biases = network(0)
    kernels[0][:, 3], biases[0][3] = 0, 0  # a dead unit
    x = np.random.default_rng(1).normal(size=(20, 6))
    for own in (biases, [None] * 3):
        made = mj.normalize(kernels, own, size=size)
        np.testing.assert_allclose(logits(*made, x), logits(kernels, own, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_n_cut_is_the_same_whatever_the_units_factors(size):
    kernels, biases = network(2)
    other, other_biases = rescaled(kernels, biases, 3)
    x = np.random.default_rng(4).normal(size=(5, 6))
    np.testing.assert_allclose(logits(other, other_biases, x), logits(kernels, biases, x), rtol=1e-3, atol=1e-4)
    labels = np.random.default_rng(5).integers(0, 3, 27)

    def cut(kernels, biases, **how):
        return float(mj.ncut(mj.LayeredGraph.from_weights(kernels), labels, num_clusters=3))

    assert abs(cut(kernels, biases) - cut(other, other_biases)) > 1e-3
    made = [mj.normalize(*own, size=size) for own in ((kernels, biases), (other, other_biases))]
    np.testing.assert_allclose(cut(*made[0]), cut(*made[1]), rtol=1e-6)


def test_behind_a_flattened_map_each_channels_factor_goes_to_its_positions():
    """By rows as Flax flattens them, and by the kernel with its positions apart: the same."""
    rng = np.random.default_rng(6)
    convolution, dense = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=(5 * 4, 3))
    flat, _ = mj.normalize([convolution, dense])
    apart, _ = mj.normalize([convolution, mj.conv.flattened(dense, 4)])
    np.testing.assert_allclose((flat[0] ** 2).sum(axis=(0, 1, 2)), 1)
    np.testing.assert_allclose(mj.conv.flattened(flat[1], 4), apart[1])


def test_it_works_under_jit_and_grad():
    kernels, biases = network(7)
    inside = jax.jit(mj.normalize)([*map(jnp.asarray, kernels)], [*map(jnp.asarray, biases)])
    for ours, theirs in zip(jax.tree.leaves(inside), jax.tree.leaves(mj.normalize(kernels, biases)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    kernels[0][:, 0] = 0
    slopes = jax.grad(lambda ks: sum((k**3).sum() for k in mj.normalize(ks)[0]))([*map(jnp.asarray, kernels)])
    assert all(np.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([],), "kernels and biases must be of one and the same number of layers, got 0, 0"),
        (([np.ones((2, 3))], []), "kernels and biases must be .*, got 1, 0"),
        (
            ([np.ones((2, 3)), np.ones((4, 2))],),
            r"kernels must chain: kernels\[0\] has 3 units out, kernels\[1\] 4 units in",
        ),
    ],
)
def test_what_does_not_fit_is_named(args, message):
    with pytest.raises(ValueError, match=message):
        mj.normalize(*args)
