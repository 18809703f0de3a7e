"""Numbers over seeds, and the rule by which they become a verdict."""

import math

import numpy as np
import pytest
import scipy.stats

from modularity_jax.report.findings.comparisons import Verdict, comparison_table
from modularity_jax.report.frames import KEYS, lead_of, records
from modularity_jax.report.terminal import terminal_table
from tests.report import made


def rows(p_values, *, phase="pruned", k=4, method="layer", p_opposite=None, num_shuffles=199, ncut=2.0, shuffled=2.1):
    """One row per seed; the n-cuts lie 0.01 apart."""
    upper = p_opposite or [min(1.0, 1.0 - p + 1 / (num_shuffles + 1)) for p in p_values]
    common = {
        "phase": phase,
        "graph": "weights",
        "measure": "ncut",
        "num_clusters": k,
        "method": method,
        "shuffled_mean": shuffled,
    }
    common |= {"num_shuffles": num_shuffles, "test_accuracy": None if phase == "init" else 0.98, "effect_size": 3.0}
    return [
        common | {"seed": seed, "observed": ncut + 0.01 * seed, "z_score": -3.0 - seed, "p_value": p, "p_opposite": up}
        for seed, (p, up) in enumerate(zip(p_values, upper, strict=True))
    ]


def compared(*tables):
    return records(comparison_table(made.tests_of([row for table in tables for row in table])))


def only(*args, **kwargs):
    (found,) = compared(rows(*args, **kwargs))
    return found


def test_numbers_over_seeds():
    found = only([0.005, 0.005, 0.05, 0.2])
    assert found["ncut_mean"] == pytest.approx(2.015)
    assert found["ncut_std"] == pytest.approx(math.sqrt(5 / 3) * 0.01)
    assert (found["ncut_min"], found["ncut_max"]) == (2.0, 2.03)
    assert [found[f"num_{name}"] for name in ("seeds", "significant", "at_floor", "upper")] == [4, 3, 2, 0]
    assert (found["z_mean"], found["p_min"], found["p_max"]) == (-4.5, 0.005, 0.2)
    assert found["test_accuracy"] == pytest.approx(0.98)


def test_one_seed_has_no_spread_and_an_untrained_one_no_accuracy():
    found = only([0.4], phase="init")
    assert (found["ncut_std"], found["test_accuracy"]) == (None, None)


def test_p_from_float32_counts_as_its_decimal():
    found = only([0.0500000007, 0.00500000001])
    assert (found["num_significant"], found["num_at_floor"]) == (2, 1)


@pytest.mark.parametrize(
    ("p_values", "p_opposite", "verdict"),
    [
        ([0.005], None, Verdict.MORE),
        ([0.0500000007], None, Verdict.MORE),
        ([0.06], None, Verdict.NONE),
        ([0.005] + [0.4] * 9, None, Verdict.NONE),
        ([0.1] * 10, None, Verdict.MORE),  # none by itself, no doubt about all
        ([0.99] * 3, [0.01] * 3, Verdict.LESS),
        ([0.005] * 2 + [0.995] * 2, [0.995] * 2 + [0.005] * 2, Verdict.NONE),
    ],
)
def test_one_comparison_has_the_verdict_of_its_combined_p(p_values, p_opposite, verdict):
    found = only(p_values, p_opposite=p_opposite)
    assert found["verdict"] == verdict
    assert (found["front"], found["num_compared"]) == (True, 1)
    assert (found["p_holm"], found["p_holm_upper"]) == (found["p_stouffer"], found["p_stouffer_upper"])


def test_verdicts_are_corrected_by_holm():
    found = compared(
        rows([0.02], method="layer"), rows([0.01], method="row"), rows([0.03], method="column"), rows([0.5], k=12)
    )
    # Of four, smallest first: 4 x .01, 3 x .02, 2 x .03 and .5, none below the one before it.
    by_place = {(row["num_clusters"], row["method"]): (row["p_holm"], row["verdict"]) for row in found}
    assert by_place == {
        (4, "row"): (pytest.approx(0.04), Verdict.MORE),
        (4, "layer"): (pytest.approx(0.06), Verdict.NONE),
        (4, "column"): (pytest.approx(0.06), Verdict.NONE),
        (12, "layer"): (pytest.approx(0.5), Verdict.NONE),
    }


def test_seeds_are_combined_before_the_correction_in_either_tail():
    more, less = [0.02, 0.05, 0.1], [0.9, 0.95, 0.99]
    found = compared(rows(more, p_opposite=less), rows(less, p_opposite=more, method="row"))
    z = scipy.stats.norm.isf(more).sum() / math.sqrt(3)
    p = 2 * scipy.stats.norm.sf(z)
    assert [row["verdict"] for row in found] == [Verdict.MORE, Verdict.LESS]
    assert (found[0]["p_holm"], found[1]["p_holm_upper"]) == (pytest.approx(p), pytest.approx(p))
    # Two significant by themselves stand beside the verdict.
    assert [(row["num_significant"], row["num_upper"]) for row in found] == [(2, 0), (0, 2)]


