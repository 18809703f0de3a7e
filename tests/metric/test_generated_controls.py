"""Controls and shuffle tests of generated inputs: each control keeps what it says it keeps, p counts: 860 inputs."""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import strategies as st

import modularity_jax as mj
from modularity_jax.metric.controls import KDE_BANDWIDTH
from modularity_jax.metric.statistics import TIE_TOLERANCE
from tests import generated
from tests.generated import examples, refused
from tests.metric import nets

LIST_METHODS = ("layer_nonzero", "layer_nonzero_distribution", "edges")

WIDTHS = (4, 5, 3)
# Two blocks for one method of each kind of program, one for the others: a program's size grows with its blocks.
DEEP = ("layer", "row", "layer_all_distribution", "edges")
CASES = [(m, WIDTHS if m in DEEP else WIDTHS[:2]) for m in nets.WEIGHT_METHODS]
NUM_NODES, NUM_EDGES = 7, 10
NUM_CLUSTERS, NUM_SHUFFLES = 2, 5
SETTINGS = {"num_clusters": NUM_CLUSTERS, "num_restarts": 2, "shuffles_per_group": 1}

# Under jit, where a control's program does not depend on how many weights are 0.
shuffle = jax.jit(mj.shuffle, static_argnames="method")
shuffle_test = jax.jit(
    functools.partial(mj.shuffle_test, num_shuffles=NUM_SHUFFLES, **SETTINGS), static_argnames="method"
)


def layered(widths=WIDTHS):
    return generated.kernels(widths).map(mj.LayeredGraph.from_weights)


def sparse():
    made = generated.edges(NUM_NODES, NUM_EDGES)
    return made.map(lambda edges: mj.SparseGraph.from_edges(*edges, num_nodes=NUM_NODES))


def whole_nets():
    """Nets without a zero."""
    return generated.seeds().map(lambda seed: nets.random_net(seed, WIDTHS))


def prng_keys():
    return generated.seeds().map(jax.random.key)


def assert_block(after, before, method):
    """What one block of weights keeps."""
    after, before = np.asarray(after, float), np.asarray(before, float)
    assert after.shape == before.shape
    assert np.isfinite(after).all()
    assert (after >= 0).all()
    assert np.count_nonzero(after) == np.count_nonzero(before)
    if method in ("degrees", "strengths"):
        for axis in (0, 1):
            np.testing.assert_array_equal((after > 0).sum(axis=axis), (before > 0).sum(axis=axis))
    if method in ("layer", "layer_nonzero"):
        np.testing.assert_array_equal(np.sort(after, axis=None), np.sort(before, axis=None))
    if method in ("row", "column", "degrees"):
        axis = 0 if method == "column" else 1
        np.testing.assert_array_equal(np.sort(after, axis=axis), np.sort(before, axis=axis))
    if method in ("layer_nonzero", "layer_nonzero_distribution"):
        np.testing.assert_array_equal(after > 0, before > 0)
    if method.endswith("distribution") and before.any():
        old, new = before[before > 0], after[after > 0]
        distance = np.abs(new[:, None] - old[None, :]) / (8 * KDE_BANDWIDTH + 1e-6 * old[None, :])
        assert distance.min(axis=1).max() <= 1


@examples(300)
@hypothesis.given(st.data(), prng_keys(), st.sampled_from(CASES))
def test_controls_of_nets(data, key, case):
    method, widths = case
    graph = data.draw(layered(widths))
    control = shuffle(graph, key, method=method)
    assert isinstance(control, mj.LayeredGraph)
    for after, before in zip(control.affinities, graph.affinities, strict=True):
        assert_block(after, before, method)
    isolated = np.asarray(graph.degrees()) == 0
    assert (np.asarray(control.degrees())[isolated] == 0).all()
    for one, other in zip(control.affinities, shuffle(graph, key, method=method).affinities, strict=True):
        np.testing.assert_array_equal(one, other)


