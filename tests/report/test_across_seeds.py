import math

import numpy as np
import pytest
import scipy.stats

from modularity_jax.report.findings.across_seeds import (
    ACROSS_COLUMNS,
    AcrossSeeds,
    combine_seeds,
    fisher,
    stouffer,
)
from modularity_jax.report.findings.across_wording import across_sentence, strength_sentence
from modularity_jax.report.findings.findings import is_significant, summarise
from modularity_jax.runs.tables import read_csv, write_csv


def rows(p_values, *, ncut=None, shuffled=2.0, effect=None, p_upper=None, num_shuffles=199, **where):
    """One row per seed; without n-cuts of their own the networks lie 3% and a little more below their controls."""
    size = len(p_values)
    ncut = [1.94 - 0.002 * seed for seed in range(size)] if ncut is None else ncut
    columns = {
        "ncut": ncut,
        "shuffled_mean": np.broadcast_to(shuffled, size).tolist(),
        "p_value": p_values,
        "p_upper": p_upper or [min(1.0, 1.0 - p + 1 / (num_shuffles + 1)) for p in p_values],
        "effect_size": effect or [3.0 + seed for seed in range(size)],
    }
    common = {"phase": "pruned", "num_clusters": 4, "method": "layer"} | where
    common |= {"lower_bound": 1.5, "z_score": -3.0, "num_shuffles": num_shuffles, "test_accuracy": 0.98}
    return [common | {"seed": seed} | {name: values[seed] for name, values in columns.items()} for seed in range(size)]


def only(*args, **kwargs):
    (found,) = combine_seeds(rows(*args, **kwargs))
    return found


def test_combined_p_by_the_formulas_written_out():
    p = np.array([0.01, 0.2, 0.5, 0.04])
    z = scipy.stats.norm.isf(p).sum() / 2
    found = only(p.tolist(), p_upper=[0.9, 0.7, 0.5, 0.8])
    assert found.p_stouffer == pytest.approx(scipy.stats.norm.sf(z), rel=1e-12)
    assert found.p_fisher == pytest.approx(scipy.stats.chi2.sf(-2 * np.log(p).sum(), 8), rel=1e-12)
    upper = scipy.stats.norm.isf([0.9, 0.7, 0.5, 0.8]).sum() / 2
    assert found.p_stouffer_upper == pytest.approx(scipy.stats.norm.sf(upper), rel=1e-12)
    assert found.p_both == max(found.p_stouffer, found.p_fisher)


@pytest.mark.parametrize("p", [0.005, 0.0049751243, 0.05, 0.5, 0.995, 1.0])
def test_one_seed_is_its_own_combination(p):
    found = only([p], p_upper=[p])
    assert found.p_stouffer == found.p_stouffer_upper == p
    assert found.p_fisher == pytest.approx(p, rel=1e-12)


def test_a_seed_above_every_control_does_not_erase_the_others():
    found = only([0.005] * 9 + [1.0])
    z = (9 * scipy.stats.norm.isf(0.005) + scipy.stats.norm.isf(1 - 1 / 400)) / math.sqrt(10)
    assert found.p_stouffer == pytest.approx(scipy.stats.norm.sf(z), rel=1e-9)
    assert found.p_stouffer < 1e-8
    # Unclipped, SciPy gives what this is about.
    assert scipy.stats.combine_pvalues([0.005] * 9 + [1.0], method="stouffer").pvalue == 1.0


def test_each_seed_is_clipped_by_its_own_number_of_shuffles():
    clipped = np.array([0.1, 1 - 1 / 40, 1 - 1 / 400])
    assert stouffer(np.array([0.1, 1.0, 1.0]), np.array([19, 19, 199])) == pytest.approx(
        scipy.stats.norm.sf(scipy.stats.norm.isf(clipped).sum() / math.sqrt(3)), rel=1e-12
    )


def null_tail(num_shuffles, num_seeds, level):
    """An upper bound, sharp to rounding, of P(Stouffer's p <= level) under the null.

    p is i / (R + 1), i from 1 to R + 1, all equally likely. Each z is rounded up to a grid, and their sum's
    distribution is a convolution.
    """
    step = 5e-4
    p = np.arange(1, num_shuffles + 2) / (num_shuffles + 1)
    p[-1] = 1 - 0.5 / (num_shuffles + 1)
    places = np.ceil(scipy.stats.norm.isf(p) / step).astype(int)
    one = np.bincount(places - places.min(), minlength=1) / (num_shuffles + 1)
    size = (len(one) - 1) * num_seeds + 1
    total = np.fft.irfft(np.fft.rfft(one, 2 * size) ** num_seeds, 2 * size)[:size]
    critical = math.floor(scipy.stats.norm.isf(level) * math.sqrt(num_seeds) / step) - num_seeds * places.min()
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


def test_share_of_significant_seeds_has_the_exact_interval():
    found = only([0.005] * 8 + [0.0500000007, 0.6], p_upper=[0.9] * 9 + [0.02])
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
    without = [{k: v for k, v in row.items() if k != "effect_size"} for row in rows([0.1] * 3)]
    assert combine_seeds(without)[0].effect_size is None


