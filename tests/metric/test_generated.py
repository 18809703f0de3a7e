"""Graphs, n-cuts and clusterings of generated inputs against slow float64 references: 2,270 inputs.

Each ends in a right result or in a `ValueError` that begins with the argument's name.
"""

import functools
import itertools

import hypothesis
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import scipy.sparse
from hypothesis import strategies as st

import modularity_jax as mj
from tests import generated
from tests.generated import FORMS, ORDINARY, TINY, examples, refused
from tests.metric import nets

# Two hidden layers; a bottleneck of one unit; the least net there is.
NETS = {(4, 5, 3): (2, 12), (3, 1, 2): (2,), (1, 1): (2,)}
NUM_NODES, NUM_EDGES = 7, 10
KEY = jax.random.key(0)

# Terms of an n-cut below float32 are 0.
LEAST = 10 * TINY

# An eigenvalue of a Gram matrix is right to 1e-7, its root near 0 therefore to 3e-4.
EIGEN = 5e-4

cluster = functools.partial(mj.cluster, num_restarts=2)


@jax.jit(static_argnames="num_clusters")
def slopes(graph, labels, *, num_clusters):
    """Gradient of the n-cut in the weights."""
    return jax.grad(lambda weights: mj.ncut(with_weights(graph, weights), labels, num_clusters=num_clusters))(
        weights_of(graph)
    )


def weights_of(graph):
    return graph.affinities if isinstance(graph, mj.LayeredGraph) else (graph.weights,)


def with_weights(graph, weights):
    if isinstance(graph, mj.LayeredGraph):
        return mj.LayeredGraph(weights)
    return mj.SparseGraph(graph.senders, graph.receivers, weights[0], graph.num_nodes)


def layered(widths, kinds=tuple(generated.KINDS)):
    return generated.kernels(widths, kinds).map(mj.LayeredGraph.from_weights)


def sparse(kinds=tuple(generated.KINDS)):
    made = generated.edges(NUM_NODES, NUM_EDGES, kinds)
    return made.map(lambda edges: mj.SparseGraph.from_edges(*edges, num_nodes=NUM_NODES))


def graphs(kinds=tuple(generated.KINDS)):
    return st.one_of(*(layered(widths, kinds) for widths in NETS), sparse(kinds))


def nets_of_any_shape():
    return st.sampled_from(list(NETS)).flatmap(generated.kernels)


# --- graphs


def assert_magnitudes(found, given):
    """The documented rule: |.| in float32, in one unit that is a power of two, 0 where float32 ends."""
    with np.errstate(over="ignore"):
        exact = [np.abs(np.asarray(w).astype(np.float32)).astype(float) for w in given]
    size, most = sum(w.size for w in exact), max(w.max(initial=0) for w in exact)
    found = [np.asarray(w) for w in found]
    unit = float(max(w.max(initial=0) for w in found)) / most if most >= TINY else 1
    assert np.frexp(unit)[0] == 0.5
    assert unit == 1 if most <= 2.0**126 / size else 2.0**124 < unit * most * size < 2.0**127
    for now, before in zip(found, exact, strict=True):
        assert now.dtype == np.float32
        np.testing.assert_array_equal(now, np.where(before * unit < TINY, 0, before * unit))


@examples(250)
@hypothesis.given(nets_of_any_shape(), st.sampled_from(list(FORMS)), st.booleans())
def test_kernels_of_any_kind(weights, form, as_jax):
    given = [FORMS[form](w) for w in weights]
    if as_jax and form not in ("float64", "int64", "list"):
        given = [jnp.asarray(w) for w in given]
    graph = mj.LayeredGraph.from_weights(given)
    assert_magnitudes(graph.affinities, [np.asarray(w) for w in given])
    degrees = graph.degrees()
    np.testing.assert_allclose(degrees, nets.dense(graph).sum(axis=0), rtol=1e-5)
    names = [f"layer_{index:02d}" for index in range(len(given))]
    params = {name: {"kernel": w} for name, w in reversed(list(zip(names, given, strict=True)))}
    for other in (
        mj.LayeredGraph.from_weights(iter(given)),
        mj.LayeredGraph.from_params(params),
        mj.LayeredGraph.from_params({"params": params | {"dropout": {}}}),
        mj.SparseGraph.from_layered(graph),
    ):
        np.testing.assert_array_equal(nets.dense(other), nets.dense(graph))


