"""Each control keeps what it says it keeps and draws the rest at random."""

import functools
import itertools

import jax
import numpy as np
import pytest
import scipy.stats

import modularity_jax as mj
from modularity_jax.metric.controls import KDE_BANDWIDTH
from tests.conftest import OPTIMISED
from tests.metric import nets

LIST_METHODS = ("layer_nonzero", "layer_nonzero_distribution", "edges")

shuffle = jax.jit(mj.shuffle, static_argnames="method")

KEEP_VALUES = ("layer", "layer_nonzero", "row", "column", "degrees")
KEEP_PLACES = ("layer_nonzero", "layer_nonzero_distribution", "edges")


@functools.cache
def holed():
    return mj.LayeredGraph.from_weights(nets.holed_weights())


@functools.cache
def shuffles(method, count=200):
    """Kernels of `count` controls of the net with isolated vertices, each [count, d_in, d_out]."""
    draw = jax.jit(jax.vmap(lambda key: mj.shuffle(holed(), key, method=method)))
    return [np.asarray(w) for w in draw(nets.keys(0, count)).affinities]


def originals():
    return [np.asarray(w) for w in holed().affinities]


@pytest.mark.parametrize("method", nets.WEIGHT_METHODS)
def test_isolated_vertices_stay_isolated(method):
    connected = [np.asarray(part) > 0 for part in holed().split(holed().degrees())]
    for kernels, rows, columns in zip(shuffles(method), connected, connected[1:], strict=False):
        assert (kernels[:, ~rows, :] == 0).all()
        assert (kernels[:, :, ~columns] == 0).all()


@pytest.mark.parametrize("method", KEEP_VALUES)
def test_layer_keeps_its_weights(method):
    for kernels, before in zip(shuffles(method), originals(), strict=True):
        expected = np.broadcast_to(np.sort(before, axis=None), (len(kernels), before.size))
        np.testing.assert_array_equal(np.sort(kernels.reshape(len(kernels), -1), axis=1), expected)


@pytest.mark.parametrize("method", KEEP_PLACES)
def test_places_of_the_weights_stay(method):
    for kernels, before in zip(shuffles(method), originals(), strict=True):
        np.testing.assert_array_equal(kernels > 0, np.broadcast_to(before > 0, kernels.shape))


@pytest.mark.parametrize("method", nets.WEIGHT_METHODS)
def test_number_of_weights_stays(method):
    for kernels, before in zip(shuffles(method), originals(), strict=True):
        assert ((kernels > 0).sum(axis=(1, 2)) == (before > 0).sum()).all()


@pytest.mark.parametrize(("method", "axis"), [("row", 2), ("column", 1), ("degrees", 2)])
def test_neuron_keeps_its_weights_on_one_side(method, axis):
    for kernels, before in zip(shuffles(method), originals(), strict=True):
        expected = np.broadcast_to(np.sort(before, axis=axis - 1), kernels.shape)
        np.testing.assert_array_equal(np.sort(kernels, axis=axis), expected)
        np.testing.assert_allclose(kernels.sum(axis=axis), expected.sum(axis=axis), rtol=1e-6)


@pytest.mark.parametrize("method", ["layer", "row", "column", "layer_all_distribution", "degrees", "strengths"])
def test_places_of_the_weights_change(method):
    for kernels, before in zip(shuffles(method), originals(), strict=True):
        assert ((kernels > 0) != (before > 0)).any(axis=(1, 2)).mean() > 0.9


@pytest.mark.parametrize("method", ["layer_nonzero_distribution", "layer_all_distribution"])
def test_new_values_lie_near_old_ones(method):
    for kernels, before in zip(shuffles(method), originals(), strict=True):
        old = before[before > 0]
        new = kernels[kernels > 0]
        assert np.abs(new[:, None] - old[None, :]).min(axis=1).max() < 6 * KDE_BANDWIDTH
        assert np.isin(new, old).mean() < 0.01


@pytest.mark.parametrize("method", nets.WEIGHT_METHODS)
def test_no_two_shuffles_are_equal(method):
    flat = np.concatenate([w.reshape(len(w), -1) for w in shuffles(method)], axis=1)
    assert len(np.unique(flat, axis=0)) == len(flat)
    assert not (flat == np.concatenate([w.ravel() for w in originals()])).all(axis=1).any()


@pytest.mark.parametrize("method", ["layer", "column", "layer_all_distribution", "degrees"])
def test_shuffle_does_not_depend_on_the_batch(method):
    alone = shuffle(holed(), nets.keys(0, 200)[17], method=method)
    for kernels, one in zip(shuffles(method), alone.affinities, strict=True):
        np.testing.assert_array_equal(one, kernels[17])


def six_places(method):
    """3 x 2 connected neurons with weights 1..6 among isolated ones, and a second layer that connects them."""
    first, second = np.zeros((4, 4)), np.zeros((4, 1))
    first[np.ix_([0, 2, 3], [1, 3])] = np.arange(1, 7).reshape(3, 2)
    second[[1, 3], 0] = 1
    graph = mj.LayeredGraph.from_weights([first, second])
    draw = jax.jit(jax.vmap(lambda key: mj.shuffle(graph, key, method=method)), compiler_options=OPTIMISED)
    drawn = draw(nets.keys(1, 60_000))
    return np.asarray(drawn.affinities[0])[:, [0, 2, 3]][:, :, [1, 3]].astype(int)


@pytest.mark.parametrize("method", ["layer", "layer_nonzero"])
def test_all_orders_of_a_layer_are_equally_likely(method):
    drawn = six_places(method).reshape(-1, 6)
    seen = np.unique(drawn @ 7 ** np.arange(6), return_counts=True)[1]
    assert seen.size == 720
    nets.assert_counts(seen, len(drawn) / 720)


