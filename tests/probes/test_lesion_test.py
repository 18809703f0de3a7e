"""The public lesion tests: statistics, planted and empty effects, words, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import modularity_jax as mj
from modularity_jax.metric.multiple_testing import holm
from modularity_jax.metric.statistics import compare
from modularity_jax.probes import verdicts
from modularity_jax.probes.lesion_test import accuracy
from modularity_jax.probes.verdicts import classify
from tests.probes import slow

WIDTHS = (6, 40, 30, 4)
CLUSTERS = 3
PARAMS = slow.random_params(0, WIDTHS, 1.5)
LABELS = slow.random_labels(1, WIDTHS, CLUSTERS)
X = np.random.default_rng(2).normal(size=(200, WIDTHS[0])).astype(np.float32)
Y = slow.logits(PARAMS, X).argmax(1).astype(np.int32)  # so that the undamaged network is always right
KEY = jax.random.key(4)


def margin(logits, labels):
    """The right class's logit less the mean one: no two networks tie."""
    own = (logits * (labels[:, None] == np.arange(logits.shape[1])[None])).sum(1)
    return own - logits.mean(1)


def single(**settings):
    given = {"params": PARAMS, "labels": LABELS, "x": X, "y": Y, "key": KEY, "num_clusters": CLUSTERS} | settings
    return mj.lesion_test(num_shuffles=given.pop("num_shuffles", 19), **given)


def double(kind, **settings):
    given = {"params": PARAMS, "labels": LABELS, "x": X, "y": Y, "key": KEY, "num_clusters": CLUSTERS} | settings
    return mj.double_lesion_test(kind=kind, num_shuffles=given.pop("num_shuffles", 19), **given)


