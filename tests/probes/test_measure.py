"""All sums of the passes against networks that are rebuilt and run whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import export

import modularity_jax as mj
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.probes import passes
from modularity_jax.probes.lesion_test import accuracy
from modularity_jax.probes.measure import LesionSettings, keep_nothing, measure
from modularity_jax.probes.network import network_from_params
from modularity_jax.probes.passes import PASSES, Plan
from modularity_jax.probes.perceptron import _run
from modularity_jax.probes.submodules import deal_parts, draw_orders
from tests.probes import slow

WIDTHS = (7, 50, 40, 45, 5)
CLUSTERS, SHUFFLES = 4, 3
PARAMS = slow.random_params(0, WIDTHS, 1.5)
LABELS = slow.random_labels(1, WIDTHS, CLUSTERS)
X = np.random.default_rng(2).normal(size=(83, WIDTHS[0])).astype(np.float32)
Y = np.random.default_rng(3).integers(0, WIDTHS[-1], 83).astype(np.int32)
KEY = jax.random.key(4)


def margin(logits, labels):
    """A metric that is not a count: the right class's logit less the mean one."""
    own = (logits * (labels[:, None] == np.arange(logits.shape[1])[None])).sum(1)
    return own - logits.mean(1)


def run(kind, *, metric=accuracy, mesh=None, batch=30, shuffles=SHUFFLES, params=PARAMS, labels=LABELS):
    settings = LesionSettings(
        num_clusters=CLUSTERS, num_shuffles=shuffles, metric=metric, undamaged=None, ties="counted",
        correction="max_t", samples_per_batch=batch, mesh=mesh, keep=keep_nothing,
    )  # fmt: skip
    return measure(kind, params, labels, X, Y, KEY, settings)


def trials():
    """Hidden labels of each trial, and those in which one sub-module stays, by layer and sub-module."""
    own = slow.hidden(LABELS, WIDTHS)
    parts = deal_parts(own, CLUSTERS)
    orders = draw_orders(own, parts, KEY, range(SHUFFLES + 1), with_rest=True)
    whole = [
        [_labels(o.whole[t], p, own[i]) for i, (o, p) in enumerate(zip(orders, parts, strict=True))] for t in range(4)
    ]

    def given(t, layer, cluster):
        """That layer's labels with the cluster in place and the others permuted."""
        clusters = np.unique(own[layer][own[layer] >= 0])
        place = int(np.flatnonzero(clusters == cluster)[0])
        kept = np.setdiff1d(clusters, [cluster])
        sizes = [int((own[layer] == c).sum()) for c in kept]
        made = np.where(own[layer] == cluster, cluster, -1)
        made[orders[layer].rest[t, place][: sum(sizes)]] = np.repeat(kept, sizes)
        return made

    return whole, given


def _labels(order, parts, own):
    clusters = np.unique(own[own >= 0])
    sizes = np.asarray(parts.sizes)[: len(clusters)]
    made = np.full(len(own), -1)
    made[order[: sizes.sum()]] = np.repeat(clusters, sizes)
    return made


def test_the_first_trial_is_the_network_as_found_and_the_others_keep_what_they_say():
    own = slow.hidden(LABELS, WIDTHS)
    whole, given = trials()
    for layer, labels in enumerate(own):
        np.testing.assert_array_equal(whole[0][layer], labels)
        for t in range(1, SHUFFLES + 1):
            assert (whole[t][layer] != labels).any()
            np.testing.assert_array_equal(whole[t][layer] < 0, labels < 0)
            np.testing.assert_array_equal(np.sort(whole[t][layer]), np.sort(labels))
        for cluster in np.unique(labels[labels >= 0]):
            np.testing.assert_array_equal(given(0, layer, cluster), labels)
            moved = given(2, layer, cluster)
            np.testing.assert_array_equal(moved == cluster, labels == cluster)
            np.testing.assert_array_equal(np.sort(moved), np.sort(labels))
            assert (moved != labels).any()


