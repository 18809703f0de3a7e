"""What the templates make of numbers."""

import math

import pytest
import scipy.stats

from modularity_jax.report.findings.comparisons import comparison_table
from modularity_jax.report.frames import lead_of, records
from modularity_jax.report.prose import say, signed
from modularity_jax.report.sections import strength_rows
from tests.report import made
from tests.report.test_across_seeds import rows


def compared(table):
    return records(comparison_table(made.tests_of(table)))


def across(*args, **kwargs):
    (found,) = compared(rows(*args, **kwargs))
    return say("across", found)


def test_numbers_are_signed_with_a_minus_and_unknown_ones_a_dash():
    assert [signed(value) for value in (-1.26, 0.04, -0.04, math.inf, None)] == ["−1.3", "0.0", "0.0", "–", "–"]


def test_a_clear_effect():
    assert across([0.005] * 9 + [0.3]) == (
        "Over 10 seeds together, the pruned networks at k = 4 are more modular than the same weights shuffled within "
        "each layer: combined p = 3.3e-14 (Stouffer) and 3.1e-12 (Fisher); on their own 9 of 10 seeds significant "
        "(95% interval 55% to 100%), n-cut 3.5% lower (3.2% to 3.7%). The p of 9 of 10 seeds is the smallest that 199 "
        "shuffles can show, 0.005."
    )
    assert across([0.005] * 3).endswith(
        "n-cut 3.1% lower. The p of all 3 seeds is the smallest that 199 shuffles can show, 0.005."
    )


def test_a_claim_that_does_not_reach_other_seeds():
    ncut = [1.94, 1.95, 1.93, 1.94, 1.95, 2.25]
    text = across([0.005] * 5 + [1.0], p_opposite=[1.0] * 5 + [0.005], ncut=ncut)
    assert "5 of 6 seeds significant, 1 significantly less modular (95% interval 36% to 100%), n-cut 0.3% lower" in text
    assert " That other seeds differ from their controls on average is not shown." in text


def test_no_effect():
    assert across([0.3, 0.6, 0.5, 0.8, 0.2], ncut=[1.99, 2.01, 2.0, 2.02, 1.985]) == (
        "Over 5 seeds together, the pruned networks at k = 4 are not shown to be more modular than the same weights "
        "shuffled within each layer: combined p = 0.45 (Stouffer) and 0.58 (Fisher); on their own none of 5 seeds "
        "significant (95% interval 0% to 52%), n-cut 0.05% higher (0.7% lower to 1.0% higher). The smallest p of a "
        "seed is 0.2."
    )


def test_the_opposite_direction():
    ncut = [2.06, 2.07, 2.05, 2.06, 2.08]
    assert across([1.0] * 5, p_opposite=[0.005] * 5, ncut=ncut, method="row") == (
        "Over 5 seeds together, the pruned networks at k = 4 are less modular than the same weights shuffled within "
        "each neuron's outgoing ones: combined p = 4.2e-09 (Stouffer, upper tail); on their own none of 5 seeds "
        "significant, 5 significantly less modular (95% interval 0% to 52%), n-cut 3.2% higher (2.6% to 3.9%)."
    )


def test_one_seed():
    assert across([0.005], phase="init") == (
        "At k = 4, the untrained network is more modular than the same weights shuffled within each layer: p = 0.005, "
        "n-cut 3.0% lower. The p is the smallest that 199 shuffles can show, 0.005."
    )


def test_a_corrected_p_stands_beside_the_combined_one():
    found = compared(rows([0.02, 0.03]) + rows([0.5, 0.6], method="row"))
    z = scipy.stats.norm.isf([0.02, 0.03]).sum() / math.sqrt(2)
    p = scipy.stats.norm.sf(z)
    text = say("across", found[0])
    assert f"combined p = {p:.2g} (Stouffer), {2 * p:.2g} corrected for 2 comparisons, and" in text
    assert say("brief", found[0]) == (
        f"more modular, corrected p = {2 * p:.2g}; n-cut 1.939 against 2.000, z = −3.0, 2 of 2 seeds significant."
    )


