"""Coverage, conductance, Newman's modularity and the depth share: against networkx, by hand, and in a shuffle test."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

import modularity_jax as mj
from modularity_jax.metric.depth import description_of
from tests.metric import nets

KARATE = nx.karate_club_graph()
FACTIONS = np.array([KARATE.nodes[i]["club"] == "Officer" for i in KARATE.nodes], np.int32)
WITHOUT_WEIGHTS = mj.SparseGraph.from_edges(*np.array(list(KARATE.edges)).T, np.ones(KARATE.size()), num_nodes=34)


def score(measure, graph, labels, num_clusters):
    partitions = jnp.asarray(labels, jnp.int32)[None]
    return float(mj.MEASURES[measure].scores(graph, partitions, num_clusters=num_clusters)[0])


@pytest.mark.parametrize(
    ("measure", "plain", "weighted"),
    [("conductance", 0.146667, 0.111111), ("coverage", 0.858974, None), ("newman", 0.358235, 0.391438)],
)
def test_the_karate_club(measure, plain, weighted):
    assert score(measure, WITHOUT_WEIGHTS, FACTIONS, 2) == pytest.approx(plain, abs=1e-6)
    if weighted:
        assert score(measure, mj.SparseGraph.from_networkx(KARATE), FACTIONS, 2) == pytest.approx(weighted, abs=1e-6)


@pytest.mark.parametrize("form", ["layers", "sides", "list"])
def test_of_a_network_by_networkx(form):
    graph = nets.random_net(0, (12, 8, 6), 0.7)
    theirs = nx.from_numpy_array(nets.dense(graph))
    graph = {"layers": graph, "sides": graph.formed(), "list": nets.sparse_twin(graph)}[form]
    labels = np.random.default_rng(0).integers(0, 3, 26)
    if form == "sides":  # its vertices stand in another order
        theirs = nx.from_numpy_array(np.asarray(graph.matvec(jnp.eye(26)), np.float64))
    sets = [set(np.flatnonzero(labels == cluster).tolist()) for cluster in range(3)]
    worst = max(nx.conductance(theirs, own, weight="weight") for own in sets)
    assert score("conductance", graph, labels, 3) == pytest.approx(worst, abs=1e-6)
    assert score("newman", graph, labels, 3) == pytest.approx(nx.community.modularity(theirs, sets), abs=1e-6)
    inside = sum(theirs.subgraph(own).size(weight="weight") for own in sets)
    assert score("coverage", graph, labels, 3) == pytest.approx(inside / theirs.size(weight="weight"), abs=1e-6)


@pytest.mark.parametrize("graph", [nets.random_net(0, (6, 8, 4), 0.7), nets.residual_net(0)], ids=["layers", "skip"])
@pytest.mark.parametrize("power", [1, 2])
def test_coverage_of_soft_labels_is_a_sum_over_edges(graph, power):
    shares = np.random.default_rng(1).dirichlet(np.ones(3), graph.num_nodes)
    powered = nets.dense(graph) ** power
    found = mj.coverage(graph, shares, num_clusters=3, power=power)
    np.testing.assert_allclose(found, (powered * (shares @ shares.T)).sum() / powered.sum(), rtol=1e-5)
    labels = shares.argmax(axis=1)
    inside = powered * (labels[:, None] == labels[None, :])
    found = mj.coverage(graph, labels, num_clusters=3, power=power)
    np.testing.assert_allclose(found, inside.sum() / powered.sum(), rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e25])
def test_coverage_is_differentiable_in_weights_and_labels(scale):
    weights = [scale * w for w in nets.random_weights(0, (4, 5, 3))]
    shares = np.random.default_rng(1).dirichlet(np.ones(3), 12)

    def slow(kernels, shares):
        matrix = nets.dense(mj.LayeredGraph(tuple(np.abs(w) for w in kernels))) ** 2
        return (matrix * (shares @ shares.T)).sum() / matrix.sum()

    def covered(kernels, shares):
        return mj.coverage(mj.LayeredGraph.from_weights(kernels), shares, num_clusters=3, power=2)

    of_weights, of_labels = jax.grad(covered, argnums=(0, 1))(weights, jnp.asarray(shares, jnp.float32))
    direction = np.random.default_rng(2)
    moves, turn = [direction.normal(size=w.shape) for w in weights], direction.normal(size=shares.shape)
    ends = []
    for step in (1e-6, -1e-6):
        kernels = [w.astype(float) + step * scale * move for w, move in zip(weights, moves, strict=True)]
        ends.append((slow(kernels, shares), slow([w.astype(float) for w in weights], shares + step * turn)))
    wanted = (np.array(ends[0]) - np.array(ends[1])) / 2e-6
    found = sum((np.asarray(g, float) * scale * move).sum() for g, move in zip(of_weights, moves, strict=True))
    np.testing.assert_allclose([found, (of_labels * turn).sum()], wanted, rtol=1e-3)


def test_coverage_by_chance_is_one_over_k():
    even = mj.LayeredGraph.from_weights([np.ones((8, 8))])
    assert mj.coverage(even, np.arange(16) % 4, num_clusters=4, power=2) == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"power": 0}, "power must be at least 1, got 0"),
        ({"power": 0.5}, r"power must be a whole number, got 0\.5"),
        ({"labels": np.ones((7, 2))}, r"labels must be \[N\] or \[N, K\]"),
    ],
)
def test_bad_input_of_coverage(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.coverage(nets.random_net(0, (4, 3)), **({"labels": np.zeros(7, int), "num_clusters": 3} | arguments))


def test_newmans_modularity_takes_depth_for_a_module():
    weights = [np.ones((8, 8))] * 5
    graph = mj.LayeredGraph.from_weights(weights)
    by_pairs = np.repeat([0, 1, 2], 16)
    assert score("newman", graph, by_pairs, 3) == pytest.approx(0.26, abs=0.01)
    assert score("modularity", graph, by_pairs, 3) == pytest.approx(0, abs=1e-6)
    found = mj.cluster(graph, jax.random.key(0), num_clusters=3, measure="newman")
    assert found.value > 0.25
    assert found.depth_share > 0.99


@pytest.mark.parametrize("measure", ["newman", "coverage", "conductance"])
def test_a_shuffle_test_by_it(measure):
    graph = mj.LayeredGraph.from_weights(nets.planted_weights(0, (16, 12, 8), 2, 0.05))
    test = mj.shuffle_test(graph, jax.random.key(0), num_clusters=2, num_shuffles=19, measure=measure)
    assert test.p_value == pytest.approx(1 / 20)
    assert test.effect_size > 2
    assert np.isnan(test.clustering.bound)
    own = score(measure, graph, np.asarray(test.clustering.labels), 2)
    assert own == pytest.approx(float(test.observed), abs=1e-6)


def test_depth_share_by_scikit_learn():
    """Where all neurons weigh the same it is the mutual information of two labellings over an entropy."""
    graph = mj.LayeredGraph.from_weights([np.ones((6, 6))] * 3)
    graph = mj.LayeredGraph((graph.affinities[0] * 2, graph.affinities[1], graph.affinities[2] * 2))
    weights = np.asarray(graph.degrees())
    labels = np.random.default_rng(1).integers(0, 3, 24)
    layers = np.repeat(np.arange(4), 6)
    repeated = np.repeat(np.arange(24), weights.astype(int))
    theirs = mutual_info_score(layers[repeated], labels[repeated])
    theirs /= mutual_info_score(labels[repeated], labels[repeated])
    assert mj.depth_share(graph, labels, num_clusters=3) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_what_is_told_of_a_partition_is_the_same_on_the_host_and_under_jit(unknown):
    graph = nets.random_net(0, (12, 8, 6), 0.5)
    rng = np.random.default_rng(2)
    labels = jnp.asarray(np.where(rng.random(26) < unknown, -1, rng.integers(0, 3, 26)), jnp.int32)
    told = description_of(graph, labels, 3)
    assert told.ncut == pytest.approx(float(mj.ncut(graph, labels, num_clusters=3)), abs=1e-6)
    assert told.modularity == pytest.approx(float(mj.modularity(graph, labels, num_clusters=3)), abs=1e-6)
    traced = jax.jit(description_of, static_argnums=2)(graph, labels, 3)
    for one, other in zip(told, traced, strict=True):
        assert one.dtype == other.dtype == jnp.float32
        assert float(one) == pytest.approx(float(other), abs=1e-6)
    of_list = description_of(nets.sparse_twin(graph), labels, 3)
    assert of_list.ncut == pytest.approx(float(told.ncut), abs=1e-6)
    assert np.isnan(of_list.depth_share)


def test_depth_share_of_what_is_known():
    graph = mj.LayeredGraph.from_weights([np.ones((4, 4)), np.ones((4, 4))])
    by_layers, across = np.repeat([0, 0, 1], 4), np.tile([0, 1], 6)
    assert mj.depth_share(graph, by_layers, num_clusters=2) == pytest.approx(1, abs=1e-6)
    assert mj.depth_share(graph, across, num_clusters=2) == pytest.approx(0, abs=1e-6)
    assert mj.depth_share(graph, np.zeros(12, int), num_clusters=2) == 0
    assert np.isnan(mj.depth_share(WITHOUT_WEIGHTS, FACTIONS, num_clusters=2))
    assert np.isnan(mj.cluster(WITHOUT_WEIGHTS, jax.random.key(0), num_clusters=2).depth_share)
    with pytest.raises(ValueError, match=r"^num_clusters must be at least 2, got 1"):
        mj.depth_share(graph, across, num_clusters=1)
