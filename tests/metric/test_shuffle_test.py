"""The test against shuffled weights: its laws, its repeatability and its errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.sharding import AxisType

import modularity_jax as mj
from modularity_jax.metric import items
from modularity_jax.metric.items import partition_controls
from modularity_jax.metric.settings import Settings
from modularity_jax.metric.shuffle_test import compare_with
from modularity_jax.metric.statistics import compare
from tests.metric import nets

# A net of three layers and few restarts: compiling takes most of the time.
NET = nets.random_net(0, (10, 8, 6))
SETTINGS = {"num_clusters": 3, "num_restarts": 3, "shuffles_per_group": 4}


@functools.cache
def result(num_shuffles=18, devices=None):
    mesh = None
    if devices:
        mesh = jax.make_mesh((devices,), ("shuffle",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    return mj.shuffle_test(NET, jax.random.key(7), num_shuffles=num_shuffles, mesh=mesh, **SETTINGS)


def keys_of_shuffle(index):
    """What DESIGN.md fixes: shuffle r uses fold_in(key, r)."""
    return jax.random.split(jax.random.fold_in(jax.random.key(7), index))


def test_shuffled_ncut_is_that_of_the_control():
    shuffle = jax.jit(mj.shuffle, static_argnames="method")
    for index in (0, 5, 17):
        shuffle_key, cluster_key = keys_of_shuffle(index)
        control = shuffle(NET, shuffle_key, method="layer")
        expected = mj.cluster(control, cluster_key, num_clusters=3, num_restarts=3).ncut
        np.testing.assert_allclose(result().controls[index], expected, rtol=1e-4)


def test_under_a_jit_that_closes_over_the_graph():
    found = jax.jit(lambda: mj.shuffle_test(NET, jax.random.key(7), num_shuffles=18, **SETTINGS))()
    np.testing.assert_allclose(found.controls, result().controls, rtol=1e-4)
    np.testing.assert_array_equal(found.clustering.labels, result().clustering.labels)


def test_more_controls_than_a_call_takes(monkeypatch):
    """The graph itself comes before the first of them, so the calls are cut one control earlier than theirs alone."""
    monkeypatch.setattr(items, "CAPACITY", 8)
    found = mj.shuffle_test(NET, jax.random.key(7), num_shuffles=18, **SETTINGS)
    np.testing.assert_array_equal(found.controls, result().controls)
    np.testing.assert_array_equal(found.clustering.labels, result().clustering.labels)


def test_no_two_shuffles_of_a_test_are_equal():
    shuffle = jax.jit(jax.vmap(lambda i: mj.shuffle(NET, keys_of_shuffle(i)[0], method="layer")))
    flat = np.concatenate([np.asarray(w).reshape(500, -1) for w in shuffle(jnp.arange(500)).affinities], axis=1)
    assert len(np.unique(flat, axis=0)) == 500
    assert len(np.unique(result().controls)) == 18


def test_fields_agree_with_each_other():
    found = result()
    expected = jax.jit(compare)(found.observed, found.controls)
    for name, value in expected._asdict().items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-4)
    assert found.controls.shape == (18,)
    assert found.observed == found.clustering.ncut
    assert found.clustering.labels.shape == (24,)
    assert found.all_converged
    np.testing.assert_allclose(found.p_value, (1 + (found.controls <= found.observed).sum()) / 19, rtol=1e-6)


@pytest.mark.bits
def test_shuffles_are_the_same_whatever_their_number():
    np.testing.assert_array_equal(result(num_shuffles=5).controls, result().controls[:5])
    assert result(num_shuffles=5).observed == result().observed


@pytest.mark.bits
def test_a_test_in_parts_is_the_test_in_one():
    settings = Settings(SETTINGS["num_clusters"], SETTINGS["num_restarts"], "ncut", "auto", True)
    how = {"method": "layer", "count": 9, "group_size": SETTINGS["shuffles_per_group"], "mesh": None}
    parts = [partition_controls(NET, jax.random.key(7), settings, first=first, **how) for first in (0, 9)]
    together = compare_with(result().clustering, *map(jnp.concatenate, zip(*parts, strict=True)))
    for one, other in zip(jax.tree.leaves(result()), jax.tree.leaves(together), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.bits
@pytest.mark.parametrize("devices", [1, 2, 4])
def test_same_bits_on_any_number_of_devices(devices):
    for one, other in zip(jax.tree.leaves(result()), jax.tree.leaves(result(devices=devices)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_second_call_with_the_same_shapes_does_not_compile(caplog):
    def compiled():
        return [r.getMessage() for r in caplog.records if "Finished XLA compilation" in r.getMessage()]

    nets.random_net(0, (10, 8, 6))  # NET is older than this module's programs
    result()
    with jax.log_compiles():
        mj.shuffle_test(nets.random_net(1, (10, 8, 6)), jax.random.key(8), num_shuffles=18, **SETTINGS)
        assert not compiled()
        jax.jit(lambda x: x + 1)(jnp.ones(()))  # the log does tell of compilations
        assert compiled()


def test_planted_blocks_get_the_least_p_value():
    graph = mj.LayeredGraph.from_weights(nets.planted_weights(0, (10, 8, 6), 3, noise=0.001))
    found = mj.shuffle_test(graph, jax.random.key(0), num_shuffles=199, **SETTINGS)
    assert found.p_value == pytest.approx(1 / 200)
    assert found.p_opposite == 1
    assert found.observed < 0.02
    assert found.z_score < -8
    assert found.effect_size > 8
    assert found.controls.min() > 0.4
    np.testing.assert_allclose(found.p_interval, scipy.stats.binomtest(0, 199).proportion_ci(method="exact"), atol=1e-5)


def test_edge_list():
    # Two heavy cliques that a light ring holds together: permuting the weights destroys them.
    size = 8
    ends = np.array([(i, j) for i in range(2 * size) for j in range(i)])
    weights = np.where((ends // size)[:, 0] == (ends // size)[:, 1], 1.0, 0.01)
    graph = mj.SparseGraph.from_edges(*ends.T, weights, num_nodes=2 * size)
    found = mj.shuffle_test(graph, jax.random.key(0), num_clusters=2, num_shuffles=39, method="layer_nonzero")
    assert found.p_value == pytest.approx(1 / 40)
    np.testing.assert_allclose(found.observed, 2 * 0.64 / (56 + 0.64), rtol=1e-4)


def test_p_values_are_uniform_on_nets_of_independent_weights():
    # The observed net is one of R + 1 exchangeable nets, so its rank among them is uniform once ties are broken at
    # random. There are ties: where a small net's best cut runs between two layers, every shuffle has the same n-cut.
    num_nets, num_shuffles = 256, 49  # what a deviation shows against is the number of nets
    kernels = [nets.random_weights(seed, (12, 8, 8, 4)) for seed in range(num_nets)]

    def p_values(weights, key):
        graph = mj.LayeredGraph.from_weights(weights)
        test = mj.shuffle_test(
            graph, key, num_clusters=2, num_shuffles=num_shuffles, num_restarts=3, shuffles_per_group=25
        )
        return test.p_value, test.p_opposite

    stacked = [jnp.stack(layer) for layer in zip(*kernels, strict=True)]
    lower, upper = (np.asarray(p, float) for p in jax.jit(jax.vmap(p_values))(stacked, nets.keys(0, num_nets)))
    least, most = 1 - upper, lower  # shares of the R + 1 that lie strictly below, and below or tied
    smooth = least + np.random.default_rng(0).random(num_nets) * (most - least)
    assert scipy.stats.kstest(smooth, "uniform").pvalue > 0.01
    assert ((most - least) * (num_shuffles + 1) > 0.99).all()  # the observed net itself always counts
    # As reported, p errs to the safe side only.
    assert scipy.stats.kstest(lower, "uniform", alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_clusters": 1}, r"num_clusters must be at least 2, got 1"),
        ({"num_clusters": 25}, r"num_clusters must be at most the number of connected neurons, 24, got 25"),
        ({"num_clusters": 2, "num_shuffles": 0}, r"num_shuffles must be at least 1, got 0"),
        ({"num_clusters": 2, "shuffles_per_group": 0}, r"shuffles_per_group must be at least 1, got 0"),
        ({"num_clusters": 2, "num_restarts": 0}, r"num_restarts must be at least 1, got 0"),
        ({"num_clusters": 2, "selection": "best"}, r"selection must be one of ncut, inertia, got 'best'"),
        ({"num_clusters": 2, "solver": "lobpcg"}, r"solver must be one of auto, eigh, krylov, got 'lobpcg'"),
        (
            {"num_clusters": 2, "method": "rows"},
            r"method must be one of layer, .*strengths, edges, samples, got 'rows'",
        ),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.shuffle_test(NET, jax.random.key(0), **arguments)


def test_graph_without_edges():
    graph = mj.LayeredGraph.from_weights([np.zeros((3, 3))])
    with pytest.raises(ValueError, match=r"graph must have at least one edge, got none"):
        mj.shuffle_test(graph, jax.random.key(0), num_clusters=2)


def test_method_that_a_sparse_graph_does_not_have():
    with pytest.raises(ValueError, match=r"method \(of a SparseGraph\) must be one of .*, got 'layer'"):
        mj.shuffle_test(nets.sparse_twin(NET), jax.random.key(0), num_clusters=2, method="layer")


def test_controls_that_cannot_be_cut_into_as_many_parts_are_left_out():
    """12-12-12-6 neurons on 24 of which single weights lie: most shuffles leave 17 to 19 of them connected."""
    kernels = [np.zeros(shape, np.float32) for shape in ((12, 12), (12, 12), (12, 6))]
    for kernel, offset in zip(kernels, (0, 4, 8), strict=True):
        kernel[np.arange(4) + offset, np.arange(4) + (0, 4, 0)[offset // 4]] = 1
    graph = mj.LayeredGraph.from_weights(kernels)
    connected = int((np.asarray(graph.degrees()) > 0).sum())
    assert connected == 24
    k, num_shuffles = 17, 40
    with pytest.warns(UserWarning, match=rf"of 40 controls have fewer than num_clusters={k} connected neurons"):
        found = mj.shuffle_test(graph, jax.random.key(0), num_clusters=k, num_shuffles=num_shuffles, num_restarts=2)
    shuffles = [mj.shuffle(graph, keys_for(index), method="layer") for index in range(num_shuffles)]
    fewer = np.array([(np.asarray(control.degrees()) > 0).sum() < k for control in shuffles])
    assert 0 < fewer.sum() < num_shuffles
    np.testing.assert_array_equal(np.isnan(found.controls), fewer)
    assert found.num_left_out == fewer.sum()
    left = np.asarray(found.controls)[~fewer]
    np.testing.assert_allclose(found.mean, left.mean(), rtol=1e-6)
    np.testing.assert_allclose(
        found.p_value, (1 + (left <= found.observed * (1 + 1e-6)).sum()) / (1 + left.size), rtol=1e-6
    )


def keys_for(index):
    return jax.random.split(jax.random.fold_in(jax.random.key(0), index))[0]
