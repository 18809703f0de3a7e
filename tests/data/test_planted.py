"""Planted and fused networks have the share of weight between their modules that they are asked for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from modularity_jax.data.planted import fused, linear_states, modules, planted

SHAPE = {"width": 12, "num_kernels": 3, "num_modules": 3}


def crossing(kernel, rows, columns):
    weight = np.abs(np.asarray(kernel, np.float64))
    return weight[rows[:, None] != columns[None, :]].sum() / weight.sum()


@pytest.mark.parametrize("unevenness", [0.0, 0.5])
def test_the_share_between_planted_modules(unevenness):
    shares = jnp.array([0.02, 0.1, 0.5])
    make = jax.jit(jax.vmap(functools.partial(planted, unevenness=unevenness, **SHAPE)))
    kernels = make(jax.random.split(jax.random.key(0), 3), shares)
    labels = modules((12, 12), 3)
    np.testing.assert_array_equal(np.bincount(labels), [8, 8, 8])
    for kernel in kernels:
        np.testing.assert_allclose(jnp.abs(kernel).sum(axis=(1, 2)), 1, rtol=1e-5)
        found = [crossing(own, labels[:12], labels[12:]) for own in kernel]
        np.testing.assert_allclose(found, shares, rtol=1e-5)


def test_without_modules_weights_are_gaussian_and_strengths_uneven_if_asked_for():
    key, shape = jax.random.key(1), {"width": 200, "num_kernels": 1, "num_modules": 2}
    (even,), (uneven,) = (planted(key, None, unevenness=u, **shape) for u in (0.0, 0.5))
    assert float(jnp.abs(even).mean() / even.std()) == pytest.approx((2 / np.pi) ** 0.5, rel=0.02)
    spreads = [float(jnp.log(jnp.abs(kernel).sum(axis=0)).std()) for kernel in (even, uneven)]
    assert spreads[0] < 0.1
    assert spreads[1] == pytest.approx(0.5, abs=0.08)


def test_fused_networks_keep_their_own_weights():
    first, second = ([jax.random.normal(jax.random.key(seed), (5, 4)), jnp.ones((4, 3))] for seed in (0, 1))
    kernels = fused(first, second, jax.random.key(2), 0.3)
    for kernel, w, v in zip(kernels, first, second, strict=True):
        (a, b), labels = w.shape, modules(kernel.shape, 2)
        assert crossing(kernel, labels[: 2 * a], labels[2 * a :]) == pytest.approx(0.3, rel=1e-5)
        assert float(jnp.abs(kernel).sum()) == pytest.approx(float(jnp.abs(w).sum() + jnp.abs(v).sum()), rel=1e-5)
        scale = kernel[0, 0] / w[0, 0]
        np.testing.assert_allclose(kernel[:a, :b], scale * w, rtol=1e-5)
        np.testing.assert_allclose(kernel[a:, b:], scale * v, rtol=1e-5)
        between = jnp.sort(kernel[:a, b:].ravel())
        np.testing.assert_allclose(between / between[-1], jnp.sort(w.ravel()) / w.max(), rtol=1e-4)
    assert not np.array_equal(jnp.argsort(kernels[0][:5, 4:].ravel()), jnp.argsort(first[0].ravel()))


def test_states_of_a_linear_network_have_the_covariance_of_its_weights():
    """C = W^T C W + 1, the discrete Lyapunov equation; and one step apart C W."""
    (kernel,) = planted(jax.random.key(2), 0.2, width=6, num_kernels=1, num_modules=2)
    states = np.asarray(linear_states(kernel, jax.random.key(3), num_trials=400, num_steps=100, radius=0.7), float)
    assert states.shape == (400, 100, 6)
    weights = np.asarray(kernel, float) * 0.7 / abs(np.linalg.eigvals(kernel)).max()
    expected = scipy.linalg.solve_discrete_lyapunov(weights.T, np.eye(6))
    size = states.size / 6
    within = 6 * expected.max() / (size * (1 - 0.7) / (1 + 0.7)) ** 0.5  # six standard errors, for the memory of .7
    np.testing.assert_allclose(np.einsum("tsi,tsj->ij", states, states) / size, expected, atol=within)
    lagged = np.einsum("tsi,tsj->ij", states[:, :-1], states[:, 1:]) / (size * 99 / 100)
    np.testing.assert_allclose(lagged, expected @ weights, atol=within)
