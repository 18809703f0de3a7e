"""Both kinds of graph against the dense adjacency matrix."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from jax.experimental import sparse

import modularity_jax as mj
from tests.metric import nets

LARGEST = np.iinfo(np.int32).max

GRAPHS = {
    "one layer": nets.random_net(0, (4, 3), 0.6),
    "three layers": nets.random_net(1, (5, 8, 6, 4), 0.4),
    "isolated": mj.LayeredGraph.from_weights(nets.holed_weights()),
    "edges": mj.SparseGraph.from_edges(*nets.random_edges(2, 20, 30, num_isolated=3), num_nodes=20),
    "residual": nets.residual_net(7),
    "two inputs": nets.two_inputs(8),
    "recurrent": nets.recurrent_net(9),
}


@pytest.fixture(params=GRAPHS)
def graph(request):
    return GRAPHS[request.param]


def slow_neighbour_min(adjacency, values):
    return [min((values[j] for j in np.flatnonzero(row)), default=LARGEST) for row in adjacency]


def test_degrees(graph):
    np.testing.assert_allclose(graph.degrees(), nets.dense(graph).sum(axis=0), rtol=1e-6)


def test_matvec(graph):
    x = np.random.default_rng(3).normal(size=(4, graph.num_nodes)).astype(np.float32)
    np.testing.assert_allclose(graph.matvec(jnp.asarray(x)), x @ nets.dense(graph), atol=2e-5)


def test_neighbour_min(graph):
    values = np.random.default_rng(4).permutation(graph.num_nodes).astype(np.int32)
    found = graph.neighbour_min(jnp.asarray(values))
    np.testing.assert_array_equal(found, slow_neighbour_min(nets.dense(graph), values))


def test_layered_equals_its_edge_list():
    layered = GRAPHS["isolated"]
    edges = nets.sparse_twin(layered)
    x = jnp.asarray(np.random.default_rng(5).normal(size=(3, layered.num_nodes)), jnp.float32)
    values = jnp.arange(layered.num_nodes, dtype=jnp.int32)[::-1]
    np.testing.assert_allclose(layered.degrees(), edges.degrees(), rtol=1e-6)
    np.testing.assert_allclose(layered.matvec(x), edges.matvec(x), atol=1e-5)
    np.testing.assert_array_equal(layered.neighbour_min(values), edges.neighbour_min(values))


def test_sign_does_not_matter():
    weights = nets.random_weights(6, (4, 3, 2))
    np.testing.assert_array_equal(
        mj.LayeredGraph.from_weights(weights).degrees(), mj.LayeredGraph.from_weights([-w for w in weights]).degrees()
    )
    edge = mj.SparseGraph.from_edges([0], [1], [-2.0], num_nodes=2)
    np.testing.assert_array_equal(edge.degrees(), [2, 2])


def test_whole_numbers_become_floats():
    assert mj.LayeredGraph.from_weights([[[1, 2], [3, 4]]]).degrees().dtype == jnp.float32
    assert mj.SparseGraph.from_edges([0], [1], [2], num_nodes=2).degrees().dtype == jnp.float32


def test_sizes():
    net = GRAPHS["three layers"]
    assert net.widths == (5, 8, 6, 4)
    assert net.num_nodes == 23
    assert [part.shape for part in net.split(jnp.zeros((2, 23)))] == [(2, 5), (2, 8), (2, 6), (2, 4)]


def dense_params(names):
    """Layers 3-4-5-6 under the names, in this order."""
    widths = (3, 4, 5, 6)
    shapes = zip(widths, widths[1:], strict=False)
    return {
        name: {"kernel": np.ones(s, np.float32), "bias": np.ones(s[1])} for name, s in zip(names, shapes, strict=True)
    }


@pytest.mark.parametrize(
    "names", [("Dense_0", "Dense_2", "Dense_10"), ("layer_00", "layer_01", "layer_02"), ("fc8", "fc9", "fc10")]
)
def test_from_params_takes_layers_by_number(names):
    sorted_as_a_pytree = jax.tree.map(lambda x: x, dense_params(names))
    assert mj.LayeredGraph.from_params(sorted_as_a_pytree).widths == (3, 4, 5, 6)
    assert mj.LayeredGraph.from_params({"params": sorted_as_a_pytree}).widths == (3, 4, 5, 6)


def test_from_params_passes_over_what_has_no_array():
    params = dense_params(("Dense_0", "Dense_1", "Dense_2")) | {"Dropout_0": {}, "relu": None}
    assert mj.LayeredGraph.from_params(params).widths == (3, 4, 5, 6)
    variables = {"params": params, "batch_stats": {}, "intermediates": {"Dense_0": {"__call__": (np.ones(4),)}}}
    with pytest.warns(UserWarning, match="the collection 'intermediates' of params is passed over"):
        assert mj.LayeredGraph.from_params(variables).widths == (3, 4, 5, 6)


def test_from_params_of_one_layer_needs_no_number():
    assert mj.LayeredGraph.from_params({"out": {"kernel": np.ones((3, 2))}}).widths == (3, 2)


def test_from_params_under_jit():
    params = dense_params(("Dense_0", "Dense_2", "Dense_10"))
    degrees = jax.jit(lambda p: mj.LayeredGraph.from_params(p).degrees())(params)
    np.testing.assert_array_equal(degrees, [4] * 3 + [8] * 4 + [10] * 5 + [5] * 6)


def test_graph_passes_through_jit(graph):
    doubled = jax.jit(lambda g: jax.tree.map(lambda w: 2 * w if jnp.issubdtype(w.dtype, jnp.floating) else w, g))(graph)
    assert type(doubled) is type(graph)
    assert doubled.num_nodes == graph.num_nodes
    np.testing.assert_allclose(nets.dense(doubled), 2 * nets.dense(graph))


@pytest.mark.parametrize("kind", ["layered", "sparse"])
def test_vmap_over_stacked_graphs(kind):
    layered = [nets.random_net(seed, (4, 5, 3)) for seed in range(3)]
    graphs = layered if kind == "layered" else [nets.sparse_twin(g) for g in layered]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *graphs)
    found = jax.vmap(lambda g: g.degrees())(stacked)
    np.testing.assert_allclose(found, np.stack([nets.dense(g).sum(axis=0) for g in graphs]), rtol=1e-6)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.coo_matrix, np.asarray])
def test_from_scipy_and_back(form):
    senders, receivers, weights = nets.random_edges(7, 12, 25, num_isolated=2)
    matrix = nets.dense(mj.SparseGraph.from_edges(senders, receivers, weights, num_nodes=12))
    np.testing.assert_allclose(nets.dense(mj.SparseGraph.from_scipy(form(matrix))), matrix, rtol=1e-6)


def test_from_scipy_of_an_empty_matrix():
    graph = mj.SparseGraph.from_scipy(scipy.sparse.csr_array((4, 4)))
    np.testing.assert_array_equal(graph.degrees(), np.zeros(4))


def test_double_edges_add_up_and_edges_of_weight_zero_are_none():
    graph = mj.SparseGraph.from_edges([0, 1, 1], [1, 0, 2], [2.0, 3.0, 0.0], num_nodes=3)
    np.testing.assert_array_equal(graph.degrees(), [5, 5, 0])
    np.testing.assert_array_equal(graph.neighbour_min(jnp.arange(3)), [1, 0, LARGEST])


ONES = np.ones((3, 4))


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([], r"weights must hold at least one layer, got none"),
        (
            [ONES, ONES],
            r"weights must chain: weights\[0\] has shape \(3, 4\), so weights\[1\] needs 4 rows, got \(3, 4\)",
        ),
        ([np.ones(3)], r"weights\[0\] must have shape \[d_in, d_out\], got \(3,\)"),
        ([ONES, np.ones((4, 2, 2))], r"weights\[1\] must have shape \[d_in, d_out\], got \(4, 2, 2\)"),
        ([ONES, np.ones((4, 0))], r"weights\[1\] must not be empty, got \(4, 0\)"),
        (
            [ONES, np.array([[1.0], [np.nan], [np.inf], [0.0]])],
            r"weights\[1\] must be finite, got 2 non-finite of 4 values",
        ),
        (3, r"weights must be a sequence, got int"),
        ({"a": ONES}, r"weights must be a sequence, got dict"),
        ([ONES.astype(complex)], r"weights\[0\] must be real numbers, got complex128"),
        ([np.ones((4, 3)), np.ones((5, 4))], r"needs 3 rows, got \(5, 4\); transposed they chain: PyTorch and Equinox"),
        (
            [scipy.sparse.eye_array(3)],
            r"weights\[0\] must be a dense array, got a sparse dia_array; pass its \.toarray\(\)",
        ),
        (
            [sparse.BCOO.fromdense(ONES)],
            r"weights\[0\] must be a dense array, got a sparse BCOO; pass its \.todense\(\)",
        ),
        ([[[1.0, 2.0], [3.0]]], r"weights\[0\] must be an array, got what NumPy cannot make one of: setting an array"),
    ],
)
def test_bad_weights(weights, text):
    with pytest.raises(ValueError, match=text):
        mj.LayeredGraph.from_weights(weights)


def test_shapes_are_checked_under_jit_and_values_are_not():
    with pytest.raises(ValueError, match="weights must chain"):
        jax.jit(lambda a, b: mj.LayeredGraph.from_weights([a, b]).degrees())(ONES, ONES)
    degrees = jax.jit(lambda a: mj.LayeredGraph.from_weights([a]).degrees())(np.full((1, 1), np.nan))
    assert np.isnan(degrees).all()


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, r"params must hold at least one layer with a kernel, got the entries \[\]"),
        ([ONES], r"params must be a mapping of layers, got list"),
        ({"scale": {"bias": np.ones(3)}}, r"at least one layer with a kernel, got the entries \['scale'\]"),
        (
            dense_params(("first", "second", "third")),
            r"of its own at the end, as Dense_0, Dense_1, got \['first', 'second', 'third'\]; where names do not",
        ),
        (dense_params(("a_1", "b_1", "c_2")), r"one word and a number of its own .* got \['a_1', 'b_1', 'c_2'\]"),
        (dense_params(("encoder_0", "encoder_1", "head_2")), r"must name all layers with one word"),
        (
            {"Conv_0": {"kernel": np.ones((3, 3, 1, 8))}},
            r"params\['Conv_0'\]\['kernel'\] must have shape \[d_in, d_out\]",
        ),
    ],
)
def test_bad_params(params, text):
    with pytest.raises(ValueError, match=text):
        mj.LayeredGraph.from_params(params)


@pytest.mark.parametrize(
    ("senders", "receivers", "weights", "num_nodes", "text"),
    [
        ([0, 1], [1], [1.0, 1.0], 2, r"must have one shape \[E\], got \(2,\), \(1,\), \(2,\)"),
        ([[0]], [[1]], [[1.0]], 2, r"must have one shape \[E\], got \(1, 1\)"),
        ([0], [1], [1.0], 0, r"num_nodes must be at least 1, got 0"),
        ([0, 5], [1, 2], [1.0, 1.0], 5, r"senders must lie in 0\.\.4, got 0\.\.5"),
        ([0, 1], [-1, 2], [1.0, 1.0], 5, r"receivers must lie in 0\.\.4, got -1\.\.2"),
        ([0, 3], [1, 3], [1.0, 1.0], 5, r"must differ, got 1 edges from a vertex to itself, first at 3"),
        ([0], [1], [np.inf], 2, r"weights must be finite, got 1 non-finite of 1 values"),
        ([0.5], [1], [1.0], 2, r"senders must be integers, got float32"),
        (np.array([2**32]), [1], [1.0], 2, r"senders must lie in 0\.\.1, got 4294967296\.\.4294967296"),
        ([0], [1], [1.0], 2.0, r"num_nodes must be a whole number, got 2\.0"),
        ([0], [1], [1.0], 2**31, r"num_nodes must be at most 2147483647, got 2147483648"),
    ],
)
def test_bad_edges(senders, receivers, weights, num_nodes, text):
    with pytest.raises(ValueError, match=text):
        mj.SparseGraph.from_edges(senders, receivers, weights, num_nodes=num_nodes)


@pytest.mark.parametrize(
    ("matrix", "text"),
    [
        (np.ones((2, 3)), r"matrix must have shape \[N, N\], got \(2, 3\)"),
        (
            np.array([[0, 1.0], [0.5, 0]]),
            r"matrix must be symmetric, got entries that differ from their mirror by up to 0\.5",
        ),
        (
            np.diag([0, 1, 2.0]),
            r"matrix must have a zero diagonal, got 2 edges from a vertex to itself, first at 1; pass A - scipy",
        ),
        (np.triu(np.ones((3, 3)), 1), r"matrix must be symmetric, .*; of a directed graph pass A \+ A\.T"),
        (nx.path_graph(4), r"matrix must be an adjacency matrix \[N, N\], got Graph; .* SparseGraph.from_networkx"),
        (np.array([[0, np.nan], [np.nan, 0]]), r"weights must be finite, got 1 non-finite"),
        (np.array([[0, 1.0], [np.nan, 0]]), r"weights must be finite, got 1 non-finite"),
        (np.ones((2, 2), complex), r"matrix must be real numbers, got complex128"),
    ],
)
def test_bad_matrix(matrix, text):
    with pytest.raises(ValueError, match=text):
        mj.SparseGraph.from_scipy(matrix)


@pytest.mark.parametrize("kind", [nx.Graph, nx.MultiGraph])
def test_networkx_graph(kind):
    graph = nx.compose(nx.karate_club_graph(), nx.relabel_nodes(nx.path_graph(3), "abc".__getitem__))
    graph = kind(graph)
    if kind is nx.MultiGraph:
        graph.add_edge("a", "b", weight=-2)
    graph.add_node("alone")
    expected = nx.to_numpy_array(graph, weight="weight") if kind is nx.Graph else nx.to_numpy_array(graph)
    if kind is nx.MultiGraph:  # NetworkX adds up signed weights, and an edge of a graph of neurons is a magnitude
        a, b = list(graph).index("a"), list(graph).index("b")
        expected[a, b] = expected[b, a] = 1 + 2
    found = mj.SparseGraph.from_networkx(graph)
    assert found.num_nodes == 38
    np.testing.assert_allclose(nets.dense(found), expected)


def test_bad_networkx_graphs():
    with pytest.raises(ValueError, match=r"graph must not be directed, got a directed one; pass A \+ A\.T"):
        mj.SparseGraph.from_networkx(nx.DiGraph([(0, 1)]))
    with pytest.raises(ValueError, match=r"got 1 edges from a vertex to itself, first at 1; leave them out"):
        mj.SparseGraph.from_networkx(nx.Graph([(0, 1), (1, 1)]))
    with pytest.raises(ValueError, match=r"graph must be a networkx graph, got ndarray"):
        mj.SparseGraph.from_networkx(np.ones((2, 2)))
    with pytest.raises(
        ValueError,
        match=r"graph must be a LayeredGraph, a BlockGraph, a SparseGraph or a DenseGraph, got Graph; .*from_networkx",
    ):
        mj.cluster(nx.path_graph(4), jax.random.key(0), num_clusters=2)
    with pytest.raises(ValueError, match=r"num_nodes must be at least 1, got 0"):
        mj.SparseGraph.from_networkx(nx.Graph())


def test_masked_weights_are_pruned():
    """A NumPy mask means that an entry is not there; elsewhere than in weights it cannot mean anything."""
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=s) for s in ((5, 6), (6, 4))]
    hidden = [rng.random(k.shape) < 0.6 for k in kernels]
    masked = mj.LayeredGraph.from_weights([np.ma.masked_array(k, m) for k, m in zip(kernels, hidden, strict=True)])
    zeroed = mj.LayeredGraph.from_weights([np.where(m, 0, k) for k, m in zip(kernels, hidden, strict=True)])
    np.testing.assert_array_equal(nets.dense(masked), nets.dense(zeroed))
    edges = mj.SparseGraph.from_edges([0, 1, 2], [1, 2, 3], np.ma.masked_array([1, 2, 3], [0, 1, 0]), num_nodes=4)
    np.testing.assert_array_equal(edges.weights, [1, 0, 3])
    matrix = np.ma.masked_equal(nets.dense(edges), 3)
    np.testing.assert_array_equal(mj.SparseGraph.from_scipy(matrix).degrees(), [1, 1, 0, 0])
    with pytest.raises(ValueError, match=r"labels must not have masked entries, got 1 of them"):
        mj.ncut(edges, np.ma.masked_array([0, 0, 1, 1], [0, 1, 0, 0]), num_clusters=2)


@pytest.mark.parametrize("name", ["one layer", "three layers", "isolated", "residual", "two inputs"])
def test_edge_list_of_a_layered_graph(name):
    layered = GRAPHS[name]
    edges = mj.SparseGraph.from_layered(layered)
    np.testing.assert_array_equal(nets.dense(edges), nets.dense(layered))
    assert (np.asarray(edges.weights) > 0).all()


def test_edge_list_of_an_edge_list():
    with pytest.raises(ValueError, match=r"graph must be a LayeredGraph or a BlockGraph, got SparseGraph"):
        mj.SparseGraph.from_layered(GRAPHS["edges"])


@pytest.mark.parametrize("height", [1, 3, 8])
def test_neighbour_min_by_rows_that_do_not_divide_the_block(monkeypatch, height):
    """Blocks are searched a few rows at a time; the last rows may be searched twice."""
    monkeypatch.setattr("modularity_jax.graphs.blocks.MAX_CANDIDATES", 6 * height)
    monkeypatch.setattr("modularity_jax.graphs.blocks.MIN_PARTS", 1)
    test_neighbour_min(GRAPHS["three layers"])