@jax.jit
def products(graph, x, values):
    return graph.matvec(x), graph.neighbour_min(values)


@examples(60)
@hypothesis.given(graphs(), generated.seeds())
def test_products_and_neighbours(graph, seed):
    rng = np.random.default_rng(seed)
    x, values = rng.normal(size=(3, graph.num_nodes)).astype(np.float32), rng.permutation(graph.num_nodes)
    found, least = products(graph, x, values.astype(np.int32))
    adjacency = nets.dense(graph)
    np.testing.assert_array_less(np.abs(found - x @ adjacency), 1e-5 * np.abs(x) @ adjacency + LEAST)
    most = np.iinfo(np.int32).max
    expected = [min((values[j] for j in np.flatnonzero(row)), default=most) for row in adjacency]
    np.testing.assert_array_equal(least, expected)


BAD_KERNELS = {
    "nan": lambda *w: [np.where(np.arange(w[0].size).reshape(w[0].shape) == w[0].size - 1, np.nan, w[0]), *w[1:]],
    "inf": lambda *w: [*w[:-1], np.where(w[-1] == w[-1][0, 0], -np.inf, w[-1])],
    "nan in a JAX array": lambda *w: [*w[:-1], jnp.asarray(w[-1]).at[0, 0].set(jnp.nan)],
    "nan in a half": lambda *w: [np.full(w[0].shape, np.nan, np.float16), *w[1:]],
    "beyond float32": lambda *w: [np.full(w[0].shape, 1e39), *w[1:]],
    "no layer": lambda *w: [],
    "not iterable": lambda *w: 5,
    "a word": lambda *w: "weights",
    "a mapping": lambda *w: dict(enumerate(w)),
    "a number": lambda *w: np.float32(1),
    "none": lambda *w: [None],
    "flat": lambda *w: [w[0].ravel(), *w[1:]],
    "deep": lambda *w: [w[0][None], *w[1:]],
    "no rows": lambda *w: [w[0][:0], *w[1:]],
    "no columns": lambda *w: [*w[:-1], w[-1][:, :0]],
    "no chain": lambda *w: [*w, np.ones((w[-1].shape[1] + 1, 2))],
    "no chain from the inputs": lambda *w: [np.ones((2, w[0].shape[0] + 1)), *w],
    "complex": lambda *w: [w[0].astype(complex), *w[1:]],
    "words": lambda *w: [w[0].astype(str), *w[1:]],
    "objects": lambda *w: [w[0].astype(object), *w[1:]],
    "ragged": lambda *w: [[[1.0, 2.0], [3.0]], *w[1:]],
    "beyond int64": lambda *w: [[[10**30]]],
}


@examples(150)
@hypothesis.given(nets_of_any_shape(), st.sampled_from(list(BAD_KERNELS)), st.booleans())
def test_bad_kernels_are_refused(weights, how, in_jit):
    bad = BAD_KERNELS[how](*weights)
    if in_jit and "JAX" not in how:  # what a jit closes over has values to look at
        refused(lambda: jax.jit(lambda x: mj.LayeredGraph.from_weights(bad).degrees() * x)(1.0), "weights")
    else:
        refused(lambda: mj.LayeredGraph.from_weights(bad), "weights")