@pytest.mark.filterwarnings("error")
def test_controls_in_parts_have_no_percentage():
    found = only([1.0] * 6, ncut=[0.01 * seed for seed in range(6)], shuffled=0.0)
    assert (found.percent, found.percent_low) == (None, None)
    assert found.difference == pytest.approx(0.025)
    assert "n-cut 0.025 higher" in across_sentence(found)


def test_order_is_that_of_the_findings():
    mixed = [
        *rows([0.1] * 2, phase="pruned", method="row"),
        *rows([0.2] * 2, phase="init", method="layer"),
        *rows([0.3] * 2, phase="pruned", num_clusters=2, method="layer"),
        *rows([0.4] * 2, phase="pruned", method="layer"),
    ]
    found = combine_seeds(mixed)
    assert [f[:3] for f in found] == [f[:3] for f in summarise(mixed)]
    assert [f.num_clusters for f in found] == [4, 2, 4, 4]
    assert [f.method for f in found] == ["layer", "layer", "row", "layer"]
    assert np.argsort([f.p_stouffer for f in found]).tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize("p", [0.0, -0.1, 1.5, math.nan])
def test_impossible_p_values_are_refused(p):
    with pytest.raises(ValueError, match=rf"^p_value must be above 0 and at most 1, got {p:g}$"):
        only([0.5, p], p_upper=[0.5, 0.5])
    with pytest.raises(ValueError, match=rf"^p_upper must be above 0 and at most 1, got {p:g}$"):
        only([0.5, 0.5], p_upper=[0.5, p])


def test_nothing_to_combine_and_seeds_that_appear_twice_are_refused():
    with pytest.raises(ValueError, match="holds no row"):
        combine_seeds([])
    with pytest.raises(ValueError, match="holds seed 0 more than once"):
        combine_seeds(rows([0.1]) + rows([0.2]))


def test_the_file_is_the_same_byte_for_byte_whatever_else_is_in_it(tmp_path):
    ours, others = rows([0.005, 0.01, 0.3] * 3), rows([0.5] * 9, method="row", ncut=[2.0 + 0.01 * i for i in range(9)])
    for name, table in (("a", ours + others), ("b", ours + others), ("c", ours)):
        write_csv(tmp_path / name, [found._asdict() for found in combine_seeds(table)], ACROSS_COLUMNS)
    a, b, c = ((tmp_path / name).read_bytes().splitlines() for name in "abc")
    assert a == b
    assert a[:2] == c
    read = read_csv(tmp_path / "a", ACROSS_COLUMNS)
    assert AcrossSeeds(**read[0]) == combine_seeds(ours)[0]


def test_p_at_the_level_counts_as_significant_from_float32():
    assert is_significant(float(np.float32(0.05)))
    assert not is_significant(0.0501)


def test_sentence_of_a_clear_effect():
    assert across_sentence(only([0.005] * 9 + [0.3])) == (
        "Over 10 seeds together, the pruned networks at k = 4 are more modular than the same weights shuffled within "
        "each layer: 9 of 10 seeds significant (95% interval 55% to 100%), n-cut 3.5% lower (3.2% to 3.7%), "
        "combined p = 3.3e-14 (Stouffer) and 3.1e-12 (Fisher)."
    )
    assert across_sentence(only([0.005] * 3)) == (
        "Over 3 seeds together, the pruned networks at k = 4 are more modular than the same weights shuffled within "
        "each layer: 3 of 3 seeds significant (95% interval 29% to 100%), n-cut 3.1% lower, combined p = 4.1e-06 "
        "(Stouffer) and 1.8e-05 (Fisher), the smallest that 199 shuffles of each can show."
    )


def test_sentence_where_a_claim_does_not_reach_other_seeds():
    ncut = [1.94, 1.95, 1.93, 1.94, 1.95, 2.25]
    text = across_sentence(only([0.005] * 5 + [1.0], p_upper=[1.0] * 5 + [0.005], ncut=ncut))
    assert "5 of 6 seeds significant (95% interval 36% to 100%), 1 significantly less modular, n-cut 0.3% lower" in text
    assert text.endswith(" That other seeds differ from their controls on average is not shown.")


def test_sentence_of_no_effect():
    text = across_sentence(only([0.3, 0.6, 0.5, 0.8, 0.2], ncut=[1.99, 2.01, 2.0, 2.02, 1.985]))
    assert text == (
        "Over 5 seeds together, the pruned networks at k = 4 are not shown to be more modular than the same weights "
        "shuffled within each layer: none of 5 seeds significant (95% interval 0% to 52%), n-cut 0.05% higher "
        "(0.7% lower to 1.0% higher), combined p = 0.45 (Stouffer) and 0.58 (Fisher)."
    )


