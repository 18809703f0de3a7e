"""Graphs of named groups and the kernels between them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import modularity_jax as mj
from tests.metric import nets

NETS = {"residual": nets.residual_net, "two inputs": nets.two_inputs, "recurrent": nets.recurrent_net}


@pytest.fixture(params=NETS)
def graph(request):
    return NETS[request.param](3)


def test_a_chain_is_a_layered_graph_whatever_the_order_of_its_edges():
    first, second, third = nets.random_weights(0, (5, 8, 6, 4))
    edges = [("b", "c", second), ("c", "d", third), ("a", "b", first)]
    found = mj.wire(edges)
    want = mj.LayeredGraph.from_weights([first, second, third])
    assert isinstance(found, mj.LayeredGraph)
    for ours, theirs in zip(found.affinities, want.affinities, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ("b", "a")],
        [("a", "a")],
        [("a", "b"), ("a", "b")],
        [("a", "b"), ("c", "d")],
        [("a", "b"), ("b", "c"), ("c", "a")],
        [("a", "b"), ("c", "b")],
        [("a", "b"), ("c", "d"), ("d", "c")],
    ],
)
def test_what_is_no_chain_is_a_block_graph(pairs):
    found = nets.random_wiring(1, dict.fromkeys("abcd", 3), pairs)
    assert isinstance(found, mj.BlockGraph)
    assert found.num_nodes == 3 * len({name for pair in pairs for name in pair})


def test_a_residual_block_equals_scipy_on_its_adjacency():
    """The n-cut of the best of both: the same embedding, by SciPy from the adjacency."""
    graph = nets.residual_net(4)
    adjacency = nets.dense(graph)
    scale = adjacency.sum(axis=0) ** -0.5
    values = scipy.linalg.eigvalsh(scale[:, None] * adjacency * scale[None, :])[::-1][:3]
    found = mj.cluster(graph, jax.random.key(0), num_clusters=3)
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-6)
    np.testing.assert_allclose(found.ncut, nets.slow_ncut(adjacency, np.asarray(found.labels), 3), rtol=1e-6)
    np.testing.assert_allclose(found.lower_bound, 3 - values.sum(), atol=1e-5)


def test_n_cut_and_modularity_of_any_partition(graph):
    labels = np.random.default_rng(5).integers(0, 3, graph.num_nodes)
    adjacency = nets.dense(graph)
    np.testing.assert_allclose(mj.ncut(graph, labels, num_clusters=3), nets.slow_ncut(adjacency, labels, 3), rtol=1e-5)
    total = excess = 0.0
    for block in graph.blocks():
        w, same = np.asarray(block.weights, float), labels[block.rows][:, None] == labels[block.columns][None, :]
        excess += ((w - w.sum(axis=1)[:, None] * w.sum(axis=0)[None, :] / w.sum()) * same).sum()
        total += w.sum()
    np.testing.assert_allclose(mj.modularity(graph, labels, num_clusters=3), excess / total, atol=1e-6)


def test_a_partition_by_groups_is_not_modular_and_all_depth(graph):
    """But for the block between a group and itself, which is all inside and so all expected."""
    widths = graph.groups.widths
    labels = np.repeat(np.arange(len(widths)), widths)
    np.testing.assert_allclose(mj.modularity(graph, labels, num_clusters=len(widths)), 0, atol=1e-6)
    np.testing.assert_allclose(mj.depth_share(graph, labels, num_clusters=len(widths)), 1, atol=1e-6)


@pytest.mark.parametrize("measure", ["ncut", "modularity"])
def test_clusters_and_their_values_agree(graph, measure):
    found = mj.cluster(graph, jax.random.key(1), num_clusters=3, measure=measure)
    score = mj.ncut if measure == "ncut" else mj.modularity
    np.testing.assert_allclose(found.value, score(graph, found.labels, num_clusters=3), atol=1e-5)
    assert found.num_isolated == 0
    assert found.num_components == 1
    assert found.lower_bound <= found.ncut + 1e-5
    assert found.modularity <= found.upper_bound + 1e-5


def test_two_sides_give_what_all_vertices_together_give():
    """The exact solver by the smaller side, and the general one that knows of no sides."""
    graph = nets.two_inputs(6)
    assert graph.sides() is not None
    assert nets.residual_net(6).sides() is None
    assert nets.recurrent_net(6).sides() is None
    found = mj.cluster(graph, jax.random.key(2), num_clusters=3)
    plain = mj.cluster(mj.SparseGraph.from_layered(graph), jax.random.key(2), num_clusters=3)
    np.testing.assert_allclose(found.eigenvalues, plain.eigenvalues, atol=1e-5)
    np.testing.assert_allclose(found.ncut, plain.ncut, rtol=1e-5)


@pytest.mark.parametrize("method", [name for name in nets.WEIGHT_METHODS if name != "edges"])
def test_controls_shuffle_block_by_block(graph, method):
    control = mj.shuffle(graph, jax.random.key(3), method=method)
    assert control.groups == graph.groups
    for ours, given in zip(control.affinities, graph.affinities, strict=True):
        if "distribution" in method or method == "strengths":
            assert (np.asarray(ours) != np.asarray(given)).any()
        else:
            np.testing.assert_array_equal(np.sort(ours, axis=None), np.sort(given, axis=None))
        if method == "strengths":
            for axis in (0, 1):
                np.testing.assert_allclose(ours.sum(axis=axis), given.sum(axis=axis), rtol=1e-3)


def test_modules_through_skips_and_recurrence_are_found():
    """Two planted modules, in every group, and a shuffle test that says so."""
    rng = np.random.default_rng(8)
    widths, pairs = 12, [("in", "h"), ("h", "h"), ("h", "out"), ("in", "out")]
    truth = np.arange(widths) % 2
    same = np.where(truth[:, None] == truth[None, :], 1, 0.1)
    graph = mj.wire([(a, b, rng.uniform(0.5, 1.5, (widths, widths)) * same) for a, b in pairs])
    test = mj.shuffle_test(graph, jax.random.key(4), num_clusters=2, num_shuffles=19, measure="modularity")
    labels = np.asarray(test.clustering.labels)
    assert len(set(zip(labels, np.tile(truth, 3), strict=True))) == 2
    assert test.p_value == 0.05
    assert test.clustering.depth_share < 1e-3


def test_devices_share_the_controls_and_change_no_bit():
    graph = nets.residual_net(7)
    how = {"num_clusters": 3, "num_shuffles": 7}
    one = mj.shuffle_test(graph, jax.random.key(5), **how)
    many = mj.shuffle_test(
        graph, jax.random.key(5), **how, mesh=jax.make_mesh((2,), ("shuffle",), devices=jax.devices()[:2])
    )
    np.testing.assert_array_equal(one.controls, many.controls)
    np.testing.assert_array_equal(one.clustering.labels, many.clustering.labels)


def test_n_cut_is_differentiable_through_wire():
    kernel = jnp.asarray(np.random.default_rng(9).normal(size=(2, 2, 3, 4)), jnp.float32)
    labels = np.array([0, 1, 0, 1, 0, 1, 1])

    @jax.jit
    def cut(kernel):
        return mj.ncut(mj.wire([("x", "y", kernel)], norm="l2"), labels, num_clusters=2)

    slope = jax.grad(cut)(kernel)
    step = jnp.zeros_like(kernel).at[1, 0, 2, 1].set(1e-2)
    np.testing.assert_allclose(slope[1, 0, 2, 1], (cut(kernel + step) - cut(kernel - step)) / 2e-2, rtol=2e-2)


def test_recurrent_weights_add_up_over_both_directions():
    recurrent = np.array([[3.0, 1, 0], [0, 0, 2], [0, 5, 0]])
    graph = mj.wire([("h", "h", recurrent)])
    np.testing.assert_array_equal(nets.dense(graph), recurrent + recurrent.T)
    np.testing.assert_array_equal(graph.degrees(), [7, 8, 7])  # an edge to itself counts from both ends
    # Leicht and Newman's directed modularity: (w_ij - out_i in_j / w) over the pairs inside.
    labels = np.array([0, 1, 1])
    out, into = recurrent.sum(axis=1), recurrent.sum(axis=0)
    want = ((recurrent - np.outer(out, into) / 11) * (labels[:, None] == labels[None, :])).sum() / 11
    np.testing.assert_allclose(mj.modularity(graph, labels, num_clusters=2), want, rtol=1e-6)


def test_description():
    text = mj.describe(mj.wire([("image", "conv 1", np.ones((3, 3, 1, 2))), ("conv 1", "conv 1", np.eye(2))]))
    assert text.splitlines() == [
        "2 groups, 3 units:",
        "  image        1 units",
        "  conv 1       2 units",
        "2 blocks, 6 weights:",
        "  image  -> conv 1        1 x 2,   0% zeros, sum 18",
        "  conv 1 -> conv 1        2 x 2,  50% zeros, sum 2",
        "no two sides: a group is joined with itself, or in a circle of odd length",
    ]
    assert "exact solver: left, right, g | h, out" in mj.describe(nets.two_inputs(0)).replace(
        "h, out | left, right, g", "left, right, g | h, out"
    )


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([], r"edges must hold at least one \(source, target, kernel\), got none"),
        ({"a": 1}, "edges must be a sequence, got dict"),
        ([("a", "b")], r"edges\[0\] must be \(source, target, kernel\), got tuple"),
        ([("a", 3, np.ones((2, 2)))], r"edges\[0\] must name its source and its target, got str and int"),
        ([("a", "b", np.ones(3))], r"edges\[0\] must have a kernel of shape \[..., units in, units out\], got \(3,\)"),
        ([("a", "b", np.ones((2, 0)))], r"edges\[0\] must have a kernel of shape .*, got \(2, 0\)"),
        ([("a", "b", [[1, np.nan]])], r"edges\[0\] must be finite"),
        (
            [("a", "b", np.ones((2, 3))), ("b", "c", np.ones((4, 2)))],
            r"edges\[1\], 'b' -> 'c', has a kernel of shape \(4, 2\), so 4 units of 'b', which has 3 already",
        ),
    ],
)
def test_what_cannot_be_wired_is_named(edges, message):
    with pytest.raises(ValueError, match=message):
        mj.wire(edges)


def test_norm_is_checked():
    with pytest.raises(ValueError, match="norm must be one of l1, l2, max_column, got 'L1'"):
        mj.wire([("a", "b", np.ones((2, 2)))], norm="L1")