def test_fields_of_a_single_test():
    found = single()
    own = slow.hidden(LABELS, WIDTHS)
    np.testing.assert_array_equal(found.submodules.layer, [1, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(found.submodules.cluster, [0, 1, 2, 0, 1, 2])
    np.testing.assert_array_equal(found.submodules.num_units, [(own[i] == c).sum() for i in range(2) for c in range(3)])
    live = np.repeat([(layer >= 0).sum() for layer in own], 3)
    np.testing.assert_allclose(found.submodules.share, found.submodules.num_units / live)
    assert found.undamaged == 1
    np.testing.assert_allclose(found.diff, found.accuracy - 1)
    sizes = np.bincount(Y, minlength=4)
    np.testing.assert_array_equal(found.class_sizes, sizes)
    np.testing.assert_allclose(found.accuracy_by_class @ sizes / 200, found.accuracy)
    np.testing.assert_allclose(found.control_accuracy_by_class @ sizes / 200, found.control_accuracy)
    np.testing.assert_allclose(found.control_mean, found.control_accuracy.mean(0))
    np.testing.assert_allclose(
        found.z_score, (found.accuracy - found.control_mean) / found.control_accuracy.std(0), rtol=1e-4
    )
    expected = (1 + (found.control_accuracy <= found.accuracy[None] + 1e-9).sum(0)) / 20
    np.testing.assert_allclose(found.p_value, expected, rtol=1e-6)
    assert (found.p_adjusted >= found.p_value * (1 - 1e-6)).all()


def test_p_and_z_are_those_of_the_metric():
    """The host's statistics against `metric.statistics.compare`, ties and controls that do not vary included."""
    rng = np.random.default_rng(0)
    controls = rng.integers(960, 990, (50, 8)).astype(np.float32) / 1000
    controls[:, 6:] = np.float32(0.975)
    observed = np.append(controls[3, :7], np.float32(0.5))
    found = verdicts.test_all(observed, controls, np.full(8, True), ties="counted", correction="max_t")
    for i in range(8):
        expected = compare(jnp.asarray(observed[i]), jnp.asarray(controls[:, i]))
        np.testing.assert_allclose(found.p_value[i], expected.p_value, rtol=1e-6)
        np.testing.assert_allclose(found.z_score[i], expected.z_score, rtol=1e-3, atol=1e-5)
    assert found.z_score[6] == 0
    assert found.z_score[7] == -np.inf


def test_strict_ties_are_the_study_s():
    """Where a lesion changes nothing the study's p is the smallest possible; counted ties make it 1."""
    dead = {name: dict(layer) for name, layer in PARAMS.items()}
    dead["layer_02"]["kernel"] = np.zeros_like(dead["layer_02"]["kernel"])
    found, strict = single(params=dead), single(params=dead, ties="strict")
    np.testing.assert_array_equal(found.p_value, 1)
    np.testing.assert_allclose(strict.p_value, 1 / 20, rtol=1e-6)
    assert set(found.taxonomy) <= {"prunable", "small"}


def test_a_whole_layer_has_no_p():
    labels = LABELS.copy()
    labels[WIDTHS[0] : WIDTHS[0] + WIDTHS[1]] = 2
    found = single(labels=labels)
    assert np.isnan([found.p_value[0], found.p_adjusted[0], found.z_score[0]]).all()
    assert found.taxonomy[0] == found.taxonomy_adjusted[0] == "complete"
    assert not np.isnan(found.p_value[1:]).any()
    joint = double("joint", labels=labels)
    np.testing.assert_array_equal(np.isnan(joint.p_value), (joint.first == 0) & (joint.second == 0))
    given = double("conditional", labels=labels)
    np.testing.assert_array_equal(np.isnan(given.p_value), given.first == 0)


def test_two_that_make_up_a_layer_have_no_joint_p():
    labels = LABELS.copy()
    start = WIDTHS[0] + WIDTHS[1]
    labels[start : start + WIDTHS[2]] = np.arange(WIDTHS[2]) % 2
    joint = double("joint", labels=labels)
    np.testing.assert_array_equal(np.isnan(joint.p_value), (joint.first == 3) & (joint.second == 4))
    given = double("conditional", labels=labels)
    np.testing.assert_array_equal(np.isnan(given.p_value), np.minimum(given.first, given.second) == 3)


def test_scores_of_pairs():
    joint, given, alone = double("joint"), double("conditional"), single()
    np.testing.assert_allclose(joint.score, joint.diff)
    same = joint.first == joint.second
    np.testing.assert_allclose(joint.diff[same], alone.diff)
    assert len(joint.first) == 21
    assert len(given.first) == 30
    np.testing.assert_allclose(given.score, given.diff - alone.diff[given.second], atol=1e-12)
    both = {(a, b): diff for a, b, diff in zip(joint.first, joint.second, joint.diff, strict=True)}
    np.testing.assert_allclose(
        given.diff, [both[min(a, b), max(a, b)] for a, b in zip(given.first, given.second, strict=True)]
    )


def planted():
    """Random features, but for the last class: only the units of cluster 2 in the second hidden layer lead to it."""
    rng = np.random.default_rng(5)
    params = slow.random_params(6, (8, 60, 40, 4))
    labels = np.concatenate([np.full(8, -1), rng.integers(0, 3, 60), np.repeat([0, 1, 2], (13, 13, 14)), [0, 1, 2, 2]])
    x = rng.normal(size=(400, 8)).astype(np.float32)
    # Units 26 to 39 fire for x_0 above 1 and speak for class 3; the others for the first three, evenly.
    params["layer_00"]["kernel"][:, 0], params["layer_00"]["bias"][0] = np.eye(8)[0] * 5, -5
    params["layer_01"]["kernel"][:, 26:] = 0
    params["layer_01"]["kernel"][0, 26:] = 1
    params["layer_01"]["bias"][26:] = 0
    params["layer_01"]["kernel"][0, :26] = 0
    params["layer_02"]["kernel"][:] = 0
    params["layer_02"]["kernel"][:26] = np.random.default_rng(7).normal(size=(26, 4)) * 0.05
    params["layer_02"]["kernel"][26:, 3] = 5
    params["layer_02"]["bias"][:] = (0, 0, 0, -1)
    labels[8] = 0
    return params, labels, x, slow.logits(params, x).argmax(1).astype(np.int32)


def test_a_planted_sub_module_is_found_and_its_class_is_gone():
    params, labels, x, y = planted()
    assert (y == 3).sum() > 30
    found = mj.lesion_test(params, labels, x, y, KEY, num_clusters=3, num_shuffles=199, metric=last_class)
    hit = (found.submodules.layer == 2) & (found.submodules.cluster == 2)
    assert found.accuracy_by_class[hit, 3] == 0
    assert found.undamaged_by_class[3] == 1
    for p in (found.p_value, found.p_adjusted):
        assert p[hit] == pytest.approx(1 / 200)
        assert (p[~hit & (found.submodules.layer == 2)] > 0.05).all()
    assert [word == "important" for word in found.taxonomy_adjusted] == hit.tolist()


def last_class(logits, labels):
    """Right answers on the planted class alone: what the other sub-modules have no part in."""
    return accuracy(logits, labels) * (labels == 3)


def test_damage_to_a_regression_is_what_the_squared_error_rises_by():
    """Targets [n, t] with a metric that is higher where the error is smaller: p is small where damage is large."""
    targets = slow.logits(PARAMS, X).astype(np.float32) + 0.1
    found = single(y=targets, metric=lambda outputs, y: -jnp.square(outputs - y).mean(axis=1))
    own = slow.hidden(LABELS, WIDTHS)
    rises = []
    for layer, cluster in zip(found.submodules.layer - 1, found.submodules.cluster, strict=True):
        damaged = slow.logits(slow.damage(PARAMS, slow.masks_of(own, (layer, cluster))), X)
        rises.append(np.square(damaged - targets).mean() - 0.01)
    assert min(rises) > 0.1
    np.testing.assert_allclose(found.diff, -np.array(rises), rtol=1e-4)
    expected = (1 + (-found.control_accuracy >= -found.accuracy * (1 - 1e-6)).sum(axis=0)) / 20
    np.testing.assert_allclose(found.p_value, expected)


def test_error_rates_where_units_do_nothing_in_particular():
    """Networks with random weights on random labels: 400 single tests, and 200 families of 4 corrected tests."""
    raw, stepped, by_holm = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = slow.random_labels(seed, WIDTHS, 2, isolated=0)
        given = {
            "params": slow.random_params(seed, WIDTHS),
            "labels": labels,
            "x": rng.normal(size=(100, WIDTHS[0])).astype(np.float32),
            "y": rng.integers(0, 4, 100).astype(np.int32),
            "key": jax.random.key(seed),
            "num_clusters": 2,
            "num_shuffles": 99,
            "metric": margin,
        }
        found = single(**given)
        raw += found.p_value.tolist()
        stepped.append(found.p_adjusted.min())
        by_holm.append(holm(found.p_value).min())
        if seed < 3:
            np.testing.assert_array_equal(single(correction="holm", **given).p_adjusted, holm(found.p_value))
    raw, stepped, by_holm = (np.array(p) <= 0.05 * (1 + 1e-6) for p in (raw[::2], stepped, by_holm))
    # One sub-module of each layer: the two of a layer are each other's complement.
    low, high = scipy.stats.binom.interval(0.99, 400, 0.05)
    assert low <= raw.sum() <= high
    low, high = scipy.stats.binom.interval(0.99, 200, 0.05)
    assert low <= stepped.sum() <= high
    assert by_holm.sum() <= stepped.sum()  # valid under any dependence, so never bolder


def test_words_of_the_taxonomy():
    r = 100
    rows = [
        (40, 1.0, -0.5, np.nan, "complete"),
        (12, 0.1, -0.5, 1 / (r + 1), "small"),
        (13, 0.1, -0.01, 1 / (r + 1), "important"),
        (13, 0.1, -0.0099, 1 / (r + 1), "significant but not different"),
        (13, 0.1, -0.0099, 1.0, "prunable"),
        (13, 0.1, -0.02, 1.0, "least important"),
        (13, 0.1, -0.02, 2 / (r + 1), "different but not significant"),
        (13, 0.1, -0.01, 2 / (r + 1), "other"),
        (13, 0.1, 0.02, 0.5, "other"),
    ]
    units, share, diff, p, words = (np.array(column) for column in zip(*rows, strict=True))
    assert classify(units, share, diff, p, p <= 1.00001 / (r + 1)) == words.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": LABELS[:-1]}, r"labels must have shape \(80,\), one per vertex, got \(79,\)"),
        ({"labels": LABELS + 1}, r"labels must lie in -1..2, got 0..3"),
        (
            {"labels": np.where(np.arange(80) < 46, -1, LABELS)},
            "labels must have a live unit in every hidden layer, got none in layer 1",
        ),
        (
            {"labels": np.zeros(80, int)},
            "labels must put at least 2 clusters into some hidden layer, got 1 in each of them",
        ),
        ({"num_shuffles": 0}, "num_shuffles must be at least 1, got 0"),
        ({"num_clusters": 1}, "num_clusters must be at least 2, got 1"),
        ({"x": X[:, :-1]}, r"x must have shape \[n, 6\], one column per input of the network, got \(200, 5\)"),
        ({"y": Y[:-1]}, r"y must have shape \(200,\) with at least one class, got \(199,\)"),
        ({"y": Y / 2}, "y must be integers, one class per sample, got float64"),
        ({"y": Y + 1}, r"y must lie in 0..3, got \d..4"),
        ({"params": PARAMS | {"layer_01": {"kernel": np.ones((39, 30), "f")}}}, "weights must chain: weights.0. has"),
        (
            {"params": PARAMS | {"layer_01": PARAMS["layer_01"] | {"bias": np.ones(29, "f")}}},
            r"params\['layer_01'\]\['bias'\] must have shape \(30,\), got \(29,\)",
        ),
        ({"params": {"layer_00": {"kernel": np.ones((6, 4), "f")}}}, "params must hold at least one hidden layer"),
        ({"ties": "some"}, "ties must be one of counted, strict, got 'some'"),
        ({"correction": "none"}, "correction must be one of max_t, holm, got 'none'"),
        ({"samples_per_batch": 0}, "samples_per_batch must be at least 1, got 0"),
        ({"samples_per_batch": 2.0}, "samples_per_batch must be a whole number, got 2.0"),
        ({"labels": LABELS > 0}, "labels must be integers, got bool"),
        (
            {"x": np.where(np.arange(1200).reshape(X.shape) == 7, np.nan, X)},
            "x must be finite, got 1 non-finite of 1200 values",
        ),
        ({"x": 1e38 * X}, r"params and x must keep the logits below 8.5e\+37, got ones that may reach \d"),
        (
            {"params": PARAMS | {"layer_01": {"kernel": np.ones(40, "f")}}},
            r"params\['layer_01'\]\['kernel'\] must have shape \[d_in, d_out\], got \(40,\)",
        ),
        (
            {"metric": lambda logits, labels: logits},
            r"metric must give one value per sample, \(125,\) of them, got \(125, 4\)",
        ),
        ({"metric": lambda logits, labels: labels / 0.0}, "metric must be finite, got sums over samples that are not"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        single(**change)


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="kind must be one of joint, conditional, got 'triple'"):
        double("triple")


def logits_of_one(logits, labels):
    return ((logits[:, 0] > 0) == labels).astype(jnp.float32)


ONE_OUTPUT = slow.random_params(3, (6, 40, 30, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.eye(4)[Y]}, r"y must have shape \(200,\), got \(200, 4\); of one-hot rows pass y.argmax\(axis=1\)"),
        ({"y": Y[:, None]}, r"y must have shape \(200,\), got \(200, 1\); pass y\[:, 0\]"),
        (
            {"y": np.array(list("abcd"))[Y]},
            r"y must be integers, .* got <U1; pass codes .* np.unique\(y, return_inverse",
        ),
        ({"y": Y > 1}, r"y must be integers, one class per sample, got bool; pass y.astype\(int\)"),
        (
            {"params": ONE_OUTPUT, "labels": LABELS[:77], "y": Y % 2},
            r"y must lie in 0\.\.0, got 0\.\.1: the network has one output; pass a metric of your own, such as lambda",
        ),
        ({"y": np.arange(200) % 4 + 1}, r"y must lie in 0..3, got 1..4; pass y - 1"),
        ({"undamaged": 0.5}, r"undamaged=0.5 is not what params, x and y give, 1: lesions run Dense layers with ReLU"),
    ],
)
def test_labels_and_networks_that_do_not_fit_are_told_what_to_pass(change, message):
    with pytest.raises(ValueError, match=message):
        single(**change)
    with pytest.raises(ValueError, match=message):
        double("joint", **change)


