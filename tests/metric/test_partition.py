"""Partitions into a traced number of clusters, by the program for more: against those by a program of their own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.metric.partition import partition
from modularity_jax.metric.settings import Settings
from tests.metric import nets

WIDTHS = (40, 24, 24, 8)
MOST = 6


@functools.partial(jax.jit, static_argnums=2)
def run(graph, key, settings, used=None):
    return partition(graph, key, settings, used)


def settings(num_clusters=MOST, **how):
    return Settings(**{"num_clusters": num_clusters, "num_restarts": 10, "selection": "ncut", "solver": "auto"} | how)


def net(seed):
    return nets.random_net(seed, WIDTHS, 0.25)


def some(graph, seed, used, **how):
    return run(graph, jax.random.key(seed), settings(**how), jnp.int32(used))


@pytest.mark.parametrize(("used", "refine"), [(2, True), (4, False), (MOST, True)])
def test_as_good_as_by_a_program_of_its_own(used, refine):
    ours, theirs = [], []
    for seed in range(20):
        found = some(net(seed), seed, used, refine=refine)
        expected = run(net(seed), jax.random.key(seed), settings(used, refine=refine))
        np.testing.assert_allclose(found.eigenvalues[:used], expected.eigenvalues, atol=1e-5)
        np.testing.assert_allclose(found.lower_bound, expected.lower_bound, atol=1e-5)
        assert (np.asarray(found.eigenvalues[used:]) == 0).all()
        assert (found.num_empty, found.num_isolated, found.converged) == (0, expected.num_isolated, True)
        labels, connected = np.asarray(found.labels), np.asarray(net(seed).degrees()) > 0
        np.testing.assert_array_equal(labels == -1, ~connected)
        assert set(labels[connected]) == set(range(used))
        np.testing.assert_allclose(found.value, nets.slow_ncut(nets.dense(net(seed)), labels, used), rtol=1e-5)
        ours.append(float(found.value))
        theirs.append(float(expected.value))
    difference = np.array(ours) - np.array(theirs)
    # Other random numbers: two standard errors of the mean of paired differences, which are to be small themselves.
    assert abs(difference.mean()) <= 0.005 * np.mean(theirs) + 2 * nets.standard_error(difference)
    assert nets.standard_error(difference) < 0.01 * np.mean(theirs)


@pytest.mark.parametrize("used", [1, 2, 3, 4, 5, MOST])
def test_as_many_planted_blocks_are_found(used):
    graph = mj.LayeredGraph.from_weights(nets.planted_weights(used, WIDTHS, used))
    truth = np.concatenate([nets.block_labels(width, used) for width in WIDTHS])
    assert nets.same_partition(some(graph, 0, used, refine=True).labels, truth)


@pytest.mark.parametrize("used", [1, 3])
def test_without_two_sides_and_by_products_alone(used):
    for seed in range(3):
        graph = nets.sparse_twin(net(seed))
        found = some(graph, seed, used, solver="krylov", refine=True)
        labels = np.asarray(found.labels)
        assert set(labels) - {-1} == set(range(used))
        assert found.converged
        values = nets.spectrum(nets.dense(graph))[0]
        np.testing.assert_allclose(found.eigenvalues, np.where(np.arange(MOST) < used, values[:MOST], 0), atol=1e-4)
        assert used - values[:used].sum() - 1e-3 <= found.lower_bound <= found.value + 1e-6
        np.testing.assert_allclose(found.value, nets.slow_ncut(nets.dense(graph), labels, used), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("used", [3, 5])
def test_what_cannot_be_filled_is_counted_among_those_in_use(used):
    kernels = [np.zeros(shape, np.float32) for shape in ((40, 24), (24, 24), (24, 8))]
    for unit in range(2):
        kernels[0][unit, unit] = 1
    found = some(mj.LayeredGraph.from_weights(kernels), 0, used, refine=True)
    assert found.num_empty == max(used - 4, 0)
    labels = np.asarray(found.labels)
    assert np.unique(labels[labels >= 0]).size == min(used, 4)
    assert labels.max() < used
