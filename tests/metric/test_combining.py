"""Tests of a network's trials all together against SciPy, slow versions and simulation."""

import math

import numpy as np
import pytest
import scipy.stats

from modularity_jax.metric.combining import combine_trials
from modularity_jax.metric.multiple_testing import westfall_young
from modularity_jax.metric.statistics import compare


def dependent(seed, trials, columns, missing=0.0):
    """Values [trials, columns] of exchangeable trials; columns share half of what varies, and large values get lost."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(trials, 1)) + rng.normal(size=(trials, columns))
    values[rng.random(values.shape) < missing * scipy.stats.norm.cdf(values)] = np.nan
    return values


def slow_network_p(values):
    """`p_network` in loops: each trial's own p-values among all, Fisher's sum less the columns' means, its share."""
    trials, columns = values.shape
    scores = np.full(values.shape, np.nan)
    for j in range(columns):
        known = [t for t in range(trials) if not np.isnan(values[t, j])]
        for t in known:
            below = sum(values[s, j] <= values[t, j] for s in known)
            scores[t, j] = -2 * math.log((below - 0.5) / len(known))
    sums = []
    for row in scores - np.nanmean(scores, axis=0):
        sums += [row[~np.isnan(row)].sum() / math.sqrt((~np.isnan(row)).sum())]
    return np.mean([x >= sums[0] - 1e-9 for x in sums])


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_network_s_p_values_equal_slow_ones(seed, missing):
    values = dependent(seed, 20, 6, missing)
    values[:, 0] = np.round(values[:, 0])  # ties
    values[0, 1] = -2.5
    values[0, 2] = np.nan if missing else values[0, 2]
    found = combine_trials(values)
    for j, (observed, controls) in enumerate(zip(values[0], values[1:].T, strict=True)):
        np.testing.assert_allclose(found.p_value[j], compare(np.float64(observed), controls).p_value)
    np.testing.assert_allclose(found.p_network, slow_network_p(values))
    np.testing.assert_allclose(found.p_adjusted, westfall_young(values[0], values[1:]))
    assert found.p_max_t == np.nanmin(found.p_adjusted)
    assert found.num_tested == (~np.isnan(values[0])).sum()


def test_the_study_s_fisher_is_scipys_of_half_ranks():
    values = dependent(0, 20, 5)
    ranks = (values[1:] < values[0]).sum(axis=0)
    expected = scipy.stats.combine_pvalues((ranks + 0.5) / 20, method="fisher").pvalue
    assert combine_trials(values).p_fisher == pytest.approx(expected, rel=1e-12)


def test_higher_values_are_lower_negative_ones():
    values = dependent(1, 20, 5, 0.3)
    for one, other in zip(combine_trials(values, higher=True), combine_trials(-values), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_monotone_change_of_a_column_and_the_order_of_controls_change_no_rank():
    values = dependent(2, 40, 5, 0.3)
    changed = values.copy()
    changed[:, 1] = np.exp(changed[:, 1])
    changed[1:] = changed[:0:-1]
    one, other = combine_trials(values), combine_trials(changed)
    np.testing.assert_array_equal(one.p_value, other.p_value)
    assert (one.p_network, one.p_fisher) == pytest.approx((other.p_network, other.p_fisher), rel=1e-12)


def test_columns_that_are_not_tested_count_for_nothing():
    values, effect = dependent(3, 20, 6), np.array([1.5, np.nan, 1.2, 1.0, 1.9, 1.9])
    tested = np.array([True, True, False, True, True, False])
    found, alone = combine_trials(values, effect=effect, tested=tested), combine_trials(values[:, tested])
    np.testing.assert_array_equal(found.p_value[tested], alone.p_value)
    np.testing.assert_array_equal(found.p_adjusted[tested], alone.p_adjusted)
    assert np.isnan([found.p_value[~tested], found.p_adjusted[~tested], found.effect[~tested]]).all()
    assert (found.p_network, found.p_fisher, found.p_max_t) == (alone.p_network, alone.p_fisher, alone.p_max_t)
    assert (found.num_tested, found.num_na, found.median_effect) == (4, 1, 1.5)
    assert (alone.num_na, np.isnan(alone.median_effect)) == (4, True)


def test_where_nothing_can_be_compared_nothing_is_significant():
    values = dependent(4, 20, 3)
    values[0] = np.nan
    values[1:, 1] = np.nan
    for nothing in (values, np.full((20, 3), np.nan), values[:, :0]):
        found = combine_trials(nothing)
        assert np.isnan([found.p_network, found.p_fisher, found.p_max_t]).all()
        assert np.isnan([found.p_value, found.p_adjusted]).all()
        assert found.num_tested == 0
    values[0, 1] = -9  # alone in its column
    assert np.isnan(combine_trials(values).p_network)


def test_trials_without_a_value_are_as_if_they_were_not_there():
    values = dependent(5, 20, 4)
    more = np.insert(values, [3, 8], np.nan, axis=0)
    for one, other in zip(combine_trials(values), combine_trials(more), strict=True):
        np.testing.assert_array_equal(one, other)


def test_combined_tests_are_valid_where_columns_depend_on_one_another_and_values_are_missing():
    """Of 500 networks whose columns share half their variance; taken as independent they reject far more often."""
    draws = [combine_trials(dependent([seed, 0], 40, 12, 0.5)) for seed in range(500)]
    within_steps = np.random.default_rng(0).random(500) / 40
    for name in ("p_network", "p_max_t"):
        p = np.array([getattr(found, name) for found in draws])
        assert scipy.stats.kstest(p - within_steps, "uniform").pvalue > 0.01
        assert (p <= 0.05 + 1e-9).sum() <= scipy.stats.binom.isf(0.005, 500, 0.05)
    assert np.mean([found.p_fisher <= 0.05 for found in draws]) > 0.09


def test_a_trial_is_no_more_extreme_for_having_more_values():
    """Noise in all columns of the network, and in a fifth of its controls': no sign of an effect."""
    rng, p = np.random.default_rng(0), []
    for _ in range(400):
        values = rng.normal(size=(100, 20))
        values[1:][rng.random((99, 20)) < 0.8] = np.nan
        p.append(combine_trials(values).p_network)
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_small_effects_in_all_columns_add_up():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 30))
    values[0] = -1
    found = combine_trials(values)
    assert found.p_network == pytest.approx(1 / 200)
    assert found.p_max_t > 0.5
    values[0] = np.where(np.arange(30) == 7, -6, 0)
    assert combine_trials(values).p_max_t == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    ("values", "settings", "message"),
    [
        (np.ones(4), {}, r"values must have shape \[R \+ 1, M\], a network and at least one control, got \(4,\)"),
        (np.ones((1, 4)), {}, r"values must have shape \[R \+ 1, M\], .* got \(1, 4\)"),
        (np.array([[1.0, np.inf], [0, 0]]), {}, "values must be finite or nan, got 1 infinite ones"),
        (np.ones((2, 4)), {"effect": np.ones(3)}, r"effect must have shape \(4,\), one per column of values, got \(3,"),
        (np.ones((2, 4)), {"tested": np.ones((2, 4))}, r"tested must have shape \(4,\), .* got \(2, 4\)"),
        ("abc", {}, "values must be real numbers"),
    ],
)
def test_bad_trials(values, settings, message):
    with pytest.raises(ValueError, match=message):
        combine_trials(values, **settings)
