"""Connected components against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.csgraph

import modularity_jax as mj
from modularity_jax.graphs.components import component_labels, num_components
from tests.metric import nets

count = jax.jit(num_components)


def reference(adjacency):
    connected = adjacency.sum(axis=0) > 0
    return scipy.sparse.csgraph.connected_components(adjacency[np.ix_(connected, connected)])[0]


@pytest.mark.parametrize("num_edges", [20, 60, 100, 200])
def test_random_graphs(num_edges):
    found, expected = [], []
    for seed in range(10):
        graph = mj.SparseGraph.from_edges(*nets.random_edges(seed, 120, num_edges, num_isolated=4), num_nodes=120)
        found.append(int(count(graph)))
        expected.append(reference(nets.dense(graph)))
    assert found == expected
    assert len(set(expected)) > 1 or num_edges == 200


@pytest.mark.parametrize("density", [0.02, 0.06, 0.5])
def test_layered_nets(density):
    graphs = [nets.random_net(seed, (20, 15, 12, 6), density) for seed in range(10)]
    assert [int(count(g)) for g in graphs] == [reference(nets.dense(g)) for g in graphs]


@pytest.mark.parametrize("density", [0.02, 0.06, 0.5])
def test_labels_are_the_least_vertices_of_components(density):
    graph = nets.random_net(0, (20, 15, 12, 6), density)
    parts = scipy.sparse.csgraph.connected_components(nets.dense(graph))[1]
    least = [np.flatnonzero(parts == part)[0] for part in parts]
    np.testing.assert_array_equal(jax.jit(component_labels)(graph), least)


@pytest.mark.parametrize("order", ["along", "random"])
def test_long_path(order):
    size = 3000
    place = np.arange(size) if order == "along" else np.random.default_rng(0).permutation(size)
    edges = place[:-1], place[1:]
    weights = np.ones(size - 1)
    assert count(mj.SparseGraph.from_edges(*edges, weights, num_nodes=size)) == 1
    weights[[100, 2000]] = 0  # cut into three
    assert count(mj.SparseGraph.from_edges(*edges, weights, num_nodes=size)) == 3


def test_graph_without_edges():
    assert count(mj.SparseGraph.from_edges([0], [1], [0.0], num_nodes=5)) == 0


def test_vmap():
    graphs = [nets.random_net(seed, (20, 15, 12, 6), 0.05) for seed in range(6)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *graphs)
    np.testing.assert_array_equal(jax.vmap(num_components)(stacked), [reference(nets.dense(g)) for g in graphs])
