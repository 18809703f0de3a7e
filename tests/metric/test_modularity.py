"""Layered modularity: by networkx and igraph, by hand, all partitions of small networks, and modules that are there."""

import functools
import itertools

import igraph
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import modularity_jax as mj
from modularity_jax.metric.measures import MEASURES
from modularity_jax.metric.modularity import modularity_of_members
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.graphs import graph_by_name
from modularity_jax.nets.models import architecture_of
from tests.metric import nets

KARATE = nx.karate_club_graph()
FACTIONS = np.array([KARATE.nodes[i]["club"] == "Officer" for i in KARATE.nodes], np.int32)
WITHOUT_WEIGHTS = mj.SparseGraph.from_edges(*np.array(list(KARATE.edges)).T, np.ones(KARATE.size()), num_nodes=34)
DAVIS = nx.davis_southern_women_graph()
WOMEN = [name for name, facts in DAVIS.nodes(data=True) if facts["bipartite"] == 0]
BIADJACENCY = nx.bipartite.biadjacency_matrix(DAVIS, WOMEN).toarray().astype(np.float32)
WOMEN_AND_EVENTS = mj.LayeredGraph.from_weights([BIADJACENCY])


def slow(blocks, gamma):
    """Q by its definition; blocks of (weights, labels of rows, labels of columns)."""
    total = sum(w.sum() for w, _, _ in blocks)
    excess = 0.0
    for weights, rows, columns in blocks:
        w = weights.astype(np.float64)
        expected = w.sum(axis=1)[:, None] * w.sum(axis=0)[None, :] / w.sum()
        same = (rows[:, None] == columns[None, :]) & (rows[:, None] >= 0)
        excess += ((w - gamma * expected) * same).sum()
    return excess / total


def blocks_of(weights, labels):
    ends = np.cumsum([len(weights[0]), *(w.shape[1] for w in weights)])
    parts = np.split(labels, ends[:-1])
    return [(np.abs(w), a, b) for w, a, b in zip(weights, parts, parts[1:], strict=False)]


def best(graph, key, num_clusters, **more):
    return mj.cluster(graph, key, num_clusters=num_clusters, measure="modularity", **more)


