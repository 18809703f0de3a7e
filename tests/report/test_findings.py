import math

import pytest

from modularity_jax.report.findings import Verdict, answer, chance_of_count, sentence, summarise, terminal_table


def rows(p_values, *, phase="pruned", k=4, method="layer", p_upper=None, num_shuffles=199, ncut=2.0, shuffled=2.1):
    """One row per seed; the n-cuts lie 0.01 apart."""
    upper = p_upper or [1.0 - p for p in p_values]
    return [
        {
            "seed": seed,
            "phase": phase,
            "num_clusters": k,
            "method": method,
            "ncut": ncut + 0.01 * seed,
            "lower_bound": 1.5,
            "shuffled_mean": shuffled,
            "z_score": -3.0 - seed,
            "p_value": p,
            "p_upper": up,
            "num_shuffles": num_shuffles,
            "test_accuracy": None if phase == "init" else 0.98,
        }
        for seed, (p, up) in enumerate(zip(p_values, upper, strict=True))
    ]


def only(*args, **kwargs):
    (finding,) = summarise(rows(*args, **kwargs))
    return finding


def test_numbers_over_seeds():
    finding = only([0.005, 0.005, 0.05, 0.2])
    assert finding.ncut_mean == pytest.approx(2.015)
    assert finding.ncut_std == pytest.approx(math.sqrt(5 / 3) * 0.01)
    assert (finding.ncut_min, finding.ncut_max) == (2.0, 2.03)
    assert (finding.num_seeds, finding.num_significant, finding.num_at_floor, finding.num_upper) == (4, 3, 2, 0)
    assert (finding.z_mean, finding.p_min, finding.p_max) == (-4.5, 0.005, 0.2)
    assert finding.test_accuracy == pytest.approx(0.98)


def test_one_seed_has_no_spread_and_an_untrained_one_no_accuracy():
    finding = only([0.4], phase="init")
    assert math.isnan(finding.ncut_std)
    assert math.isnan(finding.test_accuracy)


def test_p_from_float32_counts_as_its_decimal():
    finding = only([0.0500000007, 0.00500000001])
    assert (finding.num_significant, finding.num_at_floor) == (2, 1)


def test_the_chance_of_a_count_is_the_binomial_tail():
    assert chance_of_count(0, 10) == 1.0
    assert chance_of_count(1, 1) == 0.05
    assert chance_of_count(1, 10) == pytest.approx(1 - 0.95**10)
    assert chance_of_count(3, 3) == pytest.approx(0.05**3)


@pytest.mark.parametrize(
    ("p_values", "p_upper", "verdict"),
    [
        ([0.005], None, Verdict.MORE),
        ([0.06], None, Verdict.NONE),
        ([0.005] * 3, None, Verdict.MORE),
        ([0.005] * 8 + [0.3, 0.6], None, Verdict.PARTLY_MORE),
        ([0.005] + [0.4] * 9, None, Verdict.NONE),
        ([0.005, 0.4], None, Verdict.NONE),
        ([0.99] * 3, [0.01] * 3, Verdict.LESS),
        ([0.99] * 2 + [0.5], [0.01] * 2 + [0.5], Verdict.PARTLY_LESS),
        ([0.005] * 2 + [0.99] * 2, [0.99] * 2 + [0.005] * 2, Verdict.SPLIT),
    ],
)
def test_verdicts(p_values, p_upper, verdict):
    assert only(p_values, p_upper=p_upper).verdict is verdict


def test_too_few_shuffles_to_show_anything():
    finding = only([0.1, 0.1], num_shuffles=9)
    assert finding.verdict is Verdict.TOO_FEW_SHUFFLES
    assert sentence(finding).endswith("With 9 shuffles p cannot fall below 0.1, so nothing could be shown.")
    assert only([0.05, 0.05], num_shuffles=19).verdict is Verdict.MORE


def test_sentence_where_all_seeds_are_at_the_floor():
    assert sentence(only([0.005] * 3)) == (
        "At k = 4, the pruned networks are more modular than the same weights shuffled within each layer: "
        "n-cut 2.010 ± 0.010 (mean ± sd over 3 seeds) against 2.100, mean z = −4.0. "
        "p is 0.005 (one-sided) in all 3 seeds, the smallest that 199 shuffles can show."
    )


def test_sentence_where_some_seeds_are_at_the_floor():
    text = sentence(only([0.005, 0.005, 0.02, 0.3]))
    assert "the pruned networks are in most seeds more modular than" in text
    assert text.endswith(
        "p is at most 0.05 (one-sided) in 3 of 4 seeds; in 2 of them it is 0.005, "
        "the smallest that 199 shuffles can show."
    )


def test_sentence_for_one_seed_speaks_of_one_network():
    assert sentence(only([0.005], method="layer_nonzero")) == (
        "At k = 4, the pruned network is more modular than the same non-zero weights shuffled among their places: "
        "n-cut 2.000 against 2.100, z = −3.0. p = 0.005, the smallest that 199 shuffles can show."
    )
    assert sentence(only([0.03])).endswith("z = −3.0. p = 0.03.")