@pytest.mark.parametrize("metric", [accuracy, margin], ids=["accuracy", "margin"])
def test_single_lesions_equal_rebuilt_networks(metric):
    found = run("single", metric=metric)
    slowly = None if metric is accuracy else metric
    np.testing.assert_allclose(found.undamaged, slow.class_sums(PARAMS, X, Y, slowly), atol=1e-4)
    for t, labels in enumerate(trials()[0]):
        for number, module in enumerate(slow.modules(labels)):
            damaged = slow.damage(PARAMS, slow.masks_of(labels, module))
            np.testing.assert_allclose(found.damaged[t, number], slow.class_sums(damaged, X, Y, slowly), atol=1e-4)


@pytest.mark.parametrize("metric", [accuracy, margin], ids=["accuracy", "margin"])
def test_joint_lesions_equal_rebuilt_networks(metric):
    found = run("joint", metric=metric)
    slowly = None if metric is accuracy else metric
    for t, labels in enumerate(trials()[0]):
        chosen = slow.modules(labels)
        for a, one in enumerate(chosen):
            for b, other in enumerate(chosen[a:], start=a):
                damaged = slow.damage(PARAMS, slow.masks_of(labels, one, other))
                np.testing.assert_allclose(found.damaged[t, a, b], slow.class_sums(damaged, X, Y, slowly), atol=1e-4)


@pytest.mark.parametrize("metric", [accuracy, margin], ids=["accuracy", "margin"])
def test_conditional_lesions_equal_rebuilt_networks(metric):
    found = run("conditional", metric=metric)
    slowly = None if metric is accuracy else metric
    own = slow.hidden(LABELS, WIDTHS)
    whole, given = trials()
    chosen = slow.modules(own)
    for t in range(SHUFFLES + 1):
        for a, (layer, cluster) in enumerate(chosen):
            for b, (stays_in, stays) in enumerate(chosen):
                moved = given(t, layer, stays) if stays_in == layer else whole[t][layer]
                masks = slow.masks_of(own, (stays_in, stays))
                if a != b:
                    masks[layer] = masks[layer] | (moved == cluster)
                expected = slow.class_sums(slow.damage(PARAMS, masks), X, Y, slowly)
                np.testing.assert_allclose(found.damaged[t, a, b], expected, atol=1e-4)


@pytest.mark.bits
@pytest.mark.parametrize("kind", ["single", "joint", "conditional"])
def test_batches_and_devices_change_nothing(kind):
    one = run(kind)
    for other in (run(kind, batch=17), run(kind, batch=500), run(kind, mesh=seed_mesh())):
        np.testing.assert_array_equal(one.damaged, other.damaged)
        np.testing.assert_array_equal(one.undamaged, other.undamaged)


@pytest.mark.parametrize("kind", ["single", "joint", "conditional"])
def test_more_controls_keep_the_first_and_cross_calls(kind, monkeypatch):
    few = run(kind)
    monkeypatch.setattr("modularity_jax.probes.measure.MAX_SUMS", 3 * 12 * 12 * 5)
    many = run(kind, shuffles=6)
    np.testing.assert_array_equal(few.damaged, many.damaged[: SHUFFLES + 1])
    assert len(many.damaged) == 7


def test_permutations_depend_on_key_layer_trial_and_what_stays_alone():
    own = [np.repeat([0, 1, 2, -1], 5)] * 2
    parts = deal_parts(own, 3)
    many = draw_orders(own, parts, KEY, range(9), with_rest=True)
    for layer in range(2):
        (alone,) = draw_orders(own, parts, KEY, [7], with_rest=False)[layer : layer + 1]
        np.testing.assert_array_equal(alone.whole[0], many[layer].whole[7])
        later = draw_orders(own, parts, KEY, range(5, 9), with_rest=True)[layer]
        np.testing.assert_array_equal(later.rest, many[layer].rest[5:])
    drawn = [o.whole[t] for o in many for t in range(1, 9)] + [
        o.rest[t, k] for o in many for t in (1, 2) for k in (0, 1)
    ]
    drawn += [draw_orders(own, parts, jax.random.key(5), [1], with_rest=False)[0].whole[0]]
    assert len({tuple(order) for order in drawn}) == len(drawn)