@pytest.mark.parametrize(("method", "num_lines", "num_orders"), [("row", 3, 2), ("column", 2, 6)])
def test_rows_and_columns_are_shuffled_independently(method, num_lines, num_orders):
    drawn = six_places(method).reshape(-1, 6)
    seen = np.unique(drawn @ 7 ** np.arange(6), return_counts=True)[1]
    assert seen.size == num_orders**num_lines
    nets.assert_counts(seen, len(drawn) / seen.size)


@pytest.mark.parametrize("method", ["layer", "row", "layer_nonzero_distribution"])
def test_layers_are_shuffled_independently(method):
    kernel = nets.random_weights(2, (6, 6))[0]
    drawn = shuffle(mj.LayeredGraph.from_weights([kernel, kernel]), jax.random.key(2), method=method)
    assert not np.array_equal(*drawn.affinities)


def folded_density(old):
    """Distribution function of |w + noise| for w uniform among the old magnitudes."""
    law = scipy.stats.norm(scale=KDE_BANDWIDTH)
    return lambda x: (law.cdf(x[:, None] - old[None, :]) - law.cdf(-x[:, None] - old[None, :])).mean(axis=1)


@pytest.mark.parametrize("method", ["layer_nonzero_distribution", "layer_all_distribution"])
@pytest.mark.parametrize("scale", [1.0, 0.01])  # at 0.01 the density reaches over 0 and is folded
def test_new_values_follow_the_kernel_density(method, scale):
    kernel = scale * nets.random_weights(3, (90, 80), 0.5)[0]
    new = np.asarray(shuffle(mj.LayeredGraph.from_weights([kernel]), jax.random.key(3), method=method).affinities[0])
    old = np.abs(kernel[kernel != 0])
    assert scipy.stats.kstest(new[new > 0], folded_density(old)).pvalue > 1e-3
    # The test is sharp: another bandwidth or the old values themselves are told apart where it matters.
    if scale < 1:
        assert scipy.stats.kstest(old, folded_density(old)).pvalue < 1e-6


def sparse_graph():
    senders, receivers, weights = nets.random_edges(4, 30, 60)
    weights[::10] = 0
    return mj.SparseGraph.from_edges(senders, receivers, weights, num_nodes=30)


@pytest.mark.parametrize("method", LIST_METHODS)
def test_sparse_graph_keeps_its_edges(method):
    before = sparse_graph()
    drawn = jax.jit(jax.vmap(lambda key: mj.shuffle(before, key, method=method).weights))(nets.keys(4, 100))
    np.testing.assert_array_equal(np.asarray(drawn) > 0, np.broadcast_to(before.weights > 0, drawn.shape))
    assert len(np.unique(drawn, axis=0)) == 100
    after = shuffle(before, nets.keys(4, 100)[7], method=method)
    np.testing.assert_array_equal(after.weights, drawn[7])
    np.testing.assert_array_equal(after.senders, before.senders)
    np.testing.assert_array_equal(after.receivers, before.receivers)
    assert after.num_nodes == before.num_nodes


def test_sparse_graph_keeps_its_weights():
    before = sparse_graph()
    after = shuffle(before, jax.random.key(5), method="layer_nonzero")
    np.testing.assert_array_equal(np.sort(after.weights), np.sort(before.weights))


def test_sparse_graph_draws_from_the_kernel_density():
    senders, receivers, weights = nets.random_edges(6, 100, 3000)
    graph = mj.SparseGraph.from_edges(senders, receivers, 0.02 * weights, num_nodes=100)
    new = np.asarray(shuffle(graph, jax.random.key(6), method="layer_nonzero_distribution").weights)
    assert scipy.stats.kstest(new, folded_density(np.asarray(graph.weights))).pvalue > 1e-3


def test_edges_of_a_sparse_graph_are_shuffled_uniformly():
    ends = np.array(list(itertools.combinations(range(4), 2)))
    graph = mj.SparseGraph.from_edges(*ends.T, np.array([1, 2, 0, 3, 4, 0]), num_nodes=4)
    drawn = jax.jit(jax.vmap(lambda key: mj.shuffle(graph, key, method="layer_nonzero").weights))(nets.keys(7, 4000))
    seen = np.unique(np.asarray(drawn).astype(int) @ 5 ** np.arange(6), return_counts=True)[1]
    assert seen.size == 24
    nets.assert_counts(seen, 4000 / 24)


@pytest.mark.parametrize("method", ["row", "layer_all_distribution"])
def test_net_without_a_weight_in_one_layer(method):
    net = mj.LayeredGraph.from_weights([np.zeros((3, 2)), np.ones((2, 3))])
    first, second = shuffle(net, jax.random.key(8), method=method).affinities
    assert (np.asarray(first) == 0).all()
    assert (np.asarray(second) > 0).all()


@pytest.mark.parametrize("method", ["rows", "", "Layer"])
def test_unknown_method_of_a_layered_graph(method):
    known = (
        r"method must be one of layer, layer_nonzero, row, column, layer_nonzero_distribution, layer_all_distribution, "
        r"degrees, strengths, edges, samples, "
    )
    with pytest.raises(ValueError, match=known + f"got '{method}'"):
        mj.shuffle(holed(), jax.random.key(0), method=method)


@pytest.mark.parametrize("method", ["layer", "row", "column", "layer_all_distribution", "degrees", "strengths", "rows"])
def test_method_that_a_sparse_graph_does_not_have(method):
    known = r"method \(of a SparseGraph\) must be one of layer_nonzero, layer_nonzero_distribution, edges, samples, "
    with pytest.raises(ValueError, match=known + f"got '{method}'"):
        mj.shuffle(sparse_graph(), jax.random.key(0), method=method)