BAD_PARAMS = {
    "none": lambda *w: None,
    "a sequence": lambda *w: [{"kernel": kernel} for kernel in w],
    "empty": lambda *w: {},
    "no kernel": lambda *w: {"layer_0": {"bias": w[0]}, 3: 4},
    "nothing below params": lambda *w: {"params": None},
    "no numbers": lambda *w: {"a": {"kernel": w[0]}, "b": {"kernel": w[-1]}},
    "the same number": lambda *w: {"a_1": {"kernel": w[0]}, "b_01": {"kernel": w[-1]}},
    "one without number": lambda *w: {"a_1": {"kernel": w[0]}, "b": {"kernel": w[-1]}},
    "no array": lambda *w: {"a_1": {"kernel": None}},
    "more than layers": lambda *w: {"a_1": {"kernel": w[0]}, "norm": {"scale": 1}},
    "two words": lambda *w: {"a_1": {"kernel": w[0]}, "b_2": {"kernel": w[-1]}},
    "nan": lambda *w: {"a_1": {"kernel": w[0] * np.nan}},
}


@examples(40)
@hypothesis.given(nets_of_any_shape(), st.sampled_from(list(BAD_PARAMS)))
def test_bad_params_are_refused(weights, how):
    refused(lambda: mj.LayeredGraph.from_params(BAD_PARAMS[how](*weights)), "params", "weights")


@examples(150)
@hypothesis.given(
    generated.edges(NUM_NODES, NUM_EDGES),
    st.sampled_from(["int8", "uint16", "int64", "list", "jax"]),
    st.sampled_from(["float32", "float64", "float16", "bfloat16", "int8", "bool", "list"]),
)
def test_edges_of_any_kind(edges, ends_as, weights_as):
    ends = [
        {"list": np.ndarray.tolist, "jax": jnp.asarray}.get(ends_as, lambda e: e.astype(ends_as))(e) for e in edges[:2]
    ]
    weights = FORMS[weights_as](edges[2])
    graph = mj.SparseGraph.from_edges(*ends, weights, num_nodes=np.int64(NUM_NODES))
    assert_magnitudes([graph.weights], [np.asarray(weights)])
    adjacency = np.zeros((NUM_NODES, NUM_NODES))
    np.add.at(adjacency, tuple(edges[:2]), np.asarray(graph.weights, float))
    adjacency += adjacency.T
    np.testing.assert_allclose(nets.dense(graph), adjacency, rtol=1e-12)
    np.testing.assert_allclose(graph.degrees(), adjacency.sum(axis=0), rtol=1e-5)
    assert graph.senders.dtype == graph.receivers.dtype == np.int32


BAD_EDGES = {
    "a loop": lambda s, r, w: (s, np.where(np.arange(len(r)) == 3, s, r), w),
    "too few senders": lambda s, r, w: (s[1:], r, w),
    "too few weights": lambda s, r, w: (s, r, w[:-1]),
    "no weights": lambda s, r, w: (s, r, []),
    "a matrix": lambda s, r, w: (s[None], r[None], w[None]),
    "scalars": lambda s, r, w: (0, 1, 1.0),
    "beyond the last vertex": lambda s, r, w: (s, np.where(np.arange(len(r)) == 2, NUM_NODES, r), w),
    "before the first": lambda s, r, w: (np.where(np.arange(len(s)) == 2, -1, s), r, w),
    "wrapped around": lambda s, r, w: (s + 2**32, r, w),
    "fractions": lambda s, r, w: (s, r + 0.5, w),
    "floats": lambda s, r, w: (s.astype(float), r, w),
    "words": lambda s, r, w: (s.astype(str), r, w),
    "booleans": lambda s, r, w: (s > 0, r, w),
    "none": lambda s, r, w: (None, r, w),
    "ragged": lambda s, r, w: (s, r, [[1.0], [1.0, 2.0]]),
    "nan": lambda s, r, w: (s, r, np.where(np.arange(len(w)) == 1, np.nan, w)),
    "inf": lambda s, r, w: (s, r, np.where(np.arange(len(w)) == 1, -np.inf, w)),
    "complex": lambda s, r, w: (s, r, w * 1j),
    "words as weights": lambda s, r, w: (s, r, w.astype(str)),
}


