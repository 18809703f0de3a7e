"""Importance and coherence: formulas by hand, what is planted is found, and what is not there is not."""

import jax
import numpy as np
import pytest
import scipy.stats

import modularity_jax as mj
from modularity_jax.metric.combining import fisher
from modularity_jax.probes.submodules import SubModules
from tests.probes import fitted

KEY = jax.random.key(0)


def made(observed, controls, undamaged, *, sizes, num_units=None, share=None):
    """A lesion test with these accuracies by class: observed [M, C], controls [R, M, C], undamaged [C]."""
    observed, controls, count = np.asarray(observed, float), np.asarray(controls, float), len(observed)
    units, shares = num_units or [10] * count, share or [0.5] * count
    modules = SubModules(np.ones(count, int), np.arange(count), np.asarray(units), np.asarray(shares))
    rest = dict.fromkeys(mj.LesionTest._fields)
    return mj.LesionTest(
        **rest
        | {
            "submodules": modules,
            "undamaged_by_class": np.asarray(undamaged, float),
            "accuracy_by_class": observed,
            "control_accuracy": np.zeros(controls.shape[:2]),
            "control_accuracy_by_class": controls,
            "class_sizes": np.asarray(sizes),
        }
    )


def test_importance_and_coherence_by_hand():
    """Two classes of 100; changes are (-.2, 0), and of the controls (-.1, -.1), (0, -.3) and (-.2, 0)."""
    test = made([[0.7, 0.8]], [[[0.8, 0.7]], [[0.9, 0.5]], [[0.7, 0.8]]], [0.9, 0.8], sizes=[100, 100])
    found = mj.specialisation(test)
    np.testing.assert_allclose(found.change[:, 0], [-0.1, -0.1, -0.15, -0.1])
    np.testing.assert_allclose(found.spread[:, 0], [2, 0, 2, 2], atol=1e-12)
    np.testing.assert_allclose(found.importance.p_value, [1])  # all three controls lose as much: two ties count
    np.testing.assert_allclose(found.coherence.p_value, [3 / 4])
    np.testing.assert_allclose(found.importance.effect, [2 * 0.1 / (0.1 + 0.35 / 3)])
    np.testing.assert_allclose(found.coherence.effect, [2 * 2 / (2 + 4 / 3)])
    assert found.importance.median_effect == found.importance.effect[0]
    # Rank 4 of 4 by half ranks: the study's Fisher of one sub-module is that itself.
    assert found.importance.p_fisher == pytest.approx(1 - 1 / 8)
    first = mj.specialisation(test, num_shuffles=2)
    np.testing.assert_allclose(first.coherence.p_value, [2 / 3])
    np.testing.assert_allclose(first.importance.effect, [2 * 0.1 / (0.1 + 0.125)])


def test_a_change_of_less_than_an_image_has_no_coherence():
    """Of 200 samples one image is .005 of the mean: changes are (0, .008), (-.01, 0), and (.2, -.2)."""
    observed = [[0.9, 0.808], [0.89, 0.8], [0.7, 0.8]]
    controls = [[[0.8, 0.8]] * 3, [[0.9, 0.8], [0.8, 0.8], [1.1, 0.6]], [[0.8, 0.8], [0.7, 0.8], [0.5, 0.8]]]
    found = mj.specialisation(made(observed, controls, [0.9, 0.8], sizes=[100, 100]))
    np.testing.assert_array_equal(np.isnan(found.spread[0]), [True, False, False])
    np.testing.assert_array_equal(np.isnan(found.spread[2]), [True, False, True])
    np.testing.assert_allclose(found.coherence.p_value, [np.nan, 4 / 4, 3 / 3])
    np.testing.assert_array_equal(np.isnan(found.coherence.effect), [True, False, False])
    np.testing.assert_array_equal(np.isnan(found.importance.effect), [True, False, False])
    assert (found.coherence.num_tested, found.coherence.num_na) == (2, 1)
    assert (found.importance.num_tested, found.importance.num_na) == (3, 1)


def test_sizes_that_are_not_tested():
    observed, controls = np.full((4, 2), 0.5), np.random.default_rng(0).random((5, 4, 2))
    sizes = {"num_units": [1, 2, 99, 100], "share": [0.01, 0.02, 0.99, 1.0]}
    found = mj.specialisation(made(observed, controls, [0.9, 0.8], sizes=[9, 9], **sizes))
    assert found.tested.tolist() == [False, True, True, False]
    for test in (found.importance, found.coherence):
        np.testing.assert_array_equal(np.isnan(test.p_value), ~found.tested)
        np.testing.assert_array_equal(np.isnan(test.p_adjusted), ~found.tested)
    assert np.isnan(found.importance.effect[[0, 3]]).all()


