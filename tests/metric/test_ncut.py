"""The n-cut against a slow reference, networkx, closed forms and sums worked out by hand."""

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.metric.ncut import batched_ncut
from tests.metric import nets

ncut = jax.jit(mj.ncut, static_argnames="num_clusters")


def random_labels(seed, num_nodes, num_clusters):
    return np.random.default_rng(seed).integers(0, num_clusters, num_nodes)


def complete_graph(num_nodes):
    return mj.SparseGraph.from_scipy(np.ones((num_nodes, num_nodes)) - np.eye(num_nodes))


@pytest.mark.parametrize("num_clusters", [2, 3, 7])
@pytest.mark.parametrize("kind", ["layered", "sparse"])
def test_equals_the_slow_reference(kind, num_clusters):
    layered = mj.LayeredGraph.from_weights(nets.holed_weights())
    graph = layered if kind == "layered" else nets.sparse_twin(layered)
    for seed in range(5):
        labels = random_labels(seed, graph.num_nodes, num_clusters)
        expected = nets.slow_ncut(nets.dense(graph), labels, num_clusters)
        np.testing.assert_allclose(ncut(graph, labels, num_clusters=num_clusters), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_equals_networkx_for_two_clusters(seed):
    net = nets.random_net(seed, (5, 6, 4))
    labels = random_labels(seed, net.num_nodes, 2)
    reference = networkx.from_numpy_array(nets.dense(net))
    expected = networkx.normalized_cut_size(reference, np.flatnonzero(labels == 0), weight="weight")
    np.testing.assert_allclose(ncut(net, labels, num_clusters=2), expected, rtol=1e-5)


@pytest.mark.parametrize("num_clusters", [2, 4])
def test_disjoint_cliques_cost_nothing(num_clusters):
    clique = np.ones((5, 5)) - np.eye(5)
    graph = mj.SparseGraph.from_scipy(np.kron(np.eye(num_clusters), clique))
    assert ncut(graph, np.repeat(np.arange(num_clusters), 5), num_clusters=num_clusters) == 0


@pytest.mark.parametrize(("num_clusters", "size"), [(2, 3), (3, 4), (5, 2)])
def test_complete_graph_in_equal_parts(num_clusters, size):
    # A part of m of the n vertices cuts m (n - m) edges and has volume m (n - 1).
    num_nodes = num_clusters * size
    found = ncut(complete_graph(num_nodes), np.arange(num_nodes) % num_clusters, num_clusters=num_clusters)
    np.testing.assert_allclose(found, num_clusters * (num_nodes - size) / (num_nodes - 1), rtol=1e-6)


def test_toy_net_with_two_clusters():
    # Inputs a, b; outputs c, d. Edges a-c 3, a-d 1, b-d 2. Parts {a, c} and {b, d}: only a-d is cut, 1.
    # Volumes: a 4 + c 3 = 7, b 2 + d 3 = 5. So 1/7 + 1/5 = 12/35.
    net = mj.LayeredGraph.from_weights([[[-3.0, 1.0], [0.0, 2.0]]])
    np.testing.assert_allclose(ncut(net, jnp.array([0, 1, 0, 1]), num_clusters=2), 12 / 35, rtol=1e-6)


def test_toy_net_with_three_clusters():
    # Inputs a, b; hidden c, d; output e. Edges a-c 2, a-d 1, b-c 1, b-d 4, c-e 3, d-e 1.
    # {a, c}: cut a-d 1 + b-c 1 + c-e 3 = 5, volume 3 + 6 = 9. {b, d}: cut a-d 1 + b-c 1 + d-e 1 = 3, volume
    # 5 + 6 = 11. {e}: cut 4, volume 4. So 5/9 + 3/11 + 1 = 181/99.
    net = mj.LayeredGraph.from_weights([[[2.0, -1.0], [1.0, 4.0]], [[3.0], [-1.0]]])
    np.testing.assert_allclose(ncut(net, jnp.array([0, 1, 0, 1, 2]), num_clusters=3), 181 / 99, rtol=1e-6)


def test_gradient_agrees_with_finite_differences():
    weights = [w + 0.2 * np.sign(w) for w in nets.random_weights(1, (4, 5, 3))]  # |.| has no gradient at 0
    labels = random_labels(2, 12, 3)

    def slow(kernels):
        adjacency = nets.dense(mj.LayeredGraph(tuple(np.abs(np.asarray(w, float)) for w in kernels)))
        return nets.slow_ncut(adjacency, labels, 3)

    found = jax.grad(lambda w: ncut(mj.LayeredGraph.from_weights(w), labels, num_clusters=3))(weights)
    step = 1e-5
    for layer, kernel in enumerate(weights):
        for place in np.ndindex(kernel.shape):
            ends = []
            for sign in (1, -1):
                moved = [np.array(w, float) for w in weights]
                moved[layer][place] += sign * step
                ends.append(slow(moved))
            np.testing.assert_allclose(found[layer][place], (ends[0] - ends[1]) / (2 * step), atol=2e-6)


def test_gradient_is_finite_with_an_empty_cluster():
    net = nets.random_net(3, (4, 3))
    gradient = jax.grad(lambda g: ncut(g, jnp.array([0, 0, 1, 1, 0, 1, 1]), num_clusters=4))(net)
    assert np.isfinite(gradient.affinities[0]).all()


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_scaling_the_weights_changes_nothing(factor):
    net = nets.random_net(4, (5, 6, 4))
    scaled = mj.LayeredGraph.from_weights([factor * w for w in nets.random_weights(4, (5, 6, 4))])
    labels = random_labels(4, 15, 3)
    np.testing.assert_allclose(ncut(scaled, labels, num_clusters=3), ncut(net, labels, num_clusters=3), rtol=1e-5)


def test_names_of_the_clusters_change_nothing():
    net = nets.random_net(5, (5, 6, 4))
    labels = random_labels(5, 15, 4)
    renamed = np.array([2, 3, 1, 0])[labels]
    np.testing.assert_allclose(ncut(net, renamed, num_clusters=4), ncut(net, labels, num_clusters=4), rtol=1e-6)


def test_order_of_the_vertices_changes_nothing():
    senders, receivers, weights = nets.random_edges(6, 15, 40)
    labels = random_labels(6, 15, 3)
    place = np.random.default_rng(6).permutation(15)
    moved_labels = np.empty(15, int)
    moved_labels[place] = labels
    before = ncut(mj.SparseGraph.from_edges(senders, receivers, weights, num_nodes=15), labels, num_clusters=3)
    moved = mj.SparseGraph.from_edges(place[senders], place[receivers], weights, num_nodes=15)
    np.testing.assert_allclose(ncut(moved, moved_labels, num_clusters=3), before, rtol=1e-5)


def test_label_of_an_isolated_vertex_does_not_matter():
    net = mj.LayeredGraph.from_weights(nets.holed_weights())
    isolated = np.flatnonzero(np.asarray(net.degrees()) == 0)
    labels = random_labels(7, net.num_nodes, 3)
    found = set()
    for label in (-1, 0, 2):
        labels[isolated] = label
        found.add(float(ncut(net, labels, num_clusters=3)))
    assert isolated.size == 4
    assert len(found) == 1


def test_edge_to_a_vertex_without_cluster_is_cut():
    # Path a-b-c, c without a cluster: {a, b} cuts b-c 1 of volume 1 + 2.
    path = mj.SparseGraph.from_edges([0, 1], [1, 2], [1.0, 1.0], num_nodes=3)
    np.testing.assert_allclose(ncut(path, jnp.array([0, 0, -1]), num_clusters=2), 1 / 3, rtol=1e-6)


def test_empty_cluster_has_no_term():
    net = nets.random_net(8, (5, 6, 4))
    labels = random_labels(8, 15, 2)
    np.testing.assert_allclose(ncut(net, labels, num_clusters=9), ncut(net, labels, num_clusters=2), rtol=1e-6)


def test_one_cluster_holds_all():
    assert ncut(nets.random_net(8, (5, 6, 4)), np.zeros(15, int), num_clusters=2) == 0


def test_every_vertex_by_itself_costs_one_each():
    np.testing.assert_allclose(ncut(complete_graph(6), np.arange(6), num_clusters=6), 6, rtol=1e-6)


def test_small_cut_between_heavy_parts_is_exact():
    # volume - inner weight would leave only rounding of 2e6 here.
    adjacency = np.kron(np.eye(2), np.full((3, 3), 1e6))
    np.fill_diagonal(adjacency, 0)
    adjacency[0, 3] = adjacency[3, 0] = 1e-3
    found = ncut(mj.SparseGraph.from_scipy(adjacency), jnp.array([0, 0, 0, 1, 1, 1]), num_clusters=2)
    np.testing.assert_allclose(found, 2 * 1e-3 / 6e6, rtol=1e-5)


def test_eager_equals_jitted():
    net, labels = nets.random_net(9, (5, 6, 4)), [0, 1, 2] * 5
    np.testing.assert_allclose(
        mj.ncut(net, labels, num_clusters=3), ncut(net, jnp.array(labels), num_clusters=3), rtol=1e-6
    )


def test_batched_equals_one_by_one():
    net = nets.random_net(9, (5, 6, 4))
    labels = jnp.stack([jnp.asarray(random_labels(seed, 15, 3)) for seed in range(4)])
    expected = [ncut(net, row, num_clusters=3) for row in labels]
    np.testing.assert_allclose(batched_ncut(net, labels, num_clusters=3), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "num_clusters", "text"),
    [
        (np.zeros(7, int), 1, r"num_clusters must be at least 2, got 1"),
        (np.zeros(7, int), 2.5, r"num_clusters must be a whole number, got 2\.5"),
        (np.full(7, 2**32), 2, r"labels must lie in -1\.\.1, got 4294967296\.\.4294967296"),
        (np.zeros(6, int), 2, r"labels must have shape \(7,\), one per vertex, got \(6,\)"),
        (np.zeros((1, 7), int), 2, r"labels must have shape \(7,\), one per vertex, got \(1, 7\)"),
        (np.zeros(7), 2, r"labels must be integers, got float32"),
        (np.array([0, 1, 2, 0, 0, 0, 0]), 2, r"labels must lie in -1\.\.1, got 0\.\.2"),
        (np.array([0, 1, -2, 0, 0, 0, 0]), 2, r"labels must lie in -1\.\.1, got -2\.\.1"),
    ],
)
def test_bad_input(labels, num_clusters, text):
    with pytest.raises(ValueError, match=text):
        mj.ncut(nets.random_net(0, (4, 3)), labels, num_clusters=num_clusters)