@examples(120)
@hypothesis.given(
    generated.edges(NUM_NODES, NUM_EDGES),
    st.sampled_from(list(BAD_EDGES)) | st.none(),
    generated.counts(1) | st.just(2**31),
)
def test_bad_edges_are_refused(edges, how, bad_num_nodes):
    if how is None:
        refused(lambda: mj.SparseGraph.from_edges(*edges, num_nodes=bad_num_nodes), "num_nodes")
    else:
        bad = BAD_EDGES[how](*edges)
        refused(lambda: mj.SparseGraph.from_edges(*bad, num_nodes=NUM_NODES), "senders", "receivers", "weights")


def symmetric(edges):
    """Adjacency matrix [N, N] float32 of edges, the sum of what they carry; signs stay."""
    adjacency = np.zeros((NUM_NODES, NUM_NODES), np.float32)
    with np.errstate(over="ignore"):
        np.add.at(adjacency, tuple(edges[:2]), edges[2] / 8)
    return adjacency + adjacency.T


def split_in_two(matrix):
    """Each entry as two of the same place, and a diagonal of stored zeros."""
    rows, columns = np.nonzero(matrix)
    loops = np.arange(len(matrix))
    halves = matrix[rows, columns] / 2
    return scipy.sparse.coo_array(
        (
            np.concatenate([halves, 0 * loops, halves]),
            (np.concatenate([rows, loops, rows]), np.concatenate([columns, loops, columns])),
        ),
        matrix.shape,
    )


MATRICES = {
    "array": np.asarray,
    "double": lambda m: m.astype(float),
    "bfloat16": lambda m: m.astype(ml_dtypes.bfloat16),
    "int8": lambda m: np.clip(m, -128, 127).astype(np.int8),
    "bool": lambda m: m != 0,
    "list": np.ndarray.tolist,
    "jax": jnp.asarray,
    "csr": scipy.sparse.csr_array,
    "old coo": scipy.sparse.coo_matrix,
    "lil": scipy.sparse.lil_array,
    "dok": scipy.sparse.dok_array,
    "csr of bool": lambda m: scipy.sparse.csr_array(m != 0),
    "split in two": split_in_two,
}


@examples(80)
@hypothesis.given(generated.edges(NUM_NODES, NUM_EDGES), st.sampled_from(list(MATRICES)))
def test_matrices_of_any_kind(edges, form):
    matrix = MATRICES[form](symmetric(edges))
    graph = mj.SparseGraph.from_scipy(matrix)
    plain = matrix.toarray() if scipy.sparse.issparse(matrix) else np.asarray(matrix)
    rows, columns = np.nonzero(np.triu(plain.astype(np.float32)))
    other = mj.SparseGraph.from_edges(rows, columns, plain[rows, columns].astype(np.float32), num_nodes=NUM_NODES)
    np.testing.assert_array_equal(nets.dense(graph), nets.dense(other))


BAD_MATRICES = {
    "not square": lambda m: m[1:],
    "flat": np.ravel,
    "deep": lambda m: m[None],
    "a number": lambda m: 3.0,
    "none": lambda m: None,
    "a word": lambda m: "matrix",
    "empty": lambda m: m[:0, :0],
    "empty and sparse": lambda m: scipy.sparse.csr_array((0, 0)),
    "not symmetric": lambda m: np.triu(m) - np.tril(m) + np.triu(np.ones_like(m), 1),
    "a loop": lambda m: m + np.eye(len(m), dtype=np.float32),
    "nan": lambda m: m * np.nan,
    "nan below": lambda m: np.where(np.tri(*m.shape, -1), np.nan, 0),
    "inf": lambda m: np.where(np.eye(len(m)), 0, np.inf),
    "complex": lambda m: m * 1j,
    "complex and sparse": lambda m: scipy.sparse.csr_array(m * 1j + np.eye(len(m))),
    "objects": lambda m: m.astype(object),
}