def test_a_class_without_samples_counts_for_nothing():
    rng = np.random.default_rng(0)
    observed, controls, undamaged = rng.random((3, 4)), rng.random((9, 3, 4)), rng.random(4)
    full = mj.specialisation(made(observed, controls, undamaged, sizes=[50] * 4))
    more = (np.insert(values, 2, 0, axis=-1) for values in (observed, controls, undamaged))
    for one, other in zip(
        full.coherence, mj.specialisation(made(*more, sizes=[50, 50, 0, 50, 50])).coherence, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    alone = mj.specialisation(made(observed[:, :1], controls[:, :, :1], undamaged[:1], sizes=[50]))
    assert np.isnan(alone.coherence.p_value).all()
    assert not np.isnan(alone.importance.p_value).any()


def test_the_first_controls_of_many_are_those_of_few():
    params, labels, x, y, _ = PLANTED
    many, few = (mj.lesion_test(params, labels, x, y, KEY, num_clusters=10, num_shuffles=r) for r in (39, 19))
    one, other = mj.specialisation(many, num_shuffles=19), mj.specialisation(few)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (4, "num_shuffles must be at most that of the test, 3, got 4"),
        (0, "num_shuffles must be at least 1, got 0"),
        (1.0, "num_shuffles must be a whole number, got 1.0"),
    ],
)
def test_bad_number_of_controls(count, message):
    with pytest.raises(ValueError, match=message):
        mj.specialisation(made([[0.5]], [[[0.5]]] * 3, [1], sizes=[9]), num_shuffles=count)


PLANTED = fitted.with_modules(num_classes=20, num_clusters=10, copies=6, num_samples=1000)


def test_sub_modules_of_two_classes_each_are_important_and_coherent():
    params, labels, x, y, _ = PLANTED
    test = mj.lesion_test(params, labels, x, y, KEY, num_clusters=10, num_shuffles=39)
    found = mj.specialisation(test)
    np.testing.assert_allclose(found.change[0], -1 / 10, atol=0.005)  # all samples of its two classes of 20
    np.testing.assert_allclose(found.spread[0], 10, atol=0.6)
    for combined in (found.importance, found.coherence):
        assert (combined.p_value <= 2 / 40 + 1e-9).all()
        assert combined.p_network == pytest.approx(1 / 40)
        assert combined.p_max_t <= 2 / 40 + 1e-9
        assert combined.p_fisher < 1e-9
        assert combined.median_effect > 1.2
        assert (combined.num_tested, combined.num_na) == (20, 0)


def the_study_s(test, tested):
    """The study's p of coherence for a network, rule for rule: what is no number is larger than every number."""

    def spread(by_class):
        with np.errstate(divide="ignore", invalid="ignore"):
            changes = by_class - test.undamaged_by_class
            return np.ptp(changes / changes.mean(axis=-1, keepdims=True), axis=-1)

    observed, controls = spread(test.accuracy_by_class), spread(test.control_accuracy_by_class)
    p = (1 + (controls > observed).sum(axis=0)) / (len(controls) + 1)
    return fisher(p[tested] - 0.5 / (len(controls) + 1))


def p_of_random_labels(widths, num_clusters, num_shuffles, count, noise, kept=1.0):
    """P-values [count, 5] of a network whose labels mean nothing; only a share of its units is read by any other."""
    params, x, y, _ = fitted.without_modules(widths, 120, noise=noise)
    for name in sorted(params)[1:]:
        params[name]["kernel"] *= (np.random.default_rng(9).random(params[name]["kernel"].shape[:1]) < kept)[:, None]
    p = []
    for seed in range(count):
        labels = np.random.default_rng(seed).integers(0, num_clusters, sum(widths))
        given = {"num_clusters": num_clusters, "num_shuffles": num_shuffles}
        test = mj.lesion_test(params, labels, x, y, jax.random.key(seed), **given)
        importance, coherence = mj.specialisation(test)[-2:]
        study = the_study_s(test, mj.specialisation(test).tested)
        p.append([importance.p_network, coherence.p_network, importance.p_max_t, coherence.p_max_t, study])
    return np.array(p)


def test_labels_at_random_are_neither_important_nor_coherent():
    p = p_of_random_labels((10, 16, 16, 6), 4, 39, 100, noise=1.0)
    for own in p.T[:4]:
        assert scipy.stats.kstest(own - np.random.default_rng(0).random(100) / 40, "uniform").pvalue > 0.01
    assert ((p[:, :4] <= 0.05).sum(axis=0) <= scipy.stats.binom.isf(0.001, 100, 0.05)).all()


def test_sub_modules_that_do_nothing_are_coherent_by_the_study_s_rule_alone():
    """Of 8 sub-modules in layers of 24, of which half of the units are not read, some change no answer."""
    p = p_of_random_labels((10, 24, 24, 6), 8, 19, 40, noise=0.3, kept=0.5)
    assert (p[:, 4] <= 0.05).mean() > 0.5
    assert ((p[:, :4] <= 0.05 + 1e-9).sum(axis=0) <= scipy.stats.binom.isf(0.001, 40, 0.05)).all()