@pytest.mark.parametrize(("gamma", "expected"), [(1.0, 0.358235), (0.5, 0.608605), (2.0, -0.142505)])
def test_the_karate_club(gamma, expected):
    assert float(mj.modularity(WITHOUT_WEIGHTS, FACTIONS, num_clusters=2, gamma=gamma)) == pytest.approx(
        expected, abs=1e-6
    )
    assert mj.modularity(WITHOUT_WEIGHTS, FACTIONS, num_clusters=2, gamma=np.float32(gamma)) == pytest.approx(
        expected, abs=1e-6
    )
    weighted = mj.SparseGraph.from_networkx(KARATE)
    assert float(mj.modularity(weighted, FACTIONS, num_clusters=2)) == pytest.approx(0.391438, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_newmans_of_a_graph_without_layers(seed):
    edges = nets.random_edges(seed, 30, 80)
    graph = mj.SparseGraph.from_edges(*edges, num_nodes=30)
    labels = np.random.default_rng(seed).integers(0, 4, 30)
    twin = nx.from_numpy_array(nets.dense(graph))
    sets = [set(np.flatnonzero(labels == c).tolist()) for c in range(4)]
    other = igraph.Graph(30, list(zip(*edges[:2], strict=True)))
    for gamma in (1.0, 1.7):
        found = float(mj.modularity(graph, labels, num_clusters=4, gamma=gamma))
        expected = nx.community.modularity(twin, sets, weight="weight", resolution=gamma)
        assert found == pytest.approx(expected, abs=1e-6)
        assert found == pytest.approx(other.modularity(labels, weights=edges[2], resolution=gamma), abs=1e-6)


@pytest.mark.parametrize("widths", [(6, 5), (6, 5, 7), (4, 7, 3, 6), (3, 8, 4, 8, 3)])
def test_of_a_layered_graph_by_its_definition(widths):
    """Barber's of one kernel; of several the sum over them; -1 is no cluster."""
    weights = nets.random_weights(1, widths, 0.7)
    labels = np.random.default_rng(2).integers(-1, 3, sum(widths)).astype(np.int32)
    graph = mj.LayeredGraph.from_weights(weights)
    for gamma in (1.0, 0.3):
        expected = slow(blocks_of(weights, labels), gamma)
        for own in (graph, graph.formed()):  # in its form vertices have another order
            order = graph.form().order() if own is not graph else np.arange(sum(widths))
            placed = np.empty_like(labels)
            placed[order] = labels
            members = placed[None, None] == np.arange(3)[None, :, None]
            found = modularity_of_members(own, jnp.asarray(members), gamma)
            assert float(found[0]) == pytest.approx(expected, abs=1e-6)


def test_of_kernels_by_directed_modularity():
    """Edges that all go from one side to the other have Barber's null in the directed modularity, igraph's."""
    weights = [np.abs(w) for w in nets.random_weights(6, (6, 5, 7), 0.7)]
    labels = np.random.default_rng(6).integers(0, 3, 18).astype(np.int32)
    for gamma in (1.0, 0.3):
        excess = 0.0
        for w, rows, columns in blocks_of(weights, labels):
            edges = [(i, len(rows) + j) for i, j in np.argwhere(w)]
            theirs = igraph.Graph(sum(w.shape), edges, directed=True)
            excess += w.sum() * theirs.modularity(np.concatenate([rows, columns]), w[w > 0], gamma)
        found = mj.modularity(mj.LayeredGraph.from_weights(weights), labels, num_clusters=3, gamma=gamma)
        assert float(found) == pytest.approx(excess / sum(w.sum() for w in weights), abs=1e-6)


def test_a_partition_by_layers_is_not_modular():
    widths = (8, 6, 9, 5)
    graph = mj.LayeredGraph.from_weights(nets.random_weights(0, widths))
    layers = np.repeat(np.arange(4), widths)
    for labels in (layers, layers // 2, layers % 2):
        assert float(mj.modularity(graph, labels, num_clusters=4)) == pytest.approx(0, abs=1e-6)
    assert float(mj.ncut(graph, layers // 2, num_clusters=2)) < 1  # which is better than any two modules by chance


def test_what_changes_nothing():
    weights = nets.random_weights(3, (6, 5, 7))
    labels = np.random.default_rng(3).integers(0, 3, 18)
    q = functools.partial(mj.modularity, num_clusters=3)
    graph, larger = (mj.LayeredGraph.from_weights([scale * w for w in weights]) for scale in (1, 1e3))
    expected = float(q(graph, labels))
    assert float(q(graph, (labels + 1) % 3)) == pytest.approx(expected, abs=1e-6)
    assert float(q(larger, labels)) == pytest.approx(expected, abs=1e-6)
    order = np.random.default_rng(4).permutation(5)
    moved = [weights[0][:, order], weights[1][order]]
    placed = np.concatenate([labels[:6], labels[6:11][order], labels[11:]])
    assert float(q(mj.LayeredGraph.from_weights(moved), placed)) == pytest.approx(expected, abs=1e-6)
    assert float(q(mj.SparseGraph.from_edges([], [], [], num_nodes=4), np.zeros(4, int))) == 0


def test_gradient_by_differences():
    weights = [jnp.asarray(w) for w in nets.random_weights(5, (4, 3, 4))]
    labels = np.array([0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1])

    def q(weights):
        return mj.modularity(mj.LayeredGraph.from_weights(weights), labels, num_clusters=2)

    gradient = jax.jit(jax.grad(q))(weights)
    step = 1e-2
    for layer, place in ((0, (1, 2)), (1, (0, 3))):
        moved = [[w.at[place].add(sign * step) if i == layer else w for i, w in enumerate(weights)] for sign in (1, -1)]
        difference = (float(q(moved[0])) - float(q(moved[1]))) / (2 * step)
        assert float(gradient[layer][place]) == pytest.approx(difference, abs=2e-4)


def test_the_best_of_the_karate_club_by_an_integer_program():
    theirs = igraph.Graph(34, list(KARATE.edges)).community_optimal_modularity()
    assert theirs.modularity == pytest.approx(0.419790, abs=1e-6)
    labels = np.array(theirs.membership)
    assert float(mj.modularity(WITHOUT_WEIGHTS, labels, num_clusters=4)) == pytest.approx(theirs.modularity, abs=1e-6)


@pytest.mark.parametrize(
    ("graph", "best_known", "num_clusters", "times"),
    [
        (WITHOUT_WEIGHTS, 0.419790, 4, 20),
        (WITHOUT_WEIGHTS, 0.419790, 7, 15),  # 17 where this was written
        (WOMEN_AND_EVENTS, 0.345537, 4, 20),
        (WOMEN_AND_EVENTS, 0.345537, 7, 20),
    ],
)
def test_the_best_known_is_found_from_so_many_of_20_keys(graph, best_known, num_clusters, times):
    """Both have four clusters; what other keys find is within 5% of it."""
    keys = jax.vmap(jax.random.key)(np.arange(20))
    values = np.asarray(jax.vmap(lambda key: best(graph, key, num_clusters).value)(keys))
    assert values.max() == pytest.approx(best_known, abs=1e-6)
    assert (values > best_known - 1e-6).sum() >= times
    assert values.min() > 0.95 * best_known


@pytest.mark.parametrize("seed", range(4))
def test_all_partitions_of_a_small_network(seed):
    """Into two and three parts or fewer: none is better, and the bound holds."""
    weights = nets.random_weights(seed, (3, 2, 3), 0.8)
    graph = mj.LayeredGraph.from_weights(weights)
    for size in (2, 3):
        everything = np.array(list(itertools.product(range(size), repeat=8)), np.int32)
        most = float(MEASURES["modularity"].scores(graph, jnp.asarray(everything), num_clusters=size).max())
        found = best(graph, jax.random.key(seed), size, num_restarts=20)
        assert float(found.value) == pytest.approx(most, abs=1e-6)
        assert most <= float(found.bound) + 1e-6
        labels = np.asarray(found.labels)
        assert float(mj.modularity(graph, labels, num_clusters=size)) == pytest.approx(most, abs=1e-6)
        assert float(found.ncut) == pytest.approx(float(mj.ncut(graph, labels, num_clusters=size)), abs=1e-6)


def planted(seed, num_kernels, num_modules, crossing, width=32):
    """Weights of kernels of equal weight, of which a share crosses between modules; and the truth."""
    rng = np.random.default_rng(seed)
    truth = [rng.permutation(np.arange(width) % num_modules) for _ in range(num_kernels + 1)]
    weights = []
    for rows, columns in itertools.pairwise(truth):
        drawn, same = np.abs(rng.normal(size=(width, width))), rows[:, None] == columns[None]
        share = np.where(same, (1 - crossing) / drawn[same].sum(), crossing / drawn[~same].sum())
        weights.append((drawn * share).astype(np.float32))
    return weights, np.concatenate(truth)


@pytest.mark.parametrize("num_modules", [2, 4])
@pytest.mark.parametrize("num_kernels", [3, 5])
def test_modules_that_are_there_are_found(num_kernels, num_modules):
    """At a crossing share of .15 the n-cut of five kernels gives the layers (x* = .0955); this measure the modules."""
    agree = []
    for seed in range(2):
        weights, truth = planted(seed, num_kernels, num_modules, 0.15)
        graph = mj.LayeredGraph.from_weights(weights)
        for size in (num_modules, num_modules + 3):
            agree.append(adjusted_rand_score(truth, best(graph, jax.random.key(seed), size).labels))
    assert min(agree) > 0.97
    if num_kernels == 5 and num_modules == 2:
        cut = mj.cluster(graph, jax.random.key(0), num_clusters=2)
        assert adjusted_rand_score(truth, cut.labels) < 0.1


def test_more_clusters_to_begin_with_are_no_worse():
    for seed in range(4):
        graph = mj.LayeredGraph.from_weights(nets.random_weights(seed, (20, 16, 12, 10), 0.3))
        few, many = (float(best(graph, jax.random.key(seed), size).value) for size in (3, 9))
        assert many >= few - 1e-3


@pytest.mark.parametrize("measure", ["modularity", "newman"])
def test_clusters_at_another_resolution(measure):
    """The value is that of the labels; modules come apart at a higher one, and are one at a low one."""
    weights, _ = planted(0, 3, 4, 0.1)
    graph = mj.LayeredGraph.from_weights(weights)
    flat = graph if measure == "modularity" else nets.sparse_twin(graph)
    settings = {"num_clusters": 9, "num_restarts": 3, "measure": measure}
    sizes = []
    for gamma in (0.05, 1, 3):
        found = mj.cluster(graph, jax.random.key(0), **settings, gamma=gamma)
        sizes.append(np.unique(found.labels).size)
        given = {"labels": found.labels, "num_clusters": 9}
        assert float(found.value) == pytest.approx(float(mj.modularity(flat, **given, gamma=gamma)), abs=1e-6)
        assert float(found.modularity) == pytest.approx(float(mj.modularity(graph, **given)), abs=1e-6)
        if measure == "modularity":
            assert found.value <= found.bound + 1e-6
    assert sizes[0] < sizes[1] < sizes[2]


def test_controls_have_the_resolution_of_the_network():
    graph = mj.LayeredGraph.from_weights(planted(0, 3, 2, 0.2)[0])
    settings = {"num_clusters": 2, "num_restarts": 3, "measure": "modularity", "gamma": 0.5}
    test = mj.shuffle_test(graph, jax.random.key(0), num_shuffles=3, **settings)
    shuffle_key, cluster_key = jax.random.split(jax.random.fold_in(jax.random.key(0), 1))
    own = mj.cluster(mj.shuffle(graph, shuffle_key), cluster_key, **settings)
    assert float(own.value) == pytest.approx(float(test.controls[1]), abs=1e-6)
    q = mj.modularity(graph, test.clustering.labels, num_clusters=2, gamma=0.5)
    assert float(test.observed) == pytest.approx(float(q), abs=1e-6)


@pytest.mark.parametrize(
    ("measure", "gamma", "message"),
    [
        ("ncut", 2, "gamma must be 1 with measure='ncut', got 2"),
        ("coverage", 0.5, "gamma must be 1 with measure='coverage', got 0.5"),
        ("modularity", -1, "gamma must be a finite number of at least 0, got -1"),
        ("modularity", True, "gamma must be a finite number of at least 0, got True"),
        ("newman", float("inf"), "gamma must be a finite number of at least 0, got inf"),
    ],
)
@pytest.mark.parametrize("of", [mj.cluster, mj.shuffle_test])
def test_a_resolution_that_is_none(of, measure, gamma, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        of(WOMEN_AND_EVENTS, jax.random.key(0), num_clusters=2, measure=measure, gamma=gamma)


def test_soft_labels():
    """Those of 0 and 1 are labels; between two partitions a slope tells which way is up."""
    weights, truth = planted(0, 3, 2, 0.1)
    graph = mj.LayeredGraph.from_weights(weights)
    hard = np.eye(2, dtype=np.float32)[truth]
    q = functools.partial(mj.modularity, graph, num_clusters=2)
    assert q(hard) == pytest.approx(float(q(truth)), abs=1e-6)
    assert q(np.full_like(hard, 0.5)) == pytest.approx(0, abs=1e-6)
    slope = jax.grad(lambda t: q(t * hard + (1 - t) * 0.5))(0.5)
    assert slope == pytest.approx(2 * 0.5 * float(q(truth)), abs=1e-5)  # Q is quadratic in how far they are apart


def test_layers_that_weigh_the_same():
    weights, labels = planted(0, 3, 2, 0.1)
    labels[:20] = 0  # so that the first kernel is less modular than the others
    graph = mj.LayeredGraph.from_weights([w * scale for w, scale in zip(weights, (1, 30, 0.2), strict=True)])
    ends = [np.concatenate(pair) for pair in itertools.pairwise(np.split(labels, 4))]
    alone = [mj.LayeredGraph.from_weights([w]) for w in weights]
    each = [float(mj.modularity(g, own, num_clusters=2)) for g, own in zip(alone, ends, strict=True)]
    assert mj.modularity(graph, labels, num_clusters=2, weighting="layer") == pytest.approx(np.mean(each), abs=1e-6)
    assert mj.modularity(graph.balanced(), labels, num_clusters=2) == pytest.approx(np.mean(each), abs=1e-6)
    assert abs(float(mj.modularity(graph, labels, num_clusters=2)) - np.mean(each)) > 1e-2
    params = {f"layer_{i:02d}": {"kernel": w} for i, w in enumerate(graph.affinities)}
    kept = graph_by_name("balanced", architecture_of(ModelConfig(widths=(32, 32, 32, 32))), params)
    np.testing.assert_allclose(kept.affinities[1], graph.affinities[1] / graph.affinities[1].sum(), rtol=1e-6)


@pytest.mark.bits
def test_a_shuffle_test_by_it():
    graph = mj.LayeredGraph.from_weights(planted(0, 3, 2, 0.2)[0])
    settings = {"num_clusters": 2, "num_shuffles": 19, "num_restarts": 3, "measure": "modularity"}
    test = mj.shuffle_test(graph, jax.random.key(0), **settings)
    assert float(test.p_value) == pytest.approx(1 / 20)
    assert float(test.p_opposite) == 1
    assert float(test.z_score) > 3
    assert float(test.effect_size) > 3
    for index in (0, 7):
        shuffle_key, cluster_key = jax.random.split(jax.random.fold_in(jax.random.key(0), index))
        control = mj.shuffle(graph, shuffle_key)
        own = mj.cluster(control, cluster_key, num_clusters=2, num_restarts=3, measure="modularity")
        assert float(own.value) == pytest.approx(float(test.controls[index]), abs=1e-6)
    mesh = jax.make_mesh((4,), ("shuffle",))
    other = mj.shuffle_test(graph, jax.random.key(0), **settings, mesh=mesh)
    np.testing.assert_array_equal(other.controls, test.controls)


def test_another_resolution_is_no_other_program():
    mj.modularity(WITHOUT_WEIGHTS, FACTIONS, num_clusters=2)
    before = modularity_of_members._cache_size()
    for gamma in (0.9, 1.1, 1.3):
        mj.modularity(WITHOUT_WEIGHTS, FACTIONS, num_clusters=2, gamma=gamma)
    assert modularity_of_members._cache_size() == before


def test_it_is_batched():
    made = [planted(seed, 2, 2, 0.2)[0] for seed in (0, 1)]
    weights = [jnp.stack([jnp.asarray(w) for w in own]) for own in zip(*made, strict=True)]
    keys = jax.random.split(jax.random.key(0), 2)

    def one(weights, key):
        return mj.cluster(mj.LayeredGraph.from_weights(weights), key, num_clusters=2, measure="modularity").value

    together = jax.jit(jax.vmap(one))(weights, keys)
    alone = [one([w[i] for w in weights], keys[i]) for i in (0, 1)]
    np.testing.assert_allclose(together, jnp.stack(alone), atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_clusters": 1}, "num_clusters must be at least 2, got 1"),
        ({"gamma": -1}, "gamma must be a finite number of at least 0, got -1"),
        ({"gamma": float("nan")}, "gamma must be a finite number of at least 0, got nan"),
        ({"gamma": "1"}, "gamma must be a finite number of at least 0, got '1'"),
        ({"weighting": "neuron"}, "weighting must be one of"),
        ({"labels": np.zeros((34, 3))}, r"labels must be \[N\] or \[N, K\] with N=34, K=2, got \(34, 3\)"),
        ({"labels": np.zeros(3, int)}, r"labels must have shape \(34,\), one per vertex, got \(3,\)"),
        ({"graph": np.zeros((2, 2))}, "graph must be"),
    ],
)
def test_bad_input_is_named(changed, message):
    given = {"graph": WITHOUT_WEIGHTS, "labels": FACTIONS, "num_clusters": 2} | changed
    with pytest.raises(ValueError, match=f"^{message}"):
        mj.modularity(given.pop("graph"), given.pop("labels"), **given)