def test_sentence_where_nothing_is_shown():
    text = sentence(only([0.12, 0.6, 0.9]))
    assert "are not shown to be more modular than" in text
    assert text.endswith("The smallest p is 0.12.")


def test_sentence_where_chance_explains_the_count():
    text = sentence(only([0.005] + [0.4] * 9))
    assert text.endswith("in 1 of 10 seeds, but chance alone gives as many in 40% of such runs.")


def test_sentence_where_the_network_is_less_modular():
    text = sentence(only([1.0] * 3, p_upper=[0.005] * 3))
    assert "the pruned networks are less modular than" in text
    assert text.endswith("The difference is significant in the upper tail (p at most 0.05) in all 3 seeds.")
    assert sentence(only([1.0], p_upper=[0.005])).endswith("in the upper tail (p at most 0.05).")


def test_the_answer_leads_with_the_last_phase_and_sets_the_rest_beside_it():
    made = rows([0.4] * 3, phase="init") + rows([0.005] * 3) + rows([0.005] * 3, method="layer_nonzero", shuffled=2.05)
    made += rows([0.01] * 3, k=12, ncut=8.8, shuffled=9.2)
    found = answer(summarise(made))
    assert found.headline == "Yes: the pruned networks are more modular than shuffled weights in every comparison made."
    assert found.paragraph.startswith("At k = 4, the pruned networks are more modular")
    assert found.paragraph.endswith("Only 3 seeds were tested: others may differ.")
    assert found.comparisons == [
        "Against the same non-zero weights shuffled among their places: n-cut 2.010 against 2.050, z = −4.0, "
        "3 of 3 seeds significant.",
        "At k = 12: n-cut 8.810 against 9.200, z = −4.0, 3 of 3 seeds significant.",
        "The untrained networks, for comparison: n-cut 2.010 against 2.100, z = −4.0, none of 3 seeds significant.",
    ]


@pytest.mark.parametrize(
    ("made", "headline"),
    [
        (rows([0.4] * 6), "Not shown: what sets the pruned networks apart from shuffled weights may be chance."),
        (rows([0.005]), "Yes: the pruned network is more modular than shuffled weights."),
        (rows([1.0], p_upper=[0.01]), "No: the pruned network is less modular than shuffled weights."),
        (
            rows([0.005] * 5 + [0.4]),
            "Mostly: the pruned networks are more modular than shuffled weights, but not in every seed.",
        ),
        (
            rows([0.005] * 3 + [0.4] * 7),
            "In part: the pruned networks are more modular than shuffled weights, but not in every seed.",
        ),
        (
            rows([0.005] * 6) + rows([0.4] * 6, method="row"),
            "It depends: the pruned networks are more modular than shuffled weights in 1 of 2 comparisons.",
        ),
        (rows([0.1] * 6, num_shuffles=9), "Open: this run has too few shuffles to tell."),
    ],
)
def test_headlines(made, headline):
    assert answer(summarise(made)).headline == headline


def test_few_seeds_are_said_to_be_few_and_many_are_not():
    assert answer(summarise(rows([0.005]))).paragraph.endswith("nothing follows from it for other seeds.")
    assert "tested" not in answer(summarise(rows([0.005] * 5))).paragraph


def test_phases_come_in_the_order_of_training_and_controls_as_the_run_had_them():
    made = rows([0.1]) + rows([0.1], method="column") + rows([0.1], phase="init") + rows([0.1], k=2)
    assert [finding[:3] for finding in summarise(made)] == [
        ("init", 4, "layer"),
        ("pruned", 2, "layer"),
        ("pruned", 4, "layer"),
        ("pruned", 4, "column"),
    ]


def test_bad_rows_are_refused():
    with pytest.raises(ValueError, match="holds no row"):
        summarise([])
    with pytest.raises(ValueError, match="seed 0 more than once for phase=pruned, num_clusters=4, method=layer"):
        summarise(rows([0.1]) + rows([0.1]))


def test_the_terminal_table_is_aligned_and_narrow():
    made = rows([0.005] * 10, method="layer_nonzero", k=12, ncut=8.8, shuffled=9.2) + rows([0.3], phase="init")
    lines = terminal_table(made).splitlines()
    assert lines[0].split() == ["phase", "k", "control", "n-cut", "shuffled", "z", "p", "p", "<=", "0.05"]
    assert lines[2].split() == ["init", "4", "layer", "2.000", "2.100", "-3.0", "0.3", "0", "of", "1"]
    assert " ".join(lines[3].split()) == "pruned 12 layer_nonzero 8.845 ± 0.030 9.200 -7.5 0.005* 10 of 10"
    assert len(lines[0]) == len(lines[2]) == len(lines[3])
    assert max(map(len, lines)) <= 100
