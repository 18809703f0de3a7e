"""Input coherence against a slow version, on planted modules and on labels at random."""

import jax
import numpy as np
import pytest
import scipy.stats

import modularity_jax as mj
from modularity_jax.probes.submodules import deal_parts, draw_orders
from tests.probes import fitted, slow

RNG = np.random.default_rng(0)
WIDTHS, CLUSTERS, SAMPLES = (30, 21), 4, 200
ACTIVATIONS = [RNG.normal(size=(SAMPLES, width)).astype(np.float32) for width in WIDTHS]
LABELS = slow.random_labels(1, WIDTHS, CLUSTERS)
Y = RNG.integers(0, 5, SAMPLES)
KEY = jax.random.key(3)


def run(**settings):
    given = {"activations": ACTIVATIONS, "labels": LABELS, "y": Y, "key": KEY, "num_clusters": CLUSTERS}
    given |= {"num_shuffles": 19, "num_top": 20} | settings
    return mj.input_coherence(given.pop("activations"), given.pop("labels"), given.pop("y"), given.pop("key"), **given)


def slow_top_samples(activations, units, num_top):
    return np.argsort(-np.abs(activations[:, units]).sum(axis=1, dtype=np.float64), kind="stable")[:num_top]


@pytest.mark.parametrize("num_shuffles", [3, 40])
def test_all_trials_equal_slow_ones(num_shuffles):
    """In one call of the program, and in several; controls are those of the lesion tests."""
    found = run(num_shuffles=num_shuffles)
    hidden = np.split(LABELS, [WIDTHS[0]])
    parts = deal_parts(hidden, CLUSTERS)
    orders = draw_orders(hidden, parts, KEY, range(num_shuffles + 1), with_rest=False)
    for number, (layer, cluster) in enumerate(zip(found.submodules.layer - 1, found.submodules.cluster, strict=True)):
        place = np.unique(hidden[layer][hidden[layer] >= 0]).tolist().index(cluster)
        start, size = parts[layer].starts[place], parts[layer].sizes[place]
        for trial in range(num_shuffles + 1):
            units = orders[layer].whole[trial, start : start + size]
            top = slow_top_samples(ACTIVATIONS[layer], units, 20)
            expected = scipy.stats.entropy(np.bincount(Y[top]), base=2)
            np.testing.assert_allclose(found.entropy[trial, number], expected, rtol=1e-12)
            if not trial:
                np.testing.assert_array_equal(found.top_samples[number], top)
                np.testing.assert_array_equal(np.sort(units), np.flatnonzero(hidden[layer] == cluster))


def test_what_is_computed_of_the_entropies():
    found = run()
    expected = mj.combine_trials(found.entropy, tested=found.tested)
    np.testing.assert_array_equal(found.coherence.p_value, expected.p_value)
    assert found.coherence.p_network == expected.p_network
    mean = found.entropy[1:].mean(axis=0)
    np.testing.assert_allclose(found.coherence.effect, 2 * mean / (mean + found.entropy[0]))
    assert found.tested.all()


