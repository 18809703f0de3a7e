"""The robustness of modules: its law without modules, its growth with them, its curve, and its errors."""

import functools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from jax.sharding import AxisType

import modularity_jax as mj
from modularity_jax.data.planted import planted
from modularity_jax.metric.rewiring import rewired
from modularity_jax.metric.robustness import limit_rank
from modularity_jax.metric.statistics import TIE_TOLERANCE
from tests.metric import nets

WIDTHS, NUMBERS = (16, 16, 16), {"num_shares": 6, "num_rewirings": 19}
SETTINGS = {"num_clusters": 2, "num_restarts": 3}

# The robustness of a network that is like its random wirings. The 74th of 76 controls is the limit: 3 of 77 graphs that
# are all alike are beyond it, and 2 of the 76 themselves, which the last share is part of; it counts half.
CHANCE = (1 - 1 / 10) * 3 / 77 + 1 / 10 * 2 / 76


def net(seed, share=None):
    kernels = planted(jax.random.key(seed), share, width=16, num_kernels=2, num_modules=2)
    return mj.LayeredGraph.from_weights(kernels)


@functools.cache
def result(seed=0, share=0.15, **more):
    return mj.robustness(net(seed, share), jax.random.key(seed), **{**SETTINGS, **NUMBERS, **more})


def test_fields_agree_with_each_other():
    found = result()
    assert found.values.shape == (6, 19)
    np.testing.assert_allclose(found.shares, np.arange(6) / 5, rtol=1e-6)
    np.testing.assert_allclose(found.mean, found.values.mean(axis=1), rtol=1e-6)
    limit = np.sort(found.controls)[73]
    assert found.limit == limit
    assert found.controls.shape == (76,)
    assert np.unique(found.controls).size == 76
    np.testing.assert_array_equal(found.controls[:19], found.values[-1])
    np.testing.assert_allclose(found.trivial, (found.values * (1 - TIE_TOLERANCE) <= limit).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.robustness, 1 - np.trapezoid(found.trivial, found.shares), rtol=1e-5)
    assert found.all_converged


def test_values_are_those_of_rewired_networks():
    graph = net(0, 0.15)
    for step, number in ((0, 3), (2, 0), (5, 18)):
        own = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), number), step)
        rewiring_key, cluster_key = jax.random.split(own)
        changed = jax.jit(rewired)(graph, rewiring_key, jnp.float32(step / 5))
        expected = mj.cluster(changed, cluster_key, measure="modularity", **SETTINGS).value
        np.testing.assert_allclose(result().values[step, number], expected, rtol=1e-4)


@pytest.mark.parametrize("density", [0.3, 1])
def test_networks_without_modules(density):
    """Weights that are independent are as likely in one order as in another, so the law of each value is known."""
    graphs = [nets.random_net(seed, WIDTHS, density) for seed in range(20)]
    found = [mj.robustness(g, jax.random.key(i), **SETTINGS, **NUMBERS) for i, g in enumerate(graphs)]
    values = np.array([one.robustness for one in found])
    assert abs(values.mean() - CHANCE) < 4 * nets.standard_error(values)
    assert values.min() >= 0
    assert values.max() < 0.4


def test_grows_with_the_planted_strength():
    means = [np.mean([result(seed, share).robustness for seed in range(3)]) for share in (0.05, 0.15, 0.25, 0.35, 0.5)]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.5
    assert means[-1] < 0.15