@examples(80)
@hypothesis.given(generated.edges(NUM_NODES, NUM_EDGES), st.sampled_from(list(BAD_MATRICES)))
def test_bad_matrices_are_refused(edges, how):
    bad = BAD_MATRICES[how](symmetric(edges))
    names = ("matrix", "weights", "senders", "num_nodes")
    refused(lambda: mj.SparseGraph.from_scipy(bad), *names)


# --- n-cut


def slow_slopes(adjacency, labels, num_clusters):
    """Gradient [N, N] of the n-cut in each edge's weight, float64: what it adds to its two clusters' cut and volume."""
    members = labels[:, None] == np.arange(num_clusters)[None, :]
    volume = members.T.astype(float) @ adjacency.sum(axis=0)
    cut = np.einsum("ic,ij,jc->c", members, adjacency, ~members)
    share = np.divide(cut, volume, out=np.zeros(num_clusters), where=volume > 0)
    inverse = np.divide(1, volume, out=np.zeros(num_clusters), where=volume > 0)
    ends = (members @ inverse)[:, None] * (labels[:, None] != labels[None, :]) - (members @ (share * inverse))[:, None]
    return ends + ends.T


def assert_slopes(graph, labels, num_clusters):
    adjacency = nets.dense(graph)
    exact = slow_slopes(adjacency, labels, num_clusters)
    found = slopes(graph, jnp.asarray(labels), num_clusters=num_clusters)
    if isinstance(graph, mj.SparseGraph):
        places = [(np.asarray(graph.senders), np.asarray(graph.receivers))]
    else:
        starts = np.cumsum((0, *graph.widths))
        places = [
            np.ix_(np.arange(a, b), np.arange(b, c)) for a, b, c in zip(starts, starts[1:], starts[2:], strict=False)
        ]
    for slope, at in zip(found, places, strict=True):
        assert np.isfinite(slope).all()
        # Beside the two terms' size: where they cancel, their rounding is left; below float32 it is 0.
        np.testing.assert_allclose(slope, exact[at], rtol=1e-4, atol=1e-5 * np.abs(exact).max() + 2 * TINY)


@examples(300)
@hypothesis.given(st.data(), graphs(), st.sampled_from([2, 4]), st.sampled_from(["int64", "int8", "list", "jax"]))
def test_ncut_and_its_gradient(data, graph, num_clusters, form):
    labels = data.draw(generated.labels(graph.num_nodes, num_clusters))
    given = {"list": np.ndarray.tolist, "jax": jnp.asarray}.get(form, lambda a: a.astype(form))(labels)
    found = mj.ncut(graph, given, num_clusters=num_clusters)
    adjacency = nets.dense(graph)
    exact = nets.slow_ncut(adjacency, labels, num_clusters)
    assert found.shape == ()
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=LEAST)
    assert 0 <= found <= num_clusters * (1 + 1e-6)
    assert_slopes(graph, labels, num_clusters)
    renamed = np.where(labels < 0, -1, num_clusters - 1 - labels)
    np.testing.assert_allclose(mj.ncut(graph, renamed, num_clusters=num_clusters), exact, rtol=1e-5, atol=LEAST)


@examples(60)
@hypothesis.given(st.data(), layered((4, 5, 3)))
def test_order_of_the_neurons_does_not_matter_to_the_ncut(data, graph):
    labels = data.draw(generated.labels(12, 4))
    orders = [np.array(data.draw(st.permutations(range(width)))) for width in graph.widths]
    moved = [np.asarray(w)[a][:, b] for w, a, b in zip(graph.affinities, orders, orders[1:], strict=False)]
    order = np.concatenate([own + start for own, start in zip(orders, (0, 4, 9), strict=True)])
    found = mj.ncut(mj.LayeredGraph.from_weights(moved), labels[order], num_clusters=4)
    np.testing.assert_allclose(found, mj.ncut(graph, labels, num_clusters=4), rtol=1e-5, atol=LEAST)


