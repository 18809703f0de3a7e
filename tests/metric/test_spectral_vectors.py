"""Eigenvectors that are followed from step to step."""

import jax
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.metric.beyond_trivial import leading_vectors
from modularity_jax.metric.spectral import _clusterability
from tests.metric import nets
from tests.metric.test_spectral import WIDTHS, in_parts, layers


def test_warm_vectors_converge_and_stay_above_on_the_way():
    graph = layers(nets.planted_weights(0, (20, 24, 16), 3, 0.3))
    exact = mj.spectral_clusterability(graph, num_clusters=3)
    vectors = np.random.default_rng(0).normal(size=(graph.num_nodes, 4))
    values = []
    for _ in range(12):
        values.append(float(mj.spectral_clusterability(graph, num_clusters=3, vectors=vectors)))
        vectors = mj.spectral_vectors(graph, num_clusters=3, start=vectors)
    assert values[0] > exact + 0.5
    assert min(values) > exact - 1e-5
    np.testing.assert_allclose(values[-1], exact, rtol=1e-5)
    at_once = mj.spectral_vectors(graph, num_clusters=3, start=np.ones((60, 4)), num_products=12)
    assert at_once.shape == (60, 4)
    np.testing.assert_allclose(at_once.T @ at_once, np.eye(4), atol=1e-5)


def test_a_network_that_falls_apart_is_pushed_on():
    whole = [w + 1e-3 for w in map(np.abs, in_parts(2, 2))]
    apart = layers(in_parts(2, 2))
    vectors = mj.spectral_vectors(layers(whole))
    assert mj.spectral_clusterability(layers(whole)) < mj.spectral_clusterability(apart) - 0.1
    for _ in range(30):
        vectors = mj.spectral_vectors(apart, start=vectors)
    found = mj.spectral_clusterability(apart, vectors=vectors)
    np.testing.assert_allclose(found, mj.spectral_clusterability(apart), rtol=1e-4)


def test_directions_that_were_lost_come_back():
    graph = nets.random_net(1, WIDTHS)
    nothing = jax.jit(lambda w: mj.spectral_vectors(layers(w)))([0 * w for w in nets.random_weights(1, WIDTHS)])
    assert not nothing.any()
    vectors = mj.spectral_vectors(graph, start=nothing, num_products=200)
    found = mj.spectral_clusterability(graph, vectors=vectors)
    np.testing.assert_allclose(found, mj.spectral_clusterability(graph), rtol=1e-4)


def test_a_value_is_two_programs_and_a_warm_one_two_more():
    graphs = [nets.random_net(seed, (5, 4, 3, 2)) for seed in range(2)]
    before = [program._cache_size() for program in (leading_vectors, _clusterability)]
    for graph in graphs:
        mj.spectral_clusterability(graph)
    assert [program._cache_size() for program in (leading_vectors, _clusterability)] == [before[0] + 1, before[1] + 1]
    vectors = mj.spectral_vectors(graphs[0])
    for graph in graphs:
        vectors = mj.spectral_vectors(graph, start=vectors)
        mj.spectral_clusterability(graph, vectors=vectors)
    assert [program._cache_size() for program in (leading_vectors, _clusterability)] == [before[0] + 2, before[1] + 1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_clusters": 1}, r"num_clusters must be at least 2, got 1"),
        ({"start": np.ones((6, 5))}, r"start must have shape \(7, 5\), got \(6, 5\)"),
        ({"start": np.ones((7, 6))}, r"start must have shape \(7, 5\), got \(7, 6\)"),
        ({"num_products": 0}, r"num_products must be at least 1, got 0"),
        ({"graph": None}, r"graph must be a LayeredGraph, a BlockGraph, a SparseGraph or a DenseGraph, got NoneType"),
    ],
)
def test_bad_input_of_the_vectors(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.spectral_vectors(**({"graph": nets.random_net(0, (4, 3))} | arguments))
