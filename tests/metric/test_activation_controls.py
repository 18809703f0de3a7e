"""Controls of dense graphs and of activations: what each keeps, and that p is uniform where units are independent."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.sharding import AxisType

import modularity_jax as mj
from modularity_jax.metric.items import partition_controls
from modularity_jax.metric.settings import Settings
from modularity_jax.metric.shuffle_test import compare_with
from tests.metric import nets

WIDTHS = (5, 4, 3)
SETTINGS = {"num_clusters": 2, "num_restarts": 2, "shuffles_per_group": 2}
NUM_SHUFFLES = 9

shuffle = jax.jit(mj.shuffle, static_argnames="method")


def layers(seed, count=20):
    """ReLU units that follow one of two causes, in turn; the last of the first layer is silent."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(count, 2))
    made = [np.maximum(causes[:, np.arange(d) % 2] + 0.5 * rng.normal(size=(count, d)), 0) for d in WIDTHS]
    made[0][:, -1] = 0
    return [own.astype(np.float32) for own in made]


@functools.cache
def graph(**settings):
    return mj.activation_graph(layers(1), **settings)


def weights_of(graph):
    return [np.asarray(block.weights).ravel() for block in graph.blocks()]


GRAPHS = {
    "activations": graph(),
    "halves": graph(cross_validated=True),
    "layered": nets.random_net(0, (6, 5, 4), 0.6),
    "wired": nets.recurrent_net(0),
    "list": nets.sparse_twin(nets.random_net(0, (6, 5, 4), 0.6)),
}


@pytest.mark.parametrize("name", ["activations", "halves"])
@pytest.mark.parametrize("method", ["layer_nonzero", "layer_nonzero_distribution"])
def test_edges_stay_within_their_pair_of_layers(name, method):
    before = GRAPHS[name]
    after = shuffle(before, jax.random.key(0), method=method)
    np.testing.assert_array_equal(after.affinity, np.transpose(after.affinity))
    np.testing.assert_array_equal(after.affinity > 0, before.affinity > 0)
    assert (after.affinity != before.affinity).any()
    assert after.responses is None  # what they correlate to is another graph
    if method == "layer_nonzero":
        for one, other in zip(weights_of(after), weights_of(before), strict=True):
            np.testing.assert_array_equal(np.sort(one), np.sort(other))


@pytest.mark.parametrize("name", GRAPHS)
def test_edges_of_the_whole_graph_are_permuted_among_their_places(name):
    before = GRAPHS[name]
    one, other = (weights_of(own) for own in (mj.shuffle(before, jax.random.key(1), method="edges"), before))
    np.testing.assert_array_equal(np.sort(np.concatenate(one)), np.sort(np.concatenate(other)))
    for moved, stood in zip(one, other, strict=True):
        np.testing.assert_array_equal(moved > 0, stood > 0)
    if name == "wired":
        for moved, same in zip(one, weights_of(shuffle(before, jax.random.key(1), method="edges")), strict=True):
            np.testing.assert_array_equal(moved, same)
    if len(one) > 1:
        assert any(set(moved) != set(stood) for moved, stood in zip(one, other, strict=True))


def test_all_orders_of_all_layers_are_equally_likely():
    first, second = np.zeros((2, 3)), np.zeros((3, 2))
    first[[0, 0, 1], [0, 2, 1]], second[[1, 2], [0, 1]] = [1, 2, 3], [4, 5]
    net = mj.LayeredGraph.from_weights([first, second])
    drawn = jax.jit(jax.vmap(lambda key: mj.shuffle(net, key, method="edges").affinities))(nets.keys(0, 2_400))
    flat = np.concatenate([np.asarray(w).reshape(2_400, -1) for w in drawn], axis=1).astype(int)
    seen = np.unique(flat @ 6 ** np.arange(12), return_counts=True)[1]
    assert seen.size == 120
    nets.assert_counts(seen, 20)


@pytest.mark.parametrize("between_layers", [True, False])
@pytest.mark.parametrize("halves", [True, False])
def test_samples_of_each_unit_change_places(halves, between_layers):
    before = graph(cross_validated=halves, between_layers=between_layers)
    after = shuffle(before, jax.random.key(2), method="samples")
    assert (after.widths, after.responses.between_layers) == (WIDTHS, between_layers)
    for one, other in zip(after.responses.parts, before.responses.parts, strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=0), np.sort(other, axis=0))
        moved = (np.asarray(one) != np.asarray(other)).any(axis=0)
        assert moved.sum() == sum(WIDTHS) - 1
    # The graph is that of these samples, as SciPy has it; halves, if any, were even and odd ones.
    x = np.concatenate([np.asarray(part, float) for part in after.responses.parts])
    order = np.argsort(np.concatenate([np.arange(0, 20, 2), np.arange(1, 20, 2)])) if halves else np.arange(20)
    x[:, WIDTHS[0] - 1] = 0
    again = mj.activation_graph(
        np.split(x[order], np.cumsum(WIDTHS)[:-1], axis=1), cross_validated=halves, between_layers=between_layers
    )
    np.testing.assert_allclose(after.affinity, again.affinity, atol=1e-5)
    if not halves and between_layers:
        alive = np.arange(sum(WIDTHS)) != WIDTHS[0] - 1
        expected = scipy.stats.spearmanr(x[:, alive]).statistic ** 2 * (1 - np.eye(sum(WIDTHS) - 1))
        np.testing.assert_allclose(np.asarray(after.affinity)[np.ix_(alive, alive)], expected, atol=1e-5)
    assert (np.asarray(after.degrees())[WIDTHS[0] - 1]) == 0
    twice = shuffle(after, jax.random.key(3), method="samples")
    assert (twice.affinity != after.affinity).any()