def test_a_comparison_without_a_verdict_claims_nothing():
    found = compared(rows([0.005] * 2) + rows([0.005] * 2, num_clusters=12) + rows([0.5] * 2, method="row") +
                     rows([0.005] * 2, num_clusters=12, method="row"))  # fmt: skip
    text = say("across", found[-1])
    assert "at k = 12 are compared with the same weights shuffled within each neuron's outgoing ones: combined" in text
    assert "corrected" not in text


def test_methods_that_disagree_are_said_to():
    disagree = (
        "The two methods disagree: Stouffer's weighs all seeds alike, Fisher's can be carried by a few with small"
    )
    few = across([0.005, 0.005, 0.7, 0.8, 0.9])
    assert "not shown to be more modular" in few
    assert "combined p = 0.13 (Stouffer) and 0.012 (Fisher)" in few
    assert disagree in few
    many = across([0.22] * 5)
    assert "are more modular than" in many
    assert "combined p = 0.042 (Stouffer) and 0.13 (Fisher)" in many
    assert disagree in many
    assert "disagree" not in across([0.005] * 5)


def test_seeds_that_point_both_ways():
    text = across([0.005] * 3 + [0.995] * 7, p_opposite=[1.0] * 3 + [0.01] * 7)
    assert "are less modular than the same weights shuffled within each layer" in text
    assert "Some seeds point the other way: by Fisher's method, which a few with small p can carry, p = " in text


def test_too_few_shuffles():
    text = across([0.1], num_shuffles=9)
    assert "is not to be told apart from the same weights shuffled within each layer with so few shuffles" in text
    assert text.endswith("With 9 shuffles that p cannot fall below 0.1, so nothing could be shown.")


def test_controls_in_parts_have_no_percentage():
    assert "n-cut 0.025 higher" in across([1.0] * 6, ncut=[0.01 * seed for seed in range(6)], shuffled=0.0)


def test_networks_that_are_missing_are_named():
    row = {"seed": 3, "phase": "pruned", "nonfinite_step": 120}
    assert say("not_finite", row) == (
        "Seed 3 is left out: its loss was not finite from step 120 of the pruned phase on."
    )


def headline(table):
    found = compared(table)
    phase = lead_of(made.tests_of(table))[0]
    return say("headline", [row for row in found if row["front"] and row["phase"] == phase])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (rows([0.4] * 6), "Not shown: what sets the pruned networks apart from shuffled weights may be chance."),
        (rows([0.005]), "Yes: the pruned network is more modular than shuffled weights."),
        (rows([1.0], p_opposite=[0.01]), "No: the pruned network is less modular than shuffled weights."),
        (
            rows([0.005] * 6) + rows([0.005] * 6, num_clusters=12),
            "Yes: the pruned networks are more modular than shuffled weights in every comparison shown.",
        ),
        (
            rows([0.005] * 3 + [0.4] * 7),
            "Yes, taken together: the pruned networks are more modular than shuffled weights, though not every seed is "
            "on its own.",
        ),
        (
            rows([0.005] * 6) + rows([0.4] * 6, method="row"),
            "It depends: the pruned networks are more modular than shuffled weights in 1 of 2 comparisons.",
        ),
        (
            rows([0.5] * 6) + rows([1.0] * 6, p_opposite=[0.005] * 6, method="row"),
            "It depends: the pruned networks are more modular than shuffled weights in 0 of 2 comparisons, less "
            "modular in 1.",
        ),
        (rows([0.1], num_shuffles=9), "Open: this run has too few shuffles to tell."),
    ],
)
def test_headlines(table, expected):
    assert headline(table) == expected


def test_few_seeds_are_said_to_be_few_and_many_are_not():
    assert say("caution", 1) == "A single network was tested: nothing follows from it for other seeds."
    assert say("caution", 4) == "Only 4 seeds were tested: others may differ."
    assert say("caution", 5) == ""