# Sums of products are rounded alike only as users' programs are compiled.
@pytest.mark.parametrize("method", ["layer", pytest.param("layer_all_distribution", marks=pytest.mark.long)])
@examples(60)
@hypothesis.given(whole_nets(), prng_keys())
def test_controls_do_not_depend_on_jit(method, graph, key):
    for one, other in zip(
        mj.shuffle(graph, key, method=method).affinities, shuffle(graph, key, method=method).affinities, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@examples(120)
@hypothesis.given(sparse(), prng_keys(), st.sampled_from(LIST_METHODS))
def test_controls_of_edge_lists(graph, key, method):
    control = shuffle(graph, key, method=method)
    assert control.num_nodes == graph.num_nodes
    np.testing.assert_array_equal(control.senders, graph.senders)
    np.testing.assert_array_equal(control.receivers, graph.receivers)
    assert_block(control.weights, graph.weights, method)


@pytest.mark.parametrize("method", LIST_METHODS)
@pytest.mark.parametrize("run", [mj.shuffle, shuffle])
def test_edge_list_without_an_edge_is_its_own_control(run, method):
    control = run(mj.SparseGraph.from_edges([], [], [], num_nodes=3), jax.random.key(0), method=method)
    assert control.weights.shape == (0,)


NO_METHODS = ("", "rows", "Layer", None, 0, ("layer",), ["row"])
NO_KEYS = (None, 0, "key", np.zeros(2), jnp.zeros((2, 2), jnp.uint32), jax.random.split(jax.random.key(0), 3))


@examples(60)
@hypothesis.given(
    layered() | sparse(),
    st.tuples(st.just("method"), st.sampled_from(NO_METHODS)) | st.tuples(st.just("key"), st.sampled_from(NO_KEYS)),
)
def test_bad_arguments_of_a_shuffle_are_refused(graph, bad):
    given = {"graph": graph, "key": jax.random.key(0), "method": "layer_nonzero"} | {bad[0]: bad[1]}
    refused(lambda: mj.shuffle(**given), bad[0])
    refused(lambda: mj.shuffle_test(**given, num_clusters=2), bad[0])


def assert_statistics(found, num_shuffles):
    """All statistics follow from the n-cuts."""
    observed, shuffled = float(found.observed), np.asarray(found.controls, float)
    assert shuffled.shape == (num_shuffles,)
    assert np.isfinite(shuffled).all()
    assert (shuffled >= 0).all()
    assert (shuffled <= NUM_CLUSTERS * (1 + 1e-6)).all()
    assert observed == float(found.clustering.ncut)
    # Between half and twice the tolerance for ties, rounding decides.
    for p, sign in ((found.p_value, 1), (found.p_opposite, -1)):
        least, most = ((sign * shuffled <= sign * observed + f * TIE_TOLERANCE * observed).sum() for f in (0.5, 2))
        assert (1 + least) / (num_shuffles + 1) <= p * (1 + 1e-6)
        assert p <= (1 + most) / (num_shuffles + 1) * (1 + 1e-6)
        assert 1 / (num_shuffles + 1) <= p * (1 + 1e-6)
        assert p <= 1
    assert float(found.p_two_sided) == min(1, 2 * min(float(found.p_value), float(found.p_opposite)))
    hits = round(float(found.p_value) * (num_shuffles + 1)) - 1
    exact = scipy.stats.binomtest(hits, num_shuffles).proportion_ci(method="exact")
    np.testing.assert_allclose(found.p_interval, exact, atol=1e-4)
    np.testing.assert_allclose(found.mean, shuffled.mean(), rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(found.std, shuffled.std(), rtol=1e-3, atol=1e-6 * observed + 1e-6)
    for value, unit in (
        (found.z_score, found.std),
        (found.effect_size, np.median(np.abs(shuffled - np.median(shuffled)))),
    ):
        assert not np.isnan(value)
        assert np.isfinite(value) or unit <= 2 * TIE_TOLERANCE * observed


@examples(120)
@hypothesis.given(layered(), prng_keys(), st.sampled_from(("layer", "row")))
def test_shuffle_tests_of_nets(graph, key, method):
    hypothesis.assume((np.asarray(graph.degrees()) > 0).sum() >= NUM_CLUSTERS)
    found = shuffle_test(graph, key, method=method)
    assert_statistics(found, NUM_SHUFFLES)
    exact = nets.slow_ncut(nets.dense(graph), np.asarray(found.clustering.labels), NUM_CLUSTERS)
    np.testing.assert_allclose(found.observed, exact, rtol=1e-5, atol=1e-37)
    assert found.all_converged


@examples(60)
@hypothesis.given(sparse(), prng_keys())
def test_shuffle_tests_of_edge_lists(graph, key):
    hypothesis.assume((np.asarray(graph.degrees()) > 0).any())
    assert_statistics(shuffle_test(graph, key, method="layer_nonzero"), NUM_SHUFFLES)


@examples(40)
@hypothesis.given(whole_nets(), prng_keys())
def test_a_single_shuffle(graph, key):
    assert_statistics(mj.shuffle_test(graph, key, num_shuffles=1, **SETTINGS), 1)


@examples(40)
@hypothesis.given(generated.kernels(WIDTHS, ("clear of 0",), (1.0,)), prng_keys(), st.sampled_from(("layer", "row")))
def test_powers_of_two_do_not_matter_to_a_shuffle_test(weights, key, method):
    hypothesis.assume(any(w.any() for w in weights))
    before = shuffle_test(mj.LayeredGraph.from_weights(weights), key, method=method)
    for power in (-100, 100):
        scaled = mj.LayeredGraph.from_weights([np.ldexp(w, power) for w in weights])
        for one, other in zip(
            jax.tree.leaves(before), jax.tree.leaves(shuffle_test(scaled, key, method=method)), strict=True
        ):
            np.testing.assert_array_equal(one, other)


BAD_SETTINGS = {
    "num_clusters": generated.counts(2) | st.integers(13, 2**40),
    "num_shuffles": generated.counts(1),
    "num_restarts": generated.counts(1),
    "shuffles_per_group": generated.counts(1).filter(lambda count: count is not None),
    "selection": st.sampled_from(["", "best", None, 3]),
    "solver": st.sampled_from(["", "arpack", None, 0]),
}


@examples(60)
@hypothesis.given(st.data(), whole_nets(), st.sampled_from(list(BAD_SETTINGS)))
def test_bad_settings_of_a_shuffle_test_are_refused(data, graph, name):
    given = {"num_clusters": 2} | {name: data.draw(BAD_SETTINGS[name])}
    refused(lambda: mj.shuffle_test(graph, jax.random.key(0), **given), name)


def test_docstring_tells_the_number_of_inputs():
    assert f"{generated.COUNTS[__name__]:,} inputs" in __doc__