def test_only_comparisons_of_the_front_page_count_and_get_a_verdict():
    tables = [
        rows([0.02], phase=phase, k=k, method=method)
        for phase in ("unpruned", "pruned")
        for k in (4, 12)
        for method in ("layer", "row")
    ]
    found = compared(*tables)
    front = [(row["phase"], row["num_clusters"], row["method"]) for row in found if row["front"]]
    assert front == [("unpruned", 4, "layer"), ("pruned", 4, "layer"), ("pruned", 4, "row"), ("pruned", 12, "layer")]
    assert {row["num_compared"] for row in found} == {4}
    assert [row["p_holm"] for row in found if row["front"]] == pytest.approx([0.08] * 4)
    assert {row["p_holm"] for row in found if not row["front"]} == {None}
    assert {row["verdict"] for row in found if not row["front"]} == {Verdict.NOT_JUDGED}


def test_too_few_shuffles_to_show_anything():
    assert only([0.1], num_shuffles=9)["verdict"] == Verdict.TOO_FEW_SHUFFLES
    assert only([0.05], num_shuffles=19)["verdict"] == Verdict.MORE
    # Two seeds at 1/10 each: sf(2 isf(.1) / sqrt(2)) = .035, within .05 for one comparison and beyond it for two.
    assert only([0.1, 0.1], num_shuffles=9)["p_holm_floor"] == pytest.approx(0.03496, abs=1e-5)
    assert only([0.3, 0.1], num_shuffles=9)["verdict"] == Verdict.NONE
    pair = compared(rows([0.1, 0.1], num_shuffles=9), rows([0.9, 0.9], num_shuffles=9, method="row"))
    assert [row["verdict"] for row in pair] == [Verdict.TOO_FEW_SHUFFLES] * 2
    # Beside one with many shuffles the same is judged: Holm's factor for the larger p is 1.
    beside = compared(rows([0.1, 0.1], num_shuffles=9), rows([0.005] * 2, method="row"))
    assert [row["verdict"] for row in beside] == [Verdict.MORE] * 2


def test_phases_come_in_the_order_of_training_and_controls_as_the_run_had_them():
    tests = made.tests_of(rows([0.1], phase="init") + rows([0.1]) + rows([0.1], method="column") + rows([0.1], k=2))
    assert [tuple(row) for row in comparison_table(tests)[KEYS].itertuples(index=False)] == [
        ("init", "weights", "ncut", 4, "layer"),
        ("pruned", "weights", "ncut", 2, "layer"),
        ("pruned", "weights", "ncut", 4, "layer"),
        ("pruned", "weights", "ncut", 4, "column"),
    ]
    assert lead_of(tests) == ("pruned", "weights", "ncut", 2, "layer")


def test_bad_rows_are_refused():
    with pytest.raises(ValueError, match="holds no row"):
        comparison_table(made.tests_of([]))
    with pytest.raises(
        ValueError,
        match="seed 0 more than once for phase=pruned, graph=weights, measure=ncut, num_clusters=4, method=layer",
    ):
        compared(rows([0.1]) + rows([0.1]))


def test_the_terminal_table_is_aligned_and_narrow():
    tests = rows([0.4], phase="init", k=12, method="layer_nonzero") + rows([0.3], phase="init")
    tests += rows([0.005] * 10, method="layer_nonzero", k=12, ncut=8.8, shuffled=9.2)
    tests += rows([1.0] * 3, p_opposite=[0.005] * 3)
    tests += rows([0.005, np.float32(0.005)], method="layer_nonzero")
    lines = terminal_table(comparison_table(made.tests_of(tests))).splitlines()
    assert " ".join(lines[0].split()) == "phase k control n-cut shuffled z p p <= 0.05 modular?"
    assert " ".join(lines[2].split()) == "init 4 layer 2.000 2.100 -3.0 (0.3) 0 of 1"
    assert " ".join(lines[4].split()) == "pruned 4 layer_nonzero 2.005 ± 0.007 2.100 -3.5 0.00027 2 of 2 more"
    assert " ".join(lines[5].split()) == "pruned 4 layer 2.010 ± 0.010 2.100 -4.0 1.2e-05 0 of 3 less"
    assert " ".join(lines[6].split()).startswith("pruned 12 layer_nonzero 8.845 ± 0.030 9.200 -7.5 ")
    assert lines[6].endswith("10 of 10  more")
    assert max(map(len, lines)) <= 100
