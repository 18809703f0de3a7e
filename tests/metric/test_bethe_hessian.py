"""Groups of a list of edges, against networkx and full spectra."""

import networkx as nx
import numpy as np
import pytest

from modularity_jax.metric.bethe_hessian import Edges, count_groups, largest_component, rewired_edges
from tests.metric import nets


def edges_of(graph):
    senders, receivers = np.array(graph.edges, np.int64).reshape(-1, 2).T
    return Edges(senders, receivers, graph.number_of_nodes())


def slow_num_groups(graph):
    degrees = np.array([degree for _, degree in graph.degree], float)
    root = np.sqrt((degrees**2).mean() / degrees.mean() - 1)
    return int((np.linalg.eigvalsh(nx.bethe_hessian_matrix(graph, root).toarray()) < -1e-9).sum())


def planted(parts, size, inside, across, seed):
    return nx.planted_partition_graph(parts, size, inside, across, seed=seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: nx.gnm_random_graph(60, 180, seed=seed),
        lambda seed: planted(4, 15, 0.6, 0.02, seed),
        lambda seed: nx.barabasi_albert_graph(80, 2, seed=seed),
        lambda seed: nx.random_labeled_tree(30, seed=seed),
        lambda seed: nx.complete_graph(3 + 4 * seed),
        lambda seed: nx.ring_of_cliques(4 + seed, 5),
    ],
)
def test_number_of_negative_eigenvalues(make, seed):
    graph = make(seed)
    assert count_groups(edges_of(graph)) == slow_num_groups(graph)


def test_groups_that_are_there():
    assert count_groups(edges_of(planted(4, 25, 0.5, 0.02, 0))) == 4
    assert count_groups(edges_of(nx.ring_of_cliques(20, 6))) == 20
    assert count_groups(edges_of(nx.complete_graph(30))) == 1
    assert count_groups(edges_of(nx.cycle_graph(9))) <= 1  # r = 1: H is the Laplacian, whose least eigenvalue is 0
    assert count_groups(Edges(*np.zeros((2, 0), np.int64), 1)) == 0


@pytest.mark.parametrize("num_edges", [20, 40, 90])
def test_largest_component(num_edges):
    rng = np.random.default_rng(num_edges)
    ends = rng.integers(50, size=(2, num_edges))
    ends = np.concatenate([ends, ends[::-1, :5], ends[[0, 0]]], axis=1)  # doubles, and loops
    graph = nx.Graph(ends.T.tolist())
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    largest = graph.subgraph(max(nx.connected_components(graph), key=len))
    found = largest_component(*ends)
    assert found.num_nodes == largest.number_of_nodes()
    assert found.senders.size == largest.number_of_edges()
    assert nx.is_isomorphic(nx.Graph(list(zip(found.senders, found.receivers, strict=True))), largest)
    assert (found.senders < found.receivers).all()


def test_rewired_edges_have_any_two_ends():
    """A circle of 40 vertices: it is connected before, and vertices of random pairs are uniform."""
    circle, rng = edges_of(nx.cycle_graph(40)), np.random.default_rng(0)
    same = rewired_edges(circle, 0, rng)
    assert nx.is_isomorphic(nx.Graph(list(zip(*same[:2], strict=True))), nx.cycle_graph(40))
    dense = edges_of(nx.complete_graph(40))
    seen = np.zeros((40, 40))
    for _ in range(300):
        found = rewired_edges(dense, 1, rng)
        assert found.num_nodes == 40
        seen[found.senders, found.receivers] += 1
    # 780 edges fall on 800 cells above the diagonal, less the loops: each pair is among them with the same odds.
    odds = 1 - (1 - 2 / 40**2) ** 780
    pairs = seen[np.triu_indices(40, 1)]
    assert abs(pairs.mean() / 300 - odds) < 4 * np.sqrt(odds * (1 - odds) / pairs.size / 300)
    nets.assert_chi_square(((pairs - 300 * odds) ** 2).sum() / (300 * odds * (1 - odds)), pairs.size)
    half = np.mean([rewired_edges(dense, 0.5, rng).senders.size for _ in range(200)])
    assert 780 / 2 < half < 780
