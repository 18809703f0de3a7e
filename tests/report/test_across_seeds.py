import math
import types

import numpy as np
import pytest
import scipy.stats

from modularity_jax.report.findings.across_seeds import ACROSS_COLUMNS
from modularity_jax.report.findings.comparisons import comparison_table
from modularity_jax.report.findings.significance import is_significant
from modularity_jax.report.frames import records
from modularity_jax.runs.tables import read_csv, write_csv
from tests.report import made


def rows(p_values, *, ncut=None, shuffled=2.0, effect=None, p_opposite=None, num_shuffles=199, **where):
    """One row per seed; without n-cuts of their own the networks lie 3% and a little more below their controls."""
    size = len(p_values)
    ncut = [1.94 - 0.002 * seed for seed in range(size)] if ncut is None else ncut
    columns = {
        "observed": ncut,
        "shuffled_mean": np.broadcast_to(shuffled, size).tolist(),
        "p_value": p_values,
        "p_opposite": p_opposite or [min(1.0, 1.0 - p + 1 / (num_shuffles + 1)) for p in p_values],
        "effect_size": effect or [3.0 + seed for seed in range(size)],
    }
    common = {"phase": "pruned", "graph": "weights", "measure": "ncut", "num_clusters": 4, "method": "layer"} | where
    common |= {"bound": 1.5, "z_score": -3.0, "num_shuffles": num_shuffles, "test_accuracy": 0.98}
    return [common | {"seed": seed} | {name: values[seed] for name, values in columns.items()} for seed in range(size)]


def combined(table):
    return list(comparison_table(made.tests_of(table))[list(ACROSS_COLUMNS)].itertuples(index=False))


def only(*args, **kwargs):
    (found,) = records(comparison_table(made.tests_of(rows(*args, **kwargs)))[list(ACROSS_COLUMNS)])
    return types.SimpleNamespace(**found)


def test_combined_p_by_the_formulas_written_out():
    p = np.array([0.01, 0.2, 0.5, 0.04])
    z = scipy.stats.norm.isf(p).sum() / 2
    found = only(p.tolist(), p_opposite=[0.9, 0.7, 0.5, 0.8])
    assert found.p_stouffer == pytest.approx(scipy.stats.norm.sf(z), rel=1e-12)
    assert found.p_fisher == pytest.approx(scipy.stats.chi2.sf(-2 * np.log(p).sum(), 8), rel=1e-12)
    upper = scipy.stats.norm.isf([0.9, 0.7, 0.5, 0.8]).sum() / 2
    assert found.p_stouffer_upper == pytest.approx(scipy.stats.norm.sf(upper), rel=1e-12)


@pytest.mark.parametrize("p", [0.005, 0.0049751243, 0.05, 0.5, 0.995, 1.0])
def test_one_seed_is_its_own_combination(p):
    found = only([p], p_opposite=[p])
    assert found.p_stouffer == found.p_stouffer_upper == p
    assert found.p_fisher == pytest.approx(p, rel=1e-12)


def test_a_seed_above_every_control_does_not_erase_the_others():
    found = only([0.005] * 9 + [1.0])
    z = (9 * scipy.stats.norm.isf(0.005) + scipy.stats.norm.isf(1 - 1 / 400)) / math.sqrt(10)
    assert found.p_stouffer == pytest.approx(scipy.stats.norm.sf(z), rel=1e-9)
    assert found.p_stouffer < 1e-8
    # Unclipped, SciPy gives what this is about.
    assert scipy.stats.combine_pvalues([0.005] * 9 + [1.0], method="stouffer").pvalue == 1.0


def test_share_of_significant_seeds_has_the_exact_interval():
    found = only([0.005] * 8 + [0.0500000007, 0.6], p_opposite=[0.9] * 9 + [0.02])
    assert (found.num_significant, found.num_upper, found.num_at_floor, found.share_significant) == (9, 1, 8, 0.9)
    assert found.share_low == pytest.approx(scipy.stats.beta.ppf(0.025, 9, 2), rel=1e-9)
    assert found.share_high == pytest.approx(scipy.stats.beta.ppf(0.975, 10, 1), rel=1e-9)
    none = only([0.6] * 10)
    assert (none.share_low, none.share_high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 10)))


def test_effects_by_hand():
    found = only([0.1] * 3, ncut=[1.9, 2.0, 1.8], shuffled=[2.0, 2.5, 2.0], effect=[1.0, 5.0, -2.0])
    assert found.difference == pytest.approx((-0.1 - 0.5 - 0.2) / 3)
    assert found.percent == pytest.approx((-5 - 20 - 10) / 3)
    assert found.effect_size == 1.0
    # Controls' means 6.5 / 3, sd sqrt(1 / 12); n-cuts 1.9, sd 0.1.
    assert found.cohens_d == pytest.approx((6.5 / 3 - 1.9) / math.sqrt((1 / 12 + 0.01) / 2))


def test_cohens_d_is_positive_where_networks_are_more_modular():
    ncut, shuffled = [1.8, 1.9, 2.0], [2.1, 2.2, 2.3]
    assert only([0.1] * 3, ncut=ncut, shuffled=shuffled).cohens_d == pytest.approx(3.0)
    assert only([0.9] * 3, ncut=shuffled, shuffled=ncut).cohens_d == pytest.approx(-3.0)