@examples(60)
@hypothesis.given(st.data(), generated.kernels((4, 5, 3), ("clear of 0", "whole"), (1.0,)))
def test_scale_of_the_weights_does_not_matter_to_the_ncut(data, weights):
    labels = data.draw(generated.labels(12, 4))
    before = mj.ncut(mj.LayeredGraph.from_weights(weights), labels, num_clusters=4)
    for scale in (1e-30, 1e30, 1e-34, 1e37):
        scaled = mj.LayeredGraph.from_weights([w * np.float32(scale) for w in weights])
        np.testing.assert_allclose(mj.ncut(scaled, labels, num_clusters=4), before, rtol=1e-5, atol=LEAST)


@examples(30)
@hypothesis.given(st.data(), st.lists(layered((4, 5, 3)), min_size=3, max_size=3))
def test_ncut_under_vmap_is_a_loop(data, many):
    labels = [data.draw(generated.labels(12, 4)) for _ in many]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *many)
    found = jax.vmap(lambda g, own: mj.ncut(g, own, num_clusters=4))(stacked, jnp.stack(labels))
    alone = [mj.ncut(g, own, num_clusters=4) for g, own in zip(many, labels, strict=True)]
    np.testing.assert_allclose(found, alone, rtol=1e-6)


BAD_LABELS = {
    "too few": lambda x: x[1:],
    "none at all": lambda x: x[:0],
    "a matrix": lambda x: x[None],
    "a number": lambda x: 0,
    "none": lambda x: None,
    "too large": lambda x: np.where(np.arange(len(x)) == 1, 4, x),
    "too small": lambda x: np.where(np.arange(len(x)) == 1, -2, x),
    "wrapped around": lambda x: x + 2**32,
    "beyond int64": lambda x: [10**30] * len(x),
    "floats": lambda x: x.astype(float),
    "halves": lambda x: jnp.asarray(x, jnp.bfloat16),
    "booleans": lambda x: x > 0,
    "words": lambda x: x.astype(str),
    "complex": lambda x: x * 1j,
    "objects": lambda x: x.astype(object),
    "ragged": lambda x: [[0, 1], *x.tolist()],
}


@examples(100)
@hypothesis.given(st.data(), graphs(), st.sampled_from(list(BAD_LABELS)), generated.counts(2) | st.none())
def test_bad_labels_are_refused(data, graph, how, bad_count):
    labels = data.draw(generated.labels(graph.num_nodes, 4))
    if bad_count is None:
        refused(lambda: mj.ncut(graph, BAD_LABELS[how](labels), num_clusters=4), "labels")
    else:
        refused(lambda: mj.ncut(graph, labels, num_clusters=bad_count), "num_clusters")


# --- clusterings


def assert_clustering(graph, found, num_clusters):
    """All that a clustering says of a graph with enough connected vertices, against float64."""
    adjacency = nets.dense(graph)
    connected = adjacency.sum(axis=0) > 0
    labels = np.asarray(found.labels)
    np.testing.assert_array_equal(labels == -1, ~connected)
    sizes = np.bincount(labels[connected], minlength=num_clusters)
    assert len(sizes) == num_clusters
    assert found.num_empty == (sizes == 0).sum() == 0
    assert found.num_isolated == (~connected).sum()
    inner = scipy.sparse.csr_array(adjacency[np.ix_(connected, connected)])
    assert found.num_components == scipy.sparse.csgraph.connected_components(inner)[0]
    np.testing.assert_allclose(found.ncut, nets.slow_ncut(adjacency, labels, num_clusters), rtol=1e-5, atol=LEAST)
    assert 0 <= found.ncut <= num_clusters * (1 + 1e-6)
    assert_spectrum(graph, found, num_clusters)


