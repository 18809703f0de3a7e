"""Corrected p-values against slow versions, and their error rates by simulation."""

import numpy as np
import pytest
import scipy.stats

from modularity_jax.metric.multiple_testing import benjamini_hochberg, holm, westfall_young


def slow_max_t(observed, controls):
    """Step-down max-T as the book has it, in loops."""
    values = np.concatenate([observed[None], controls])
    t = (values.mean(0) - values) / values.std(0)
    order = np.argsort(-t[0], kind="stable")
    adjusted, least = np.empty(len(observed)), 0.0
    for rank, hypothesis in enumerate(order):
        left = order[rank:]
        above = sum(t[1 + r, left].max() >= t[0, hypothesis] for r in range(len(controls)))
        least = max(least, (1 + above) / (1 + len(controls)))
        adjusted[hypothesis] = least
    return adjusted


def draw(seed, hypotheses, controls, shared=0.6):
    """Exchangeable values that depend on one another."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(controls + 1, 1))
    values = shared * common + (1 - shared**2) ** 0.5 * rng.normal(size=(controls + 1, hypotheses))
    return values[0].astype(np.float32), values[1:].astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_max_t_equals_the_slow_version(seed):
    observed, controls = draw(seed, 13, 39)
    observed[2] -= 3
    np.testing.assert_allclose(westfall_young(observed, controls), slow_max_t(observed, controls), rtol=1e-5)


def test_max_t_of_one_hypothesis_is_its_own_p():
    observed, controls = draw(0, 1, 19)
    expected = (1 + (controls <= observed).sum()) / 20
    np.testing.assert_allclose(westfall_young(observed, controls), [expected], rtol=1e-6)


def test_what_does_not_vary_is_never_significant_and_changes_nothing():
    observed, controls = draw(1, 6, 39)
    observed[0] -= 5
    before = westfall_young(observed, controls)
    observed, controls = np.append(observed, 0.98).astype("f"), np.hstack([controls, np.full((39, 1), 0.98, "f")])
    after = westfall_young(observed, controls)
    assert after[-1] == 1
    np.testing.assert_allclose(after[0], before[0])


def test_holm_equals_statsmodels_formula():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    # Sorted .005 .01 .03 .04 .5 times 5 4 3 2 1, made monotone.
    np.testing.assert_allclose(holm(np.asarray(p)), [0.04, 0.09, 0.09, 0.025, 0.5], rtol=1e-6)
    np.testing.assert_allclose(holm(np.asarray([0.9, 0.8])), [1, 1])


def test_error_rates_without_an_effect():
    """Family-wise error at .05 of 400 families of 12 dependent true hypotheses; uncorrected it is far higher."""
    draws = [draw(seed, 12, 99) for seed in range(400)]
    stepped = np.array([westfall_young(*values).min() for values in draws])
    raw = np.array([(1 + (controls <= observed).sum(axis=0)) / 100 for observed, controls in draws])
    by_holm = np.array([holm(p).min() for p in raw])
    low, high = scipy.stats.binom.interval(0.99, 400, 0.05)
    assert low <= (stepped <= 0.05).sum() <= high
    assert (by_holm <= 0.05).sum() <= high
    assert (raw.min(axis=1) <= 0.05).sum() > 2 * high


def test_power_where_there_is_an_effect():
    observed, controls = draw(3, 40, 50)
    observed[7] -= 8
    found = np.asarray(westfall_young(observed, controls))
    assert found[7] == pytest.approx(1 / 51)
    assert (np.delete(found, 7) > 0.05).all()
    # Holm has none: the smallest p, 1 / 51, times 40.
    raw = (1 + (controls <= observed[None]).sum(axis=0)) / 51
    assert holm(np.asarray(raw))[7] > 0.5


def test_max_t_leaves_out_what_is_missing():
    """A NaN is never the most extreme, and of what has none there is no p."""
    observed, controls = draw(4, 8, 39)
    observed[5] -= 3
    controls[::3, 5] = np.nan
    observed[2], controls[:30, 2] = np.nan, np.nan
    found = westfall_young(observed, controls)
    values = np.concatenate([observed[None], controls])
    t = np.nan_to_num((np.nanmean(values, 0) - values) / np.nanstd(values, 0), nan=-np.inf)
    assert np.isnan(found).tolist() == [False, False, True] + [False] * 5
    assert found[5] == np.mean(t.max(axis=1) >= t[0, 5])
    assert np.nanmin(found) == found[5]


@pytest.mark.parametrize("seed", range(5))
def test_benjamini_hochberg_rejects_what_scipy_rejects(seed):
    rng = np.random.default_rng(seed)
    p = np.append(rng.random(40), 0.002 * rng.random(8))
    limit = benjamini_hochberg(np.append(p, np.nan))
    rejected = scipy.stats.false_discovery_control(p) <= 0.05
    assert rejected.any()
    np.testing.assert_array_equal(p <= limit, rejected)


def test_benjamini_hochberg_with_nothing_significant_has_no_limit():
    assert benjamini_hochberg(np.array([0.3, 0.2, 0.06, np.nan])) is None
    assert benjamini_hochberg(np.array([np.nan])) is None
    assert benjamini_hochberg(np.array([])) is None
    # Equal to its limit it passes, and all below it do.
    assert benjamini_hochberg(np.array([0.05, 0.05, 0.05])) == 0.05
    assert benjamini_hochberg(np.array([0.3, 0.2, 0.06]), alpha=0.3) == 0.3