@pytest.mark.parametrize("row", [0, 1], ids=["whole", "rest"])
def test_all_permutations_are_equally_likely(row):
    """Four live units of five, and three of them where one stays: chi-square over all orders."""
    own = [np.array([0, 0, 1, 2, -1])]
    orders = draw_orders(own, deal_parts(own, 3), KEY, range(1, 24_001), with_rest=True)[0]
    drawn = orders.whole[:, :4] if row == 0 else orders.rest[:, 2, :3]
    kinds, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(kinds) == (24 if row == 0 else 6)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_masked_activations_and_zeroed_weights_give_the_same_logits():
    """Silencing activations is what zeroing the incoming weights and the bias does."""
    masks = slow.masks_of(slow.hidden(LABELS, WIDTHS), (0, 1), (2, 0))
    rows = jnp.asarray(X.T)
    layers = network_from_params(PARAMS)
    for index, layer in enumerate(layers):
        rows = layer(rows)
        if index < len(masks):
            rows = jnp.where(jnp.asarray(masks[index])[:, None], 0, jax.nn.relu(rows))
    np.testing.assert_allclose(rows.T, slow.logits(slow.damage(PARAMS, masks), X), atol=1e-5)


def test_networks_of_one_shape_share_a_program_whatever_the_number_of_controls():
    def traced(logits, labels):
        traces.append(1)
        return accuracy(logits, labels)

    traces = []
    for seed in range(3):
        labels = slow.random_labels(seed, WIDTHS, CLUSTERS)
        mj.lesion_test(
            slow.random_params(seed, WIDTHS),
            labels,
            X,
            Y,
            KEY,
            num_clusters=CLUSTERS,
            num_shuffles=2 + seed,
            metric=traced,
        )
        if not seed:
            first = len(traces)
    assert len(traces) == first


@pytest.mark.parametrize("kind", list(PASSES))
@pytest.mark.parametrize("labels", [LABELS, np.where(LABELS == 3, 2, LABELS)], ids=["all clusters", "fewer clusters"])
def test_all_sub_modules_of_a_layer_at_once_as_on_an_accelerator(kind, labels, monkeypatch):
    in_turn, whole = (run(kind, metric=metric, labels=labels) for metric in (accuracy, margin))
    monkeypatch.setattr(passes, "on_cpu", lambda: False)
    # Metrics of their own, since programs are kept by them.
    at_once = run(kind, metric=lambda logits, y: accuracy(logits, y), labels=labels)
    np.testing.assert_array_equal(in_turn.damaged, at_once.damaged)
    at_once = run(kind, metric=lambda logits, y: margin(logits, y), labels=labels)
    np.testing.assert_allclose(whole.damaged, at_once.damaged, atol=1e-4)
    assert np.abs(whole.damaged).max() > 1


@pytest.mark.parametrize("kind", list(PASSES))
def test_passes_lower_for_accelerators(kind, monkeypatch):
    monkeypatch.setattr(passes, "on_cpu", lambda: False)
    own = slow.hidden(LABELS, WIDTHS)
    parts = deal_parts(own, CLUSTERS)
    orders = draw_orders(own, parts, KEY, range(2), with_rest=kind == "conditional")
    observed = tuple(order.whole[0] for order in orders)
    plan = Plan(network_from_params(PARAMS), parts, observed, orders, np.int32(2))
    batches = jnp.zeros((2, 7, 10)), jnp.zeros((2, 10), jnp.int32), jnp.zeros((2, 10, 5))
    shape = (12,) if kind == "single" else (12, 12)

    def metric(logits, labels):
        return accuracy(logits, labels)

    run = jax.jit(lambda *leaves: _run(*jax.tree.unflatten(structure, leaves), PASSES[kind], shape, metric, None))
    leaves, structure = jax.tree.flatten((plan, batches))
    exported = export.export(run, platforms=["cuda", "tpu"])(*leaves)
    assert exported.platforms == ("cuda", "tpu")
    assert exported.out_avals[1].shape == (2, 2, *shape, 5)