def test_bootstrap_interval_is_scipys_at_the_widened_level():
    ncut = np.array([1.90, 1.93, 1.88, 1.95, 1.91, 1.80, 1.92, 1.94])
    found = only([0.1] * 8, ncut=ncut.tolist())
    tail = scipy.stats.norm.cdf(-math.sqrt(8 / 7) * scipy.stats.t.ppf(0.975, 7))
    oracle = scipy.stats.bootstrap(
        (ncut - 2.0,), np.mean, confidence_level=1 - 2 * tail, n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.difference_low, found.difference_high) == pytest.approx((oracle.low, oracle.high), rel=1e-9)
    assert (found.percent_low, found.percent_high) == pytest.approx((50 * oracle.low, 50 * oracle.high), rel=1e-9)
    assert found.difference_low < found.difference < found.difference_high
    assert found.cohens_d_low < found.cohens_d < found.cohens_d_high


@pytest.mark.long  # the test above has the interval itself
def test_bootstrap_interval_holds_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    trials = 200
    for size, least in ((5, 0.88), (10, 0.94)):
        hits = 0
        for _ in range(trials):
            found = only([0.5] * size, ncut=(2.0 + 0.1 * rng.normal(size=size)).tolist())
            hits += found.difference_low <= 0 <= found.difference_high
        assert hits / trials >= least - 2 * math.sqrt(least * (1 - least) / trials)


def test_cohens_d_resamples_seeds_in_pairs():
    # n-cut and controls' mean share the seed's own level, so that d hardly varies over resamples of pairs.
    level = np.linspace(0.0, 0.7, 8)
    paired = only([0.1] * 8, ncut=(1.8 + level).tolist(), shuffled=(2.0 + level).tolist())
    crossed = only([0.1] * 8, ncut=(1.8 + level).tolist(), shuffled=(2.0 + level[::-1]).tolist())
    assert paired.cohens_d == pytest.approx(crossed.cohens_d)
    assert paired.cohens_d_low > 0 > crossed.cohens_d_low


@pytest.mark.parametrize(
    ("size", "known"),
    [(1, set()), (4, set()), (5, {"difference", "percent"}), (6, {"difference", "percent", "effect_size"})],
)
def test_too_few_seeds_have_no_interval(size, known):
    found = only([0.1] * size)
    ends = {name: getattr(found, f"{name}_low") for name in ("difference", "percent", "effect_size", "cohens_d")}
    assert {name for name, end in ends.items() if end is not None} == known
    assert (found.cohens_d is None) == (size == 1)


@pytest.mark.filterwarnings("error")
def test_values_that_do_not_vary_have_no_interval():
    found = only([0.1] * 8, ncut=[1.9] * 8, effect=[2.0] * 8)
    assert found.difference == pytest.approx(-0.1)
    assert (found.difference_low, found.percent_high, found.cohens_d, found.cohens_d_low) == (None,) * 4
    assert (found.effect_size, found.effect_size_low, found.effect_size_high) == (2.0, 2.0, 2.0)


@pytest.mark.filterwarnings("error")
def test_one_seed_apart_from_equal_others_has_no_interval_of_d():
    found = only([0.1] * 8, ncut=[1.9] * 7 + [1.8])
    assert found.cohens_d is not None
    assert (found.cohens_d_low, found.cohens_d_high) == (None, None)
    assert found.difference_low is not None


@pytest.mark.filterwarnings("error")
def test_infinite_effects_are_the_largest_and_missing_ones_unknown():
    found = only([0.1] * 6, effect=[math.inf, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.effect_size, found.effect_size_low, found.effect_size_high) == (3.5, 1.0, math.inf)
    assert only([0.1] * 3, effect=[math.inf, 1.0, math.inf]).effect_size == math.inf
    assert only([0.1] * 2, effect=[math.inf, -math.inf]).effect_size is None
    assert only([0.1] * 3, effect=[None] * 3).effect_size is None


@pytest.mark.filterwarnings("error")
def test_controls_in_parts_have_no_percentage():
    found = only([1.0] * 6, ncut=[0.01 * seed for seed in range(6)], shuffled=0.0)
    assert (found.percent, found.percent_low) == (None, None)
    assert found.difference == pytest.approx(0.025)


@pytest.mark.parametrize("p", [0.0, -0.1, 1.5, math.nan])
def test_impossible_p_values_are_refused(p):
    with pytest.raises(ValueError, match=rf"^p_value must be above 0 and at most 1, got {p:g}$"):
        only([0.5, p], p_opposite=[0.5, 0.5])
    with pytest.raises(ValueError, match=rf"^p_opposite must be above 0 and at most 1, got {p:g}$"):
        only([0.5, 0.5], p_opposite=[0.5, p])


def test_nothing_to_combine_and_seeds_that_appear_twice_are_refused():
    with pytest.raises(ValueError, match="holds no row"):
        comparison_table(made.tests_of(rows([0.1])).iloc[:0])
    with pytest.raises(ValueError, match="holds seed 0 more than once"):
        combined(rows([0.1]) + rows([0.2]))


def test_the_file_is_the_same_byte_for_byte_whatever_else_is_in_it(tmp_path):
    ours, others = rows([0.005, 0.01, 0.3] * 3), rows([0.5] * 9, method="row", ncut=[2.0 + 0.01 * i for i in range(9)])
    for name, table in (("a", ours + others), ("b", ours + others), ("c", ours)):
        write_csv(tmp_path / name, [found._asdict() for found in combined(table)], ACROSS_COLUMNS)
    a, b, c = ((tmp_path / name).read_bytes().splitlines() for name in "abc")
    assert a == b
    assert a[:2] == c
    read = read_csv(tmp_path / "a", ACROSS_COLUMNS)
    assert read[0] == combined(ours)[0]._asdict()


def test_p_at_the_level_counts_as_significant_from_float32():
    assert is_significant(float(np.float32(0.05)))
    assert not is_significant(0.0501)
