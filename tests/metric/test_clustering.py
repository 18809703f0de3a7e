"""Clustering against planted blocks, brute force and scikit-learn, and its invariances."""

import functools
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.cluster

import modularity_jax as mj
from modularity_jax.runs.compilation import CompileWatch
from tests.metric import nets

WIDTHS = (64, 32, 32, 10)
NUM_NETS = 40


def sparse_net(seed):
    """A pruned net: heavy-tailed weights, one in five kept; some neurons end up isolated."""
    rng = np.random.default_rng(seed)
    shapes = itertools.pairwise(WIDTHS)
    return mj.LayeredGraph.from_weights(
        [rng.standard_t(3, s) * (rng.random(s) < 0.2) * (rng.random((s[0], 1)) < 0.95) for s in shapes]
    )


def scikit_ncut(graph, num_clusters, seed):
    """n-cut of scikit-learn's spectral clustering of the connected vertices."""
    adjacency = nets.dense(graph)
    connected = np.flatnonzero(adjacency.sum(axis=0) > 0)
    adjacency = adjacency[np.ix_(connected, connected)]
    spectral = sklearn.cluster.SpectralClustering(
        num_clusters,
        affinity="precomputed",
        eigen_solver="arpack",
        assign_labels="kmeans",
        n_init=10,
        random_state=seed,
    )
    with nets.one_thread():
        labels = spectral.fit(adjacency).labels_
    return nets.slow_ncut(adjacency, labels, num_clusters)


@functools.cache
def cuts(num_clusters, selection):
    """n-cuts of NUM_NETS sparse nets, without refinement, under two keys each, [NUM_NETS, 2]."""
    run = functools.partial(mj.cluster, num_clusters=num_clusters, selection=selection, refine=False)
    keys = [[jax.random.key(1000 * repeat + seed) for repeat in range(2)] for seed in range(NUM_NETS)]
    return np.array([[float(run(sparse_net(seed), key).ncut) for key in row] for seed, row in enumerate(keys)])


@pytest.mark.parametrize("num_clusters", [2, 4, 7])
def test_agrees_with_scikit_learn(num_clusters):
    # Many nets: on some, two partitions of nearly the same k-means cost differ in n-cut by 5%, and chance decides.
    theirs = [[scikit_ncut(sparse_net(seed), num_clusters, repeat) for repeat in range(2)] for seed in range(NUM_NETS)]
    difference = (cuts(num_clusters, "inertia") - theirs).mean(axis=1)
    error = nets.standard_error(difference)
    assert abs(difference.mean()) <= 0.005 * np.mean(theirs) + 2 * error
    assert error < 0.005 * np.mean(theirs)  # so that the bound above means something


@pytest.mark.parametrize("num_clusters", [2, 4, 7])
def test_selection_by_ncut_is_never_above_selection_by_inertia_on_average(num_clusters):
    assert cuts(num_clusters, "ncut").mean() <= cuts(num_clusters, "inertia").mean() + 1e-6


def test_selection_by_ncut_differs_somewhere():
    assert (cuts(7, "ncut") < cuts(7, "inertia") - 1e-4).any()


@pytest.mark.parametrize("how", [{}, {"refine": False}, {"refine": False, "selection": "inertia"}])
def test_result_of_a_net_with_isolated_neurons(how):
    graph = sparse_net(0)
    result = mj.cluster(graph, jax.random.key(0), num_clusters=4, **how)
    isolated = np.asarray(graph.degrees()) == 0
    labels = np.asarray(result.labels)
    assert isolated.any()
    assert result.num_isolated == isolated.sum()
    np.testing.assert_array_equal(labels == -1, isolated)
    assert set(labels[~isolated]) == {0, 1, 2, 3}
    assert result.num_empty == 0
    assert result.converged
    np.testing.assert_allclose(result.ncut, nets.slow_ncut(nets.dense(graph), labels, 4), rtol=1e-5)
    np.testing.assert_allclose(result.eigenvalues, nets.spectrum(nets.dense(graph))[0][:4], atol=1e-4)
    np.testing.assert_allclose(result.lower_bound, 4 - result.eigenvalues.sum(), atol=1e-5)
    assert result.lower_bound <= result.ncut


def planted(noise):
    return mj.LayeredGraph.from_weights(nets.planted_weights(0, WIDTHS, 4, noise))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_planted_blocks_are_found(noise):
    result = mj.cluster(planted(noise), jax.random.key(0), num_clusters=4)
    truth = np.concatenate([nets.block_labels(width, 4) for width in WIDTHS])
    assert nets.same_partition(result.labels, truth)
    assert result.ncut == pytest.approx(nets.slow_ncut(nets.dense(planted(noise)), truth, 4), rel=1e-4)
    assert result.num_components == (4 if noise == 0 else 1)
    assert result.num_isolated == 0