def test_sentence_of_the_opposite_direction():
    ncut = [2.06, 2.07, 2.05, 2.06, 2.08]
    assert across_sentence(only([1.0] * 5, p_upper=[0.005] * 5, ncut=ncut, method="row")) == (
        "Over 5 seeds together, the pruned networks at k = 4 are less modular than the same weights shuffled within "
        "each neuron's outgoing ones: none of 5 seeds significant (95% interval 0% to 52%), 5 significantly less "
        "modular, n-cut 3.2% higher (2.6% to 3.9%), combined p = 4.2e-09 (Stouffer, upper tail)."
    )


def test_sentence_of_one_seed():
    assert across_sentence(only([0.005], phase="init")) == (
        "There is one seed, so nothing to combine: the untrained network at k = 4 has p = 0.005 against the same "
        "weights shuffled within each layer, and an n-cut 3.0% lower."
    )


def test_sentence_where_the_tests_disagree():
    few = across_sentence(only([0.005, 0.005, 0.7, 0.8, 0.9]))
    assert "may be more modular than the same weights shuffled within each layer, but the tests disagree" in few
    assert "combined p = 0.13 by Stouffer's, which weighs all seeds alike, and combined p = 0.012 by Fisher's" in few
    many = across_sentence(only([0.22] * 5))
    assert "combined p = 0.042 by Stouffer's, which weighs all seeds alike, and combined p = 0.13 by Fisher's" in many


def test_sentence_where_seeds_point_both_ways():
    found = only([0.005] * 3 + [0.995] * 7, p_upper=[1.0] * 3 + [0.01] * 7)
    text = across_sentence(found)
    assert (
        "point both ways: on the whole they are less modular than the same weights shuffled within each layer" in text
    )
    assert f"combined p = {found.p_stouffer_upper:.2g} (Stouffer, upper tail)" in text
    assert f"but some are more modular, combined p = {found.p_fisher:.2g} (Fisher); 3 of 10 seeds" in text


def test_sentence_where_no_seed_could_be_significant_by_itself():
    text = across_sentence(only([0.1] * 5, num_shuffles=9))
    assert "are more modular than" in text
    assert ": no seed significant by itself, which 9 shuffles cannot show, n-cut" in text


def strengths(row=None, column=None, layer=None, **kwargs):
    """What all seeds say of the pruned networks at k = 4, with other phases and sizes around them."""
    made = rows([0.7] * 5, phase="init", method="row") + rows([0.7] * 5, num_clusters=12, method="row")
    for method, p_values in (("layer", layer), ("row", row), ("column", column)):
        made += rows(p_values, method=method, **kwargs) if p_values else []
    return strength_sentence(combine_seeds(made))


def test_strengths_are_not_spoken_of_without_their_controls():
    assert strength_sentence(combine_seeds(rows([0.005] * 3) + rows([0.005] * 3, phase="init", method="row"))) is None
    assert strengths(layer=[0.005] * 5) is None


def test_strengths_by_both_controls():
    p = scipy.stats.chi2.sf(-2 * 5 * math.log(0.005), 10)
    larger = scipy.stats.chi2.sf(-2 * 5 * math.log(0.02), 10)
    assert strengths(row=[0.005] * 5, column=[0.02] * 5, layer=[0.005] * 5) == (
        "Is it more modular than its neurons' strengths, the sums of their weights, explain? Yes, by both controls: "
        "the pruned networks at k = 4 are more modular than the same weights shuffled within each neuron's outgoing "
        f"ones (p = {2 * p:.2g}; n-cut 3.2% lower, 95% interval 3.0% to 3.4%) and more modular than the same weights "
        f"shuffled within each neuron's incoming ones (p = {larger:.2g}; n-cut 3.2% lower, 95% interval 3.0% to 3.4%), "
        "with p corrected for the two by Holm's method. For comparison, the n-cut is 3.2% lower than that of the same "
        "weights shuffled within each layer. Each of the two keeps the strengths on one side of a neuron only, "
        "outgoing or incoming; what both sides explain together was not tested."
    )


def test_strengths_by_one_control_of_two_or_by_neither():
    text = strengths(row=[0.005] * 5, column=[0.5] * 5)
    assert "By one control of two: the pruned networks at k = 4 are more modular than" in text
    assert "and not shown to be more modular than the same weights shuffled within each neuron's incoming ones" in text
    assert "For comparison" not in text
    text = strengths(row=[0.995] * 5, column=[0.5] * 5)
    assert "Not shown: the pruned networks at k = 4 are less modular than" in text
    assert "in the upper tail; n-cut" in text


def test_strengths_are_corrected_for_the_two_controls():
    # One seed: p = 0.03 is significant by itself, and 0.06 for two.
    alone = strengths(row=[0.03])
    assert "Yes, by the one control that was run: the pruned network at k = 4 is more modular than" in alone
    assert alone.endswith("This control keeps each neuron's outgoing strength only; its incoming strength changes.")
    assert "Holm" not in alone
    both = strengths(row=[0.03], column=[0.03])
    assert "Not shown: " in both
    assert "(p = 0.06; n-cut 3.0% lower)" in both
    only_column = strengths(column=[0.03])
    assert only_column.endswith("neuron's incoming strength only; its outgoing strength changes.")