def test_orders_of_two_units_are_independent():
    pair = mj.activation_graph(np.array([[0, 0], [1, 1], [3, 3]]), correlation="pearson")
    draw = jax.jit(jax.vmap(lambda key: mj.shuffle(pair, key, method="samples").responses.parts[0]))
    ranks = np.argsort(np.asarray(draw(nets.keys(1, 7200))), axis=1)
    seen = np.unique(ranks.reshape(7200, 6) @ 3 ** np.arange(6), return_counts=True)[1]
    assert seen.size == 36
    nets.assert_counts(seen, 200)


@functools.cache
def result(devices=None, **settings):
    mesh = devices and jax.make_mesh((devices,), ("s",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    how = SETTINGS | {"num_shuffles": NUM_SHUFFLES, "method": "samples", "mesh": mesh}
    return mj.shuffle_test(graph(**settings), jax.random.key(7), **how)


def test_controls_are_graphs_of_permuted_samples():
    for index in (0, 8):
        shuffle_key, cluster_key = jax.random.split(jax.random.fold_in(jax.random.key(7), index))
        control = shuffle(graph(), shuffle_key, method="samples")
        expected = mj.cluster(control, cluster_key, num_clusters=2, num_restarts=2).ncut
        np.testing.assert_allclose(result().controls[index], expected, rtol=1e-4)
    assert result().observed == result().clustering.ncut
    labels = np.asarray(result().clustering.labels)
    np.testing.assert_allclose(
        result().observed, nets.slow_ncut(np.asarray(graph().affinity, float), labels, 2), rtol=1e-5
    )
    units = np.concatenate([np.arange(d) % 2 for d in WIDTHS])[labels >= 0]
    assert all(len(set(units[labels[labels >= 0] == k])) == 1 for k in range(2))
    assert result().clustering.depth_share < 0.5
    assert len(np.unique(result().controls)) == NUM_SHUFFLES


@pytest.mark.bits
def test_same_bits_on_any_number_of_devices_and_in_parts():
    for one, other in zip(jax.tree.leaves(result()), jax.tree.leaves(result(devices=4)), strict=True):
        np.testing.assert_array_equal(one, other)
    settings = Settings(2, 2, "ncut", "auto", True)
    how = {"method": "samples", "group_size": 2, "mesh": None}
    parts = [
        partition_controls(graph(), jax.random.key(7), settings, first=first, count=count, **how)
        for first, count in ((0, 4), (4, 5))
    ]
    together = compare_with(result().clustering, *map(jnp.concatenate, zip(*parts, strict=True)))
    for one, other in zip(jax.tree.leaves(result()), jax.tree.leaves(together), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_shuffle_test_is_one_program(caplog):
    """As of a layered graph; edges share theirs, whichever of them trade places."""
    made, key = mj.activation_graph(layers(1, 21)), jax.random.key(1)  # of a shape that no other test has
    for method, programs in (("layer_nonzero", ["jit(_run)"]), ("edges", []), ("samples", ["jit(_run)"])):
        caplog.clear()
        with jax.log_compiles():
            mj.shuffle_test(made, key, num_shuffles=NUM_SHUFFLES, method=method, **SETTINGS)
        told = [record.getMessage() for record in caplog.records]
        assert [text.split()[1] for text in told if text.startswith("Compiling ")] == programs


def test_p_values_are_uniform_on_independent_units():
    """The graph is one of R + 1 exchangeable ones, so its rank among them is uniform, and safe where it is tied."""
    num_graphs, num_shuffles = 60, 39
    x = np.maximum(np.random.default_rng(0).normal(size=(num_graphs, 12, 8)), -0.5).astype(np.float32)

    def p_values(own, key):
        settings = {"num_clusters": 2, "num_restarts": 2, "shuffles_per_group": 40, "num_shuffles": num_shuffles}
        test = mj.shuffle_test(mj.activation_graph(own), key, method="samples", **settings)
        return test.p_value, test.p_opposite

    lower, upper = (np.asarray(p, float) for p in jax.jit(jax.vmap(p_values))(x, nets.keys(0, num_graphs)))
    smooth = 1 - upper + np.random.default_rng(1).random(num_graphs) * (lower - (1 - upper))
    assert scipy.stats.kstest(smooth, "uniform").pvalue > 0.01
    assert scipy.stats.kstest(lower, "uniform", alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("halves", [True, False])
def test_units_of_two_causes_get_the_least_p_value(halves):
    found = result(cross_validated=True) if halves else result()
    assert found.p_value == pytest.approx(1 / (NUM_SHUFFLES + 1))
    assert found.z_score < -2


@pytest.mark.parametrize(
    ("made", "method", "text"),
    [
        ("layered", "samples", r"graph must be as activation_graph makes it for method='samples', got a LayeredGraph "),
        ("list", "samples", r"graph must be as activation_graph makes it for method='samples', got a SparseGraph "),
        ("shuffled", "samples", r"graph must be as activation_graph makes it for .*, got a DenseGraph without samples"),
        ("activations", "layer", r"method \(of a DenseGraph\) must be one of layer_nonzero, .*samples, got 'layer'"),
        ("activations", "row", r"method \(of a DenseGraph\) must be one of layer_nonzero, .*samples, got 'row'"),
    ],
)
def test_methods_that_a_graph_does_not_have(made, method, text):
    own = GRAPHS["activations"].balanced() if made == "shuffled" else GRAPHS[made]
    for call in (mj.shuffle, functools.partial(mj.shuffle_test, num_clusters=2)):
        with pytest.raises(ValueError, match=rf"^{text}"):
            call(own, jax.random.key(0), method=method)