def test_planted_blocks_are_found_in_an_edge_list():
    graph = nets.sparse_twin(mj.LayeredGraph.from_weights(nets.planted_weights(1, (16, 12, 8), 4)))
    result = mj.cluster(graph, jax.random.key(0), num_clusters=4)
    assert nets.same_partition(result.labels, np.concatenate([nets.block_labels(width, 4) for width in (16, 12, 8)]))
    assert result.converged


def test_best_of_all_bipartitions_is_found():
    # 11 connected neurons, 1023 partitions into two parts: the relaxation need not find the best, but comes close.
    ratios = []
    for seed in range(5):
        graph = nets.random_net(seed, (5, 4, 2), 0.6)
        connected = np.flatnonzero(np.asarray(graph.degrees()) > 0)
        adjacency = nets.dense(graph)[np.ix_(connected, connected)]
        codes = np.arange(1, 2 ** (connected.size - 1))
        members = (codes[:, None] >> np.arange(connected.size)) & 1
        cut = np.einsum("pi,ij,pj->p", members, adjacency, 1 - members)
        volume = members @ adjacency.sum(axis=0)
        best = (cut / volume + cut / (adjacency.sum() - volume)).min()
        ratios.append(float(mj.cluster(graph, jax.random.key(seed), num_clusters=2).ncut) / best)
    assert min(ratios) > 1 - 1e-4
    assert np.mean(ratios) < 1.05


