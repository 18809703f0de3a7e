"""One p-value of several networks' against the formulas, convolution and simulation."""

import fractions
import functools
import math

import numpy as np
import pytest
import scipy.fft
import scipy.stats

from modularity_jax.metric.combining import combine_p_values, fisher, irwin_hall, stouffer


def exact_irwin_hall(total, count):
    """The study's formula in rational numbers."""
    total = fractions.Fraction(total)
    terms = ((-1) ** j * math.comb(count, j) * (total - j) ** count for j in range(math.floor(total) + 1))
    return float(sum(terms) / math.factorial(count))


@pytest.mark.parametrize("count", [1, 2, 5, 10, 50, 100])
def test_irwin_hall_is_the_study_s_formula(count):
    for mean in (0.005, 0.1, 0.3, 0.5, 0.7, 1.0):
        p = np.full(count, mean)
        assert irwin_hall(p) == pytest.approx(exact_irwin_hall(p.sum(), count), rel=1e-12)


@pytest.mark.parametrize("count", [2, 5, 50])
def test_irwin_hall_is_the_share_of_simulated_means(count):
    means = np.random.default_rng(count).random((20_000, count)).mean(axis=1)
    for level in (0.01, 0.3, 0.9):
        found = irwin_hall(np.full(count, np.quantile(means, level)))
        assert found == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 20_000))


def test_p_values_of_networks_leave_out_what_is_missing():
    p = np.array([0.01, np.nan, 0.3, 0.2])
    for method, combine in (("stouffer", lambda p: stouffer(p, np.full(3, 199))), ("irwin_hall", irwin_hall)):
        assert combine_p_values(p, num_shuffles=199, method=method) == combine(p[[0, 2, 3]])
    assert np.isnan(combine_p_values([np.nan, np.nan], num_shuffles=199))
    assert combine_p_values([1.0, 1.0, 0.1], num_shuffles=[19, 199, 199]) == stouffer(
        np.array([1.0, 1.0, 0.1]), np.array([19, 199, 199])
    )
    assert combine_p_values(0.3, num_shuffles=19) == 0.3


@pytest.mark.parametrize(
    ("p", "settings", "message"),
    [
        ([0.1, 0.0], {}, "p_values must be .S., above 0 and at most 1, got 0.0"),
        ([0.1, 1.5], {}, "p_values must be .S., above 0 and at most 1, got 1.5"),
        ([[0.1, 0.5]], {}, r"p_values must be .S., above 0 and at most 1, got \(1, 2\)"),
        ([0.1], {"method": "mean"}, "method must be one of stouffer, irwin_hall, got 'mean'"),
        ([0.1, 0.2], {"num_shuffles": [1, 2, 3]}, r"num_shuffles must have shape \(2,\)"),
    ],
)
def test_bad_p_values(p, settings, message):
    with pytest.raises(ValueError, match=message):
        combine_p_values(p, **({"num_shuffles": 19} | settings))


def test_each_seed_is_clipped_by_its_own_number_of_shuffles():
    clipped = np.array([0.1, 1 - 1 / 40, 1 - 1 / 400])
    assert stouffer(np.array([0.1, 1.0, 1.0]), np.array([19, 19, 199])) == pytest.approx(
        scipy.stats.norm.sf(scipy.stats.norm.isf(clipped).sum() / math.sqrt(3)), rel=1e-12
    )


STEP = 5e-4


@functools.cache
def null_sum(num_shuffles, num_seeds):
    """Where the grid begins, and the distribution on it of the sum of the seeds' z, each rounded up to it."""
    p = np.arange(1, num_shuffles + 2) / (num_shuffles + 1)
    p[-1] = 1 - 0.5 / (num_shuffles + 1)
    places = np.ceil(scipy.stats.norm.isf(p) / STEP).astype(int)
    one = np.bincount(places - places.min(), minlength=1) / (num_shuffles + 1)
    size = (len(one) - 1) * num_seeds + 1
    padded = scipy.fft.next_fast_len(size, real=True)
    return num_seeds * places.min(), np.fft.irfft(np.fft.rfft(one, padded) ** num_seeds, padded)[:size]


def null_tail(num_shuffles, num_seeds, level):
    """An upper bound, sharp to rounding, of P(Stouffer's p <= level) under the null.

    p is i / (R + 1), i from 1 to R + 1, all equally likely; the sum's distribution is a convolution.
    """
    start, total = null_sum(num_shuffles, num_seeds)
    critical = math.floor(scipy.stats.norm.isf(level) * math.sqrt(num_seeds) / STEP) - start
    return total[max(critical, 0) :].sum()


@pytest.mark.parametrize("num_seeds", [2, 5, 10, 50])
@pytest.mark.parametrize("num_shuffles", [1, 9, 19, 50, 200, 1000])
def test_stouffer_is_valid_under_the_null_by_convolution(num_shuffles, num_seeds):
    for level in (0.05, 0.01, 0.001):
        assert null_tail(num_shuffles, num_seeds, level) <= level * (1 + 1e-9)


def test_the_convolution_agrees_with_all_pairs_of_two_seeds():
    p = np.arange(1, 21) / 20
    exact = np.mean([stouffer(np.array([a, b]), np.array([19, 19])) <= 0.05 for a in p for b in p])
    assert exact == pytest.approx(null_tail(19, 2, 0.05), abs=1e-9)
    assert 0 < exact <= 0.05


def simulated(num_shuffles, num_seeds, shift=0.0, trials=1500):
    """Combined p-values of networks whose n-cut lies `shift` sds below their controls'."""
    rng = np.random.default_rng([num_shuffles, num_seeds])
    observed = rng.normal(size=(trials, num_seeds, 1)) - shift
    controls = rng.normal(size=(trials, num_seeds, num_shuffles))
    p = (1 + (controls <= observed).sum(axis=2)) / (num_shuffles + 1)
    counts = np.full(num_seeds, num_shuffles)
    return np.array([[stouffer(values, counts), fisher(values)] for values in p])


@pytest.mark.parametrize("num_seeds", [1, 2, 5, 10])
@pytest.mark.parametrize("num_shuffles", [19, 50, 200])
def test_combined_p_is_valid_under_the_null_by_simulation(num_shuffles, num_seeds):
    p = simulated(num_shuffles, num_seeds)
    for level in (0.05, 0.01):
        rejected = (p <= level * (1 + 1e-9)).mean(axis=0)
        error = math.sqrt(level * (1 - level) / len(p))
        assert (rejected <= level + 3 * error).all()


@pytest.mark.parametrize("num_shuffles", [19, 200])
def test_combined_p_has_the_power_that_single_seeds_lack(num_shuffles):
    alone = simulated(num_shuffles, 1, shift=1.0, trials=400)
    together = simulated(num_shuffles, 10, shift=1.0, trials=400)
    assert ((alone <= 0.05 * (1 + 1e-9)).mean(axis=0) < 0.35).all()
    assert ((together <= 0.05).mean(axis=0) > 0.6).all()