def test_what_stands_beside_the_lead():
    table = rows([0.4] * 3, phase="init") + rows([0.005] * 3) + rows([0.005] * 3, method="layer_nonzero")
    found = compared(table + rows([0.01] * 3, num_clusters=12))
    lead = next(row for row in found if row["phase"] == "pruned")
    texts = [say("beside", row, lead) for row in found if row is not lead]
    assert [text[: text.index(": ") + 1] for text in texts] == [
        "The untrained networks, for comparison:",
        "Against the same non-zero weights shuffled among their places:",
        "At k = 12:",
    ]
    assert "none of 3 seeds significant" in texts[0]
    assert say("against", lead) == "1.938 ± 0.002 (mean ± sd over 3 seeds) against 2.000, mean z = −3.0"


def strengths(row=None, column=None, layer=None, both=None):
    """What all seeds say of the pruned networks at k = 4, with other phases and sizes around them."""
    table = rows([0.7] * 5, phase="init", method="row") + rows([0.7] * 5, num_clusters=12, method="row")
    for method, p_values in (("layer", layer), ("row", row), ("column", column), ("strengths", both)):
        table += rows(p_values, method=method) if p_values else []
    tested, others = strength_rows(comparison_table(made.tests_of(table)))
    return say("strengths", tested, others) if tested else None


def test_strengths_are_not_spoken_of_without_their_controls():
    tested, _ = strength_rows(
        comparison_table(made.tests_of(rows([0.005] * 3, phase="init", method="row") + rows([0.005] * 3)))
    )
    assert tested == []


def test_strengths_by_both_controls():
    text = strengths(row=[0.005] * 5, column=[0.02] * 5, layer=[0.005] * 5)
    # The front shows five comparisons: three controls, k = 12 and init. Row and layer have the smallest p.
    smaller, larger = (scipy.stats.norm.sf(scipy.stats.norm.isf(p) * math.sqrt(5)) for p in (0.005, 0.02))
    assert text == (
        "Is it more modular than its neurons' strengths, the sums of their weights, explain? Yes, by both controls: "
        "the pruned networks at k = 4 are more modular than the same weights shuffled within each neuron's outgoing "
        f"ones (p = {5 * smaller:.2g}; n-cut 3.2% lower, 95% interval 3.0% to 3.4%) and more modular than the same "
        f"weights shuffled within each neuron's incoming ones (p = {3 * larger:.2g}; n-cut 3.2% lower, 95% interval "
        "3.0% to 3.4%), with p corrected as on the front page. For comparison, the n-cut is 3.2% lower than that of "
        "the same weights shuffled within each layer. Each of the two keeps the strengths on one side of a neuron "
        "only, outgoing or incoming; what both sides explain together was not tested."
    )


def test_strengths_by_one_control_of_two_or_by_neither():
    text = strengths(row=[0.005] * 5, column=[0.5] * 5)
    assert "By one control of two: the pruned networks at k = 4 are more modular than" in text
    assert "and not shown to be more modular than the same weights shuffled within each neuron's incoming ones" in text
    assert "For comparison" not in text
    text = strengths(row=[0.995] * 5, column=[0.5] * 5)
    assert "Not shown: the pruned networks at k = 4 are less modular than" in text
    assert "in the upper tail; n-cut" in text


def test_strengths_on_both_sides_say_more_than_on_one():
    text = strengths(row=[0.005] * 5, both=[0.005] * 5, layer=[0.005] * 5)
    assert "explain? Yes: the pruned networks at k = 4 are more modular than" in text
    assert "outgoing ones" not in text
    assert text.endswith("This control keeps each neuron's numbers of weights and their sums, outgoing and incoming.")
    assert "Not shown: the pruned networks at k = 4 are not shown" in strengths(both=[0.5] * 5)


def test_strengths_by_one_control_alone():
    text = strengths(column=[0.005] * 5)
    assert "Yes, by the one control that was run: the pruned networks at k = 4 are more modular than" in text
    assert text.endswith("This control keeps each neuron's incoming strength only; its outgoing strength changes.")
    assert strengths(row=[0.005] * 5).endswith("outgoing strength only; its incoming strength changes.")