def test_vmap_equals_the_loop():
    graphs = [sparse_net(seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *graphs)
    batched = jax.device_get(jax.vmap(lambda g, key: mj.cluster(g, key, num_clusters=4))(stacked, nets.keys(0, 4)))
    for i, (graph, key) in enumerate(zip(graphs, nets.keys(0, 4), strict=True)):
        alone = mj.cluster(graph, key, num_clusters=4)
        one = jax.tree.map(lambda leaf, i=i: leaf[i], batched)
        np.testing.assert_allclose(one.eigenvalues, alone.eigenvalues, atol=1e-5)
        np.testing.assert_allclose(one.ncut, alone.ncut, rtol=1e-4)
        assert (np.asarray(one.labels) == -1).sum() == alone.num_isolated
        for name in ("num_isolated", "num_components", "num_empty", "converged"):
            assert getattr(one, name) == getattr(alone, name)


def test_order_of_the_neurons_changes_nothing_on_average():
    # Restarts land in other optima, so single nets differ by chance; the mean must not.
    rng = np.random.default_rng(0)
    moved, original = [], []
    for seed in range(10):
        graph = sparse_net(seed)
        orders = [rng.permutation(width) for width in WIDTHS]
        kernels = [np.asarray(w)[a][:, b] for w, a, b in zip(graph.affinities, orders, orders[1:], strict=False)]
        graph = mj.LayeredGraph.from_weights(kernels)
        moved.append(float(mj.cluster(graph, jax.random.key(seed), num_clusters=4, refine=False).ncut))
        original.append(cuts(4, "ncut")[seed].mean())
    difference = np.array(moved) - np.array(original)
    assert abs(difference.mean()) <= 3 * nets.standard_error(difference)


def test_scaling_the_weights_changes_nothing():
    scaled = mj.LayeredGraph(tuple(1024 * w for w in sparse_net(1).affinities))
    before, after = (mj.cluster(g, jax.random.key(1), num_clusters=4) for g in (sparse_net(1), scaled))
    np.testing.assert_allclose(after.ncut, before.ncut, rtol=1e-4)


def test_second_call_with_the_same_shapes_does_not_compile():
    mj.cluster(sparse_net(0), jax.random.key(0), num_clusters=4)
    with CompileWatch() as watch:
        mj.cluster(sparse_net(1), jax.random.key(1), num_clusters=4)
    assert watch.programs == []


def test_empty_clusters_are_counted_where_values_cannot_be_checked():
    # Under jit nobody sees that only 4 neurons have an edge.
    kernel = jnp.zeros((4, 4)).at[0, 0].set(1.0).at[1, 1].set(1.0)
    result = jax.jit(lambda w: mj.cluster(mj.LayeredGraph.from_weights([w]), jax.random.key(0), num_clusters=6))(kernel)
    assert result.num_empty == 2
    assert result.num_isolated == 4
    assert result.num_components == 2
    assert np.isfinite(result.ncut)


def test_jit_may_close_over_the_graph():
    graph, key = nets.random_net(0, (4, 3)), jax.random.key(0)
    found = jax.jit(lambda k: mj.cluster(graph, k, num_clusters=2, num_restarts=2).ncut)(key)
    np.testing.assert_allclose(found, mj.cluster(graph, key, num_clusters=2, num_restarts=2).ncut, rtol=1e-5)


FULL = nets.random_net(0, (4, 3))
HOLED = mj.LayeredGraph.from_weights(np.pad(np.ones((1, 2, 2)), ((0, 0), (0, 2), (0, 1))))


@pytest.mark.parametrize(
    ("graph", "arguments", "text"),
    [
        (FULL, {"num_clusters": 1}, r"num_clusters must be at least 2, got 1"),
        (
            list(FULL.affinities),
            {"num_clusters": 2},
            r"graph must be a LayeredGraph, a BlockGraph, a SparseGraph or a DenseGraph, got list",
        ),
        (FULL, {"num_clusters": True}, r"num_clusters must be a whole number, got True"),
        (FULL, {"num_clusters": 2, "key": 0}, r"key must be one key, as jax.random.key\(0\) is, got int"),
        (
            FULL,
            {"num_clusters": 2, "key": np.zeros((3, 2), np.uint32)},
            r"key must be one key, as jax.random.key\(0\) is, got uint32 of shape \(3, 2\)",
        ),
        (FULL, {"num_clusters": 8}, r"num_clusters must be at most the number of connected neurons, 7, got 8"),
        (HOLED, {"num_clusters": 5}, r"num_clusters must be at most the number of connected neurons, 4, got 5"),
        (FULL, {"num_clusters": 2, "num_restarts": 0}, r"num_restarts must be at least 1, got 0"),
        (FULL, {"num_clusters": 2, "selection": "best"}, r"selection must be one of ncut, inertia, got 'best'"),
        (FULL, {"num_clusters": 2, "solver": "arpack"}, r"solver must be one of auto, eigh, krylov, got 'arpack'"),
        (
            mj.LayeredGraph.from_weights([np.zeros((3, 3))]),
            {"num_clusters": 2},
            r"graph must have at least one edge, got none: every weight is 0",
        ),
        (
            mj.SparseGraph.from_edges([], [], [], num_nodes=3),
            {"num_clusters": 2},
            r"graph must have at least one edge, got none",
        ),
    ],
)
def test_bad_input(graph, arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.cluster(graph, **({"key": jax.random.key(0)} | arguments))


def test_sizes_are_checked_under_jit():
    with pytest.raises(ValueError, match=r"at most the number of connected neurons, 7, got 8"):
        jax.jit(lambda g: mj.cluster(g, jax.random.key(0), num_clusters=8))(FULL)


def path(num_nodes, num_parts=1):
    """Paths side by side, as long as each other."""
    senders = np.arange(num_nodes - 1)
    senders = senders[(senders + 1) % (num_nodes // num_parts) != 0]
    return mj.SparseGraph.from_edges(senders, senders + 1, np.ones(senders.size), num_nodes=num_nodes)


@pytest.mark.filterwarnings("ignore:the eigenvectors did not converge")
@pytest.mark.parametrize(
    ("num_nodes", "num_parts", "num_clusters"), [(5000, 1, 2), (60, 6, 3), (600, 30, 5), (400, 200, 4)]
)
def test_lower_bound_holds_whatever_converged(num_nodes, num_parts, num_clusters):
    """Long paths, whose leading eigenvalues lie closer together than float32 can tell, and many components."""
    graph = path(num_nodes, num_parts)
    parts = np.arange(num_nodes) * max(num_parts, num_clusters) // num_nodes % num_clusters
    best = float(mj.ncut(graph, parts, num_clusters=num_clusters))
    found = mj.cluster(graph, jax.random.key(0), num_clusters=num_clusters)
    assert 0 <= found.lower_bound <= best
    assert found.lower_bound <= found.ncut


def test_a_partition_that_may_be_far_from_the_best_comes_with_a_warning():
    with pytest.warns(UserWarning, match="the eigenvectors did not converge, a better partition may well exist"):
        found = mj.cluster(path(5000), jax.random.key(0), num_clusters=2)
    assert not found.converged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mj.cluster(path(400), jax.random.key(0), num_clusters=2)
        jax.jit(lambda g: mj.cluster(g, jax.random.key(0), num_clusters=2).ncut)(path(5000))  # no value to look at
    assert found.ncut < 1.1 * 2 / 399