def assert_spectrum(graph, found, num_clusters):
    eigenvalues = np.asarray(found.eigenvalues)
    assert found.converged
    assert eigenvalues.min() >= -1 - 1e-6
    assert eigenvalues.max() <= 1
    exact = nets.spectrum(nets.dense(graph))[0][:num_clusters]
    if isinstance(graph, mj.LayeredGraph):
        exact = np.maximum(exact, 0)  # what is left of a bipartite graph's spectrum is given as 0
    np.testing.assert_allclose(eigenvalues, exact, atol=EIGEN)
    assert np.diff(eigenvalues).max(initial=-1) <= EIGEN
    # Less what the eigenvalues may be too low by: the root of a residual's rounding where they are 0.
    assert -1e-5 <= num_clusters - eigenvalues.sum() - found.lower_bound <= 1e-3 * num_clusters
    assert found.lower_bound <= found.ncut + EIGEN


def num_connected(graph):
    return int((np.asarray(graph.degrees()) > 0).sum())


def cluster_or_refuse(graph, num_clusters, **settings):
    """A clustering that holds, or a refusal because vertices or edges are too few."""
    connected = num_connected(graph)
    if not connected:
        refused(lambda: cluster(graph, KEY, num_clusters=num_clusters, **settings), "graph must have")
    elif num_clusters > connected:
        refused(lambda: cluster(graph, KEY, num_clusters=num_clusters, **settings), "num_clusters must be at most")
    else:
        assert_clustering(graph, cluster(graph, KEY, num_clusters=num_clusters, **settings), num_clusters)


@examples(250)
@hypothesis.given(st.data(), st.sampled_from([(w, k) for w, counts in NETS.items() for k in counts]))
def test_clusters_of_nets(data, case):
    widths, num_clusters = case
    cluster_or_refuse(data.draw(layered(widths)), num_clusters)


@examples(150)
@hypothesis.given(sparse(), st.sampled_from([2, NUM_NODES]))
def test_clusters_of_edge_lists(graph, num_clusters):
    cluster_or_refuse(graph, num_clusters)


@examples(60)
@hypothesis.given(sparse())
def test_clusters_by_products_only(graph):
    cluster_or_refuse(graph, 2, solver="krylov", selection="inertia")


@examples(50)
@hypothesis.given(generated.kernels((3, 1, 2)))
def test_bound_holds_for_all_bipartitions(weights):
    graph = mj.LayeredGraph.from_weights(weights)
    connected = np.flatnonzero(np.asarray(graph.degrees()) > 0)
    hypothesis.assume(len(connected) >= 2)
    found = cluster(graph, KEY, num_clusters=2)
    least = np.inf
    for chosen in itertools.product([0, 1], repeat=len(connected)):
        labels = np.full(graph.num_nodes, -1)
        labels[connected] = chosen
        if 0 < sum(chosen) < len(connected):
            least = min(least, nets.slow_ncut(nets.dense(graph), labels, 2))
    assert found.lower_bound <= least + EIGEN
    assert found.ncut >= least - 1e-5


@examples(60)
@hypothesis.given(generated.kernels((4, 5, 3), ("clear of 0",), (1.0,)))
def test_powers_of_two_do_not_matter_to_the_clusters(weights):
    graph = mj.LayeredGraph.from_weights(weights)
    hypothesis.assume(num_connected(graph))
    before = cluster(graph, KEY, num_clusters=2)
    for power in (-100, 100):  # nothing is rounded, so all is the same bit for bit
        scaled = mj.LayeredGraph.from_weights([np.ldexp(w, power) for w in weights])
        for one, other in zip(before, cluster(scaled, KEY, num_clusters=2), strict=True):
            np.testing.assert_array_equal(one, other)


