"""Graphs as adjacency matrices: the same as lists of their edges, and blocks for each pair of groups."""

import itertools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

import modularity_jax as mj
from modularity_jax.graphs.components import num_components
from modularity_jax.metric.depth import description_of
from tests.metric import nets

WIDTHS = (5, 1, 6)
SIZE = sum(WIDTHS)
LABELS = np.array([0, 1, 2, 0, 1, 1, 2, 2, 0, 0, 1, -1])


def random_matrix(seed, size=SIZE, density=0.7, isolated=(3,)):
    """Symmetric, of both signs, some edges missing."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.normal(size=(size, size)) * (rng.random((size, size)) < density), 1).astype(np.float32)
    matrix = upper + upper.T
    matrix[list(isolated)] = matrix[:, list(isolated)] = 0
    return matrix


MATRIX = random_matrix(0)
GROUPED = mj.DenseGraph.from_matrix(MATRIX, widths=WIDTHS)
WHOLE = mj.DenseGraph.from_matrix(MATRIX)
EDGES = mj.SparseGraph.from_scipy(np.abs(MATRIX))


@pytest.mark.parametrize("graph", [WHOLE, GROUPED], ids=["whole", "grouped"])
def test_it_is_the_graph_of_its_edges(graph):
    assert graph.num_nodes == EDGES.num_nodes == SIZE
    np.testing.assert_allclose(graph.degrees(), EDGES.degrees(), rtol=1e-6)
    x = np.random.default_rng(1).normal(size=(3, SIZE)).astype(np.float32)
    np.testing.assert_allclose(graph.matvec(x), EDGES.matvec(x), atol=1e-5)
    np.testing.assert_array_equal(graph.connected(), EDGES.connected())
    assert set(zip(*graph.ends(), strict=True)) == set(zip(*EDGES.ends(), strict=True))
    values = jnp.asarray(np.random.default_rng(2).permutation(SIZE).astype(np.int32))
    np.testing.assert_array_equal(graph.neighbour_min(values), EDGES.neighbour_min(values))
    np.testing.assert_array_equal(nets.dense(graph), np.abs(MATRIX))  # from its blocks
    assert num_components(graph) == num_components(EDGES)
    assert graph.size == sum(block.weights.size for block in graph.blocks())


def test_components_are_those_of_networkx():
    parts = np.zeros((9, 9))
    for group in ([0, 4, 7], [1, 2], [3, 5, 6]):  # and vertex 8 alone
        parts[np.ix_(group, group)] = 1
    np.fill_diagonal(parts, 0)
    assert num_components(mj.DenseGraph.from_matrix(parts)) == nx.number_connected_components(nx.Graph(parts)) - 1


@pytest.mark.parametrize("under_jit", [False, True])
def test_blocks_are_the_weights_it_takes(under_jit):
    def rebuilt(graph):
        return graph.with_weights(jnp.concatenate([jnp.asarray(block.weights).reshape(-1) for block in graph.blocks()]))

    for graph in (WHOLE, GROUPED):
        found = (jax.jit(rebuilt) if under_jit else rebuilt)(graph)
        np.testing.assert_array_equal(found.affinity, graph.affinity)
        assert found.widths == graph.widths
    assert [(b.weights.shape, b.triangle) for b in GROUPED.blocks()] == [
        ((a, b), i == j)
        for (i, a), (j, b) in itertools.combinations_with_replacement(enumerate(WIDTHS), 2)
    ]  # fmt: skip


def expected_by_chance(widths):
    """r c / w between two groups and d d / 2m within one, entry by entry."""
    matrix, group = np.abs(MATRIX).astype(float), np.repeat(np.arange(len(widths)), widths)
    found = np.zeros((SIZE, SIZE))
    for i, j in itertools.product(range(SIZE), repeat=2):
        total = matrix[np.ix_(group == group[i], group == group[j])].sum()  # within a group that is 2m
        if total:
            found[i, j] = matrix[i, group == group[j]].sum() * matrix[j, group == group[i]].sum() / total
    return found


@pytest.mark.parametrize("widths", [(SIZE,), WIDTHS, (1,) * SIZE])
def test_null_keeps_strengths_within_each_pair_of_groups(widths):
    graph = mj.DenseGraph.from_matrix(MATRIX, widths=widths)
    expected = expected_by_chance(widths)
    np.testing.assert_allclose(graph.null().product(jnp.eye(SIZE)), expected, atol=1e-5)
    same = (LABELS[:, None] == LABELS[None, :]) & (LABELS >= 0)[None, :]
    matrix = np.abs(MATRIX)
    found = mj.modularity(graph, LABELS, num_clusters=3)
    np.testing.assert_allclose(found, ((matrix - expected) * same).sum() / matrix.sum(), atol=1e-6)


def test_one_group_is_measured_as_its_list_of_edges():
    labels = np.where(LABELS < 0, 3, LABELS)
    parts = [set(np.flatnonzero(labels == k)) for k in range(4)]
    cut, excess = (fn(WHOLE, labels, num_clusters=4) for fn in (mj.ncut, mj.modularity))
    np.testing.assert_allclose(cut, nets.slow_ncut(np.abs(MATRIX), labels, 4), rtol=1e-5)
    np.testing.assert_allclose(excess, nx.community.modularity(nx.Graph(np.abs(MATRIX)), parts), atol=1e-6)
    found, listed = (mj.cluster(graph, jax.random.key(0), num_clusters=3) for graph in (WHOLE, EDGES))
    np.testing.assert_allclose(found.value, listed.value, rtol=1e-4)
    np.testing.assert_allclose(found.eigenvalues, listed.eigenvalues, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(found.labels) < 0, np.arange(SIZE) == 3)
    assert (found.num_isolated, found.num_components) == (1, 1)


def test_what_is_told_of_a_partition():
    """From the blocks, on the host and under jit; the share of depth by scikit-learn."""
    ends = np.repeat(np.arange(SIZE), np.round(20_000 * np.abs(MATRIX).sum(axis=1) * (LABELS >= 0)).astype(int))
    layer = np.repeat(np.arange(3), WIDTHS)
    share = mutual_info_score(layer[ends], LABELS[ends]) / mutual_info_score(LABELS[ends], LABELS[ends])
    labels = jnp.asarray(LABELS, jnp.int32)
    for told in (description_of, jax.jit(description_of, static_argnums=2)):
        found, whole = told(GROUPED, labels, 3), told(WHOLE, labels, 3)
        np.testing.assert_allclose(found.depth_share, share, atol=1e-4)
        assert np.isnan(whole.depth_share)
        for graph, own in ((GROUPED, found), (WHOLE, whole)):
            np.testing.assert_allclose(own.ncut, mj.ncut(graph, LABELS, num_clusters=3), rtol=1e-5)
            np.testing.assert_allclose(own.modularity, mj.modularity(graph, LABELS, num_clusters=3), atol=1e-6)


def test_balanced_blocks_weigh_the_same():
    found = GROUPED.balanced()
    totals = [float(block.weights.sum()) for block in found.blocks()]
    np.testing.assert_allclose(totals, [1, 1, 1, 0, 1, 1], atol=1e-6)  # the one vertex has no pair of its own
    np.testing.assert_allclose(
        mj.modularity(GROUPED, LABELS, num_clusters=3, weighting="layer"),
        mj.modularity(found, LABELS, num_clusters=3),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        mj.coverage(GROUPED, LABELS, num_clusters=3, power=2),
        mj.coverage(mj.SparseGraph.from_scipy(MATRIX**2), LABELS, num_clusters=3),
        rtol=1e-5,
    )


def test_any_real_numbers_will_do():
    whole = np.triu(np.random.default_rng(3).integers(-9, 9, (4, 4)), 1)
    for dtype in (np.int8, np.float16, np.float64):
        found = mj.DenseGraph.from_matrix((whole + whole.T).astype(dtype)).affinity
        np.testing.assert_array_equal(found, np.abs(whole + whole.T))
        assert found.dtype == np.float32
    huge = mj.DenseGraph.from_matrix(3e38 * np.abs(MATRIX / np.abs(MATRIX).max()))
    assert np.isfinite(huge.degrees().sum())
    np.testing.assert_allclose(mj.ncut(huge, LABELS, num_clusters=3), mj.ncut(WHOLE, LABELS, num_clusters=3), rtol=1e-5)
    under_jit = jax.jit(lambda matrix: mj.DenseGraph.from_matrix(matrix, widths=WIDTHS))(MATRIX)
    np.testing.assert_array_equal(under_jit.affinity, GROUPED.affinity)
    assert under_jit.widths == WIDTHS


@pytest.mark.parametrize(
    ("matrix", "widths", "text"),
    [
        (np.ones((2, 3)), None, r"matrix must have shape \[N, N\], got \(2, 3\)"),
        (np.ones(4), None, r"matrix must have shape \[N, N\], got \(4,\)"),
        (np.zeros((0, 0)), None, r"num_nodes must be at least 1, got 0"),
        (np.triu(np.ones((3, 3)), 1), None, r"matrix must be symmetric, got entries that differ .* by up to 1; "),
        (np.eye(3), None, r"matrix must have a zero diagonal, got 3 edges from a vertex to itself, first at 0; "),
        (np.full((2, 2), np.nan), None, r"matrix must be finite, got 4 non-finite of 4 values"),
        (np.full((2, 2), 1j), None, r"matrix must be real numbers, got complex128"),
        (MATRIX, (5, 6), r"widths must add up to the 12 rows of the matrix, got \(5, 6\)"),
        (MATRIX, (12, 0), r"widths must be at least 1, got 0"),
        (MATRIX, (6.0, 6.0), r"widths must be a whole number, got 6\.0"),
        (MATRIX, 12, r"widths must be a sequence, got int"),
    ],
)
def test_bad_input(matrix, widths, text):
    with pytest.raises(ValueError, match=rf"^{text}"):
        mj.DenseGraph.from_matrix(matrix, widths=widths)