def test_ties_are_in_the_order_of_the_samples():
    flat = [np.ones((SAMPLES, width)) for width in WIDTHS]
    found = run(activations=flat)
    np.testing.assert_array_equal(found.top_samples, np.tile(np.arange(20), (8, 1)))
    np.testing.assert_array_equal(found.coherence.p_value, 1)
    one_class = run(activations=flat, y=np.arange(SAMPLES) // 50)
    assert not one_class.entropy.any()
    assert np.isnan(one_class.coherence.effect).all()


def test_classes_by_any_name():
    one, other = run(), run(y=np.array(list("edcba"))[Y])
    np.testing.assert_allclose(one.entropy, other.entropy, rtol=1e-12)
    np.testing.assert_array_equal(one.coherence.p_value, other.coherence.p_value)


def test_signs_of_activations_do_not_matter():
    np.testing.assert_array_equal(run().entropy, run(activations=[-layer for layer in ACTIVATIONS]).entropy)


def test_programs_are_as_many_as_shapes_of_layers(caplog):
    """Whatever the labels, and however many the controls."""

    def compiled():
        messages = [record.getMessage() for record in caplog.records]
        return [text for text in messages if "Finished XLA compilation of jit(_most_excited)" in text]

    layers = [RNG.normal(size=(57, width)).astype(np.float32) for width in (19, 18, 19)]
    with jax.log_compiles():
        for seed, num_shuffles in ((0, 2), (1, 40)):
            labels = slow.random_labels(seed, (19, 18, 19), 3)
            run(activations=layers, labels=labels, y=Y[:57], num_clusters=3, num_shuffles=num_shuffles)
            assert len(compiled()) == 2


def test_planted_modules_have_classes_of_their_own():
    _, labels, _, y, hidden = fitted.with_modules(num_classes=16, num_clusters=8, copies=12, num_samples=1600)
    found = mj.input_coherence(hidden, labels[16:-16], y, KEY, num_clusters=8, num_shuffles=39)
    assert (found.entropy[0] < 1.3).all()  # of two classes, 1 bit
    assert (found.coherence.p_value <= 0.05 + 1e-9).all()
    assert found.coherence.p_network == found.coherence.p_max_t == pytest.approx(1 / 40)
    assert found.coherence.median_effect > 1.3


def test_labels_at_random_are_not_coherent():
    widths = (12, 24, 24, 8)
    _, _, y, hidden = fitted.without_modules(widths, 240)
    p = []
    for seed in range(100):
        labels = np.random.default_rng(seed).integers(0, 4, 48)
        settings = {"num_clusters": 4, "num_shuffles": 99, "num_top": 30}
        found = mj.input_coherence(hidden, labels, y, jax.random.key(seed), **settings).coherence
        p.append([found.p_network, found.p_max_t])
    for own in np.array(p).T:
        assert scipy.stats.kstest(own - np.random.default_rng(0).random(100) / 100, "uniform").pvalue > 0.01
        assert (own <= 0.05).sum() <= scipy.stats.binom.isf(0.001, 100, 0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activations": []}, "activations must hold at least one hidden layer, got none"),
        ({"activations": ACTIVATIONS[0][0, 0]}, "activations must be a sequence, got float32"),
        (
            {"activations": [ACTIVATIONS[0], ACTIVATIONS[1][:-1]]},
            r"activations\[1\] must have shape \[n, d\], with the n",
        ),
        ({"activations": [ACTIVATIONS[0][:, 0]]}, r"activations\[0\] must have shape \[n, d\], .* got \(200,\)"),
        ({"activations": [np.full((9, 3), np.nan)]}, r"activations\[0\] must be finite, got 27 non-finite"),
        (
            {"labels": LABELS[:-1]},
            r"labels must have shape \(51,\), one per column, got \(50,\); of labels of all layers",
        ),
        ({"labels": LABELS + 1}, "labels must lie in -1..3, got 0..4"),
        ({"labels": np.zeros(51, int)}, "labels must put at least 2 clusters into some hidden layer"),
        ({"y": Y[:-1]}, r"y must have shape \(200,\) with at least one class, got \(199,\)"),
        ({"y": Y / 7}, "y must be two classes or more, as whole numbers from 0 on or as strings, got none"),
        ({"y": np.zeros(SAMPLES, int)}, "y must be two classes or more"),
        ({"num_top": 201}, "num_top must be at most the number of samples, 200, got 201"),
        ({"num_top": 0}, "num_top must be at least 1, got 0"),
        ({"num_shuffles": 0}, "num_shuffles must be at least 1, got 0"),
        ({"num_clusters": 1}, "num_clusters must be at least 2, got 1"),
        ({"key": 3}, "key must be one key, as jax.random.key.0. is, got int"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        run(**change)