def test_lower_is_more_modular_under_the_ncut_and_what_cannot_be_cut_is_trivial():
    """24 connected neurons of 42 on single weights: random wirings leave 17 to 19 of them."""
    kernels = [np.zeros(shape, np.float32) for shape in ((12, 12), (12, 12), (12, 6))]
    for kernel, offset in zip(kernels, (0, 4, 8), strict=True):
        kernel[np.arange(4) + offset, np.arange(4) + (0, 4, 0)[offset // 4]] = 1
    graph = mj.LayeredGraph.from_weights(kernels)
    found = mj.robustness(graph, jax.random.key(0), measure="ncut", num_clusters=17, num_restarts=2, **NUMBERS)
    missing = np.isnan(found.values)
    assert 0 < missing[-1].sum() < 19
    np.testing.assert_allclose(found.mean[-1], np.nanmean(found.values[-1]), rtol=1e-6)
    assert found.limit == np.sort(np.where(np.isnan(found.controls), np.inf, found.controls))[76 - 74]
    beyond = found.values < found.limit * (1 - TIE_TOLERANCE)
    np.testing.assert_allclose(found.trivial, 1 - beyond.mean(axis=1), rtol=1e-6)


@pytest.mark.parametrize(("number", "rank"), [(1, 1), (18, 18), (19, 19), (38, 38), (39, 38), (76, 74), (96, 93)])
def test_rank_of_the_limit(number, rank):
    """The least rank with (number + 1 - rank) / (number + 1) <= 1 / 20, if there is such a one."""
    assert limit_rank(number) == rank
    assert 20 * (number + 1 - rank) <= number + 1 or rank == number


@pytest.mark.bits
def test_same_bits_on_any_number_of_devices():
    mesh = jax.make_mesh((4,), ("rewiring",), axis_types=(AxisType.Auto,))
    for one, other in zip(result(rewirings_per_group=4), result(rewirings_per_group=4, mesh=mesh), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_in_groups_of_any_size_and_under_jit():
    by_four = result(rewirings_per_group=4)
    np.testing.assert_allclose(by_four.values, result(rewirings_per_group=1).values, rtol=1e-4)
    assert by_four.robustness == result(rewirings_per_group=1).robustness
    call = jax.jit(functools.partial(mj.robustness, rewirings_per_group=4, **SETTINGS, **NUMBERS))
    traced = call(net(0, 0.15), jax.random.key(0))
    for one, other in zip(by_four, traced, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_other_numbers_and_networks_are_no_other_program(caplog):
    graph = net(1, 0.3)
    result()
    with jax.log_compiles():
        mj.robustness(graph, jax.random.key(8), num_shares=3, num_rewirings=5, **SETTINGS)
    assert not [r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]


def of_edges(graph, **more):
    return mj.robustness(mj.SparseGraph.from_networkx(graph), jax.random.key(0), **{**NUMBERS, **more})


@pytest.mark.parametrize(
    "graph", [nx.complete_graph(20), nx.disjoint_union_all([nx.complete_graph(8)] * 4)], ids=["complete", "cliques"]
)
def test_one_clique_is_no_group(graph):
    """Of disjoint cliques one is the largest component."""
    found = of_edges(graph)
    assert found.robustness == 0
    np.testing.assert_array_equal(found.trivial, 1)
    np.testing.assert_array_equal(found.values[0], 1)
    assert found.limit == 1
    assert found.controls.size == 0


def test_random_graphs_have_no_groups():
    found = [of_edges(nx.gnm_random_graph(100, m, seed=m)).robustness for m in (150, 200, 300, 500, 1000, 2000)]
    assert np.mean(found) < 0.05
    assert max(found) < 0.3


def test_cliques_in_a_ring_are_robust_and_the_more_the_more_they_hold_together():
    found = of_edges(nx.ring_of_cliques(20, 6))
    np.testing.assert_array_equal(found.values[0], 20)
    assert found.trivial[0] == 0
    assert 0.4 < found.robustness < 1
    planted = [nx.planted_partition_graph(2, 40, 0.3 - across, across, seed=0) for across in (0.01, 0.05, 0.15)]
    means = [of_edges(graph).robustness for graph in planted]
    assert means[0] > means[1] > means[2]


def test_a_list_of_edges_is_the_same_again_whatever_its_weights():
    graph = nx.planted_partition_graph(3, 15, 0.5, 0.05, seed=0)
    one = of_edges(graph, num_rewirings=5)
    nx.set_edge_attributes(graph, {edge: 1 + i for i, edge in enumerate(graph.edges)}, "weight")
    for field, other in zip(one, of_edges(graph, num_rewirings=5), strict=True):
        np.testing.assert_array_equal(field, other)
    np.testing.assert_array_equal(of_edges(graph, num_rewirings=7).values[:, :5], one.values)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_clusters": None}, r"num_clusters must be a whole number, got None"),
        ({"num_clusters": 1}, r"num_clusters must be at least 2, got 1"),
        ({"num_shares": 1}, r"num_shares must be at least 2, got 1"),
        ({"num_rewirings": 0}, r"num_rewirings must be at least 1, got 0"),
        ({"rewirings_per_group": 0}, r"rewirings_per_group must be at least 1, got 0"),
        ({"measure": "ncut", "gamma": 2.0}, r"gamma must be 1 with measure='ncut', got 2.0"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.robustness(net(0), jax.random.key(0), **{"num_clusters": 2, **arguments})


def test_bad_lists_of_edges(monkeypatch):
    graph = nets.sparse_twin(net(0))
    with pytest.raises(ValueError, match=r"num_clusters must be None for a list of edges, got 2"):
        mj.robustness(graph, jax.random.key(0), num_clusters=2)
    with pytest.raises(ValueError, match=r"graph must have values, got a list of edges under a transformation"):
        jax.jit(mj.robustness)(graph, jax.random.key(0))
    with pytest.raises(ValueError, match=r"graph must have at least one edge, got none"):
        mj.robustness(mj.SparseGraph.from_edges([0], [1], [0.0], num_nodes=2), jax.random.key(0))
    monkeypatch.setattr("modularity_jax.metric.robustness.MAX_VERTICES", 47)
    with pytest.raises(ValueError, match=r"at most 47 vertices in one component, got 48"):
        mj.robustness(graph, jax.random.key(0))