def test_a_stated_accuracy_that_is_right_passes():
    assert single(undamaged=0.992).undamaged == 1  # to two of two hundred samples
    tanh = np.mean(slow.logits(PARAMS, X, activation=np.tanh).argmax(1) == Y)
    with pytest.raises(ValueError, match=r"undamaged=0.\d+ is not what params, x and y give"):
        single(undamaged=float(tanh))


@pytest.mark.parametrize(
    ("y", "metric", "num_classes"),
    [
        (np.eye(4, dtype=np.float32)[Y], lambda logits, y: (logits * y).sum(axis=1), 1),
        (X[:, 0], lambda logits, y: -((logits[:, 0] - y) ** 2), 1),
        (
            np.array(["b", "c", "a", "d"])[Y],
            lambda logits, y: (logits.argmax(1) == y).astype(jnp.float32),
            len(np.unique(Y)),
        ),
        (Y > 1, lambda logits, y: ((logits.argmax(1) > 1) == y).astype(jnp.float32), 4),
        (Y + 7, lambda logits, y: (logits.argmax(1) + 7 == y).astype(jnp.float32), 11),
        (Y - 9, lambda logits, y: (logits.argmax(1) - 9 == y).astype(jnp.float32), 1),
        (Y * 10**6, lambda logits, y: (logits.argmax(1) * 10**6 == y).astype(jnp.float32), 1),
    ],
)
def test_any_labels_pass_with_a_metric_of_ones_own(y, metric, num_classes):
    found = single(y=y, metric=metric)
    assert found.accuracy_by_class.shape[1] == num_classes
    logits = slow.logits(PARAMS, X)
    codes = np.unique(y, return_inverse=True)[1] if y.dtype.kind == "U" else y
    np.testing.assert_allclose(found.undamaged, np.asarray(metric(logits, codes)).mean(), rtol=1e-4)


def test_one_output_for_two_classes():
    y = (slow.logits(ONE_OUTPUT, X)[:, 0] > 0).astype(int)
    found = single(params=ONE_OUTPUT, labels=LABELS[:77], y=y, metric=logits_of_one)
    assert found.undamaged == 1
    np.testing.assert_array_equal(found.undamaged_by_class, [1, 1])