@examples(60)
@hypothesis.given(generated.seeds())
def test_scale_of_the_weights_does_not_matter_to_the_clusters(seed):
    # No weight is 0: with coinciding points or several vectors to an eigenvalue, k-means would follow the rounding.
    weights = [w + 0.1 * np.sign(w) for w in nets.random_weights(seed, (4, 5, 3))]
    graph = mj.LayeredGraph.from_weights(weights)
    hypothesis.assume(-np.diff(nets.spectrum(nets.dense(graph))[0])[:2].max() > 0.01)
    before = cluster(graph, KEY, num_clusters=2)
    for scale in (1e-30, 1e30, 1e37):
        scaled = mj.LayeredGraph.from_weights([w * np.float32(scale) for w in weights])
        after = cluster(scaled, KEY, num_clusters=2)
        np.testing.assert_allclose(after.eigenvalues, before.eigenvalues, atol=1e-5)
        np.testing.assert_allclose(after.ncut, before.ncut, atol=1e-5)


@examples(40)
@hypothesis.given(st.lists(layered((4, 5, 3)), min_size=3, max_size=3))
def test_clusters_under_vmap(many):
    """Where nobody sees how many vertices are connected, empty clusters are counted."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *many)
    found = vmapped(stacked, jax.random.split(KEY, 3))
    for index, graph in enumerate(many):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], found)
        connected = num_connected(graph)
        if connected >= 3:
            assert_clustering(graph, own, 3)
            continue
        labels = np.asarray(own.labels)
        assert own.num_empty == 3 - connected == 3 - len(set(labels[labels >= 0]))
        assert own.num_isolated == 12 - connected
        np.testing.assert_allclose(own.ncut, nets.slow_ncut(nets.dense(graph), labels, 3), rtol=1e-5, atol=LEAST)


vmapped = jax.jit(jax.vmap(functools.partial(cluster, num_clusters=3)))

BAD_SETTINGS = {
    "num_clusters": generated.counts(2) | st.integers(13, 2**40),
    "num_restarts": generated.counts(1),
    "selection": st.sampled_from(["", "best", "NCUT", None, 3, ("ncut",)]),
    "solver": st.sampled_from(["", "arpack", "Eigh", None, 0, ["eigh"]]),
    "key": st.sampled_from([None, 0, "key", 1.5, np.zeros(2), jnp.zeros((2, 2), jnp.uint32)]),
}


@examples(120)
@hypothesis.given(st.data(), layered((4, 5, 3), ORDINARY), st.sampled_from(list(BAD_SETTINGS)))
def test_bad_settings_are_refused(data, graph, name):
    given = {"graph": graph, "key": KEY, "num_clusters": 2} | {name: data.draw(BAD_SETTINGS[name])}
    refused(lambda: mj.cluster(**given), *((name, "graph") if name == "num_clusters" else (name,)))


@pytest.mark.parametrize("no_graph", [None, [np.ones((2, 2))], np.ones((2, 2)), {"a_0": {"kernel": np.ones((2, 2))}}])
def test_what_is_no_graph_is_refused(no_graph):
    refused(lambda: mj.ncut(no_graph, [0, 1, 0, 1], num_clusters=2), "graph")
    refused(lambda: mj.cluster(no_graph, KEY, num_clusters=2), "graph")
    refused(lambda: mj.shuffle(no_graph, KEY), "graph")
    refused(lambda: mj.shuffle_test(no_graph, KEY, num_clusters=2), "graph")


@pytest.mark.parametrize("count", [2, np.int64(2), np.uint8(2)])
def test_whole_numbers_of_any_kind(count):
    graph = nets.random_net(0, (4, 5, 3))
    assert cluster(graph, KEY, num_clusters=count).ncut == cluster(graph, KEY, num_clusters=2).ncut


def test_docstring_tells_the_number_of_inputs():
    assert f"{generated.COUNTS[__name__]:,} inputs" in __doc__
