"""What all seeds of a run say together, in English."""

from collections.abc import Sequence

import numpy as np

from modularity_jax.metric.multiple_testing import holm
from modularity_jax.report.findings.across_seeds import AcrossSeeds
from modularity_jax.report.findings.findings import ALPHA, is_significant
from modularity_jax.report.findings.wording import control_name, phase_name

_SIDES = {"row": "outgoing", "column": "incoming"}  # where a neuron's strength stays under a control


def across_sentence(found: AcrossSeeds) -> str:
    """How all seeds of a finding compare with their controls, with the numbers that say so.

    More modular is said where Stouffer's and Fisher's p are both at most `ALPHA`, less modular where Stouffer's in the
    upper tail is. Where a test contradicts another, the sentence says that. Combined p-values speak of these networks;
    where the interval over seeds holds no difference, a second sentence says that others may not follow.
    """
    control = control_name(found.method)
    if found.num_seeds == 1:
        return (
            f"There is one seed, so nothing to combine: {_networks(found)} has p = {found.p_stouffer:.2g} against "
            f"{control}, and an {_cut(found)}."
        )
    who = f"Over {found.num_seeds} seeds together, {_networks(found)}"
    stouffer, fisher, upper = (
        f"combined p = {p:.2g}" for p in (found.p_stouffer, found.p_fisher, found.p_stouffer_upper)
    )
    evidence = f"{_shares(found)}, {_cut(found)}"
    more = [is_significant(p) for p in (found.p_stouffer, found.p_fisher)]
    if is_significant(found.p_stouffer_upper) and any(more):
        return (
            f"{who} point both ways: on the whole they are less modular than {control}, {upper} (Stouffer, upper "
            f"tail), but some are more modular, {fisher} (Fisher); {evidence}."
        )
    if is_significant(found.p_stouffer_upper):
        return f"{who} are less modular than {control}: {evidence}, {upper} (Stouffer, upper tail).{_reach(found)}"
    if any(more) and not all(more):
        return (
            f"{who} may be more modular than {control}, but the tests disagree: {stouffer} by Stouffer's, which weighs "
            f"all seeds alike, and {fisher} by Fisher's, which a few seeds with small p can carry; {evidence}."
        )
    numbers = f"{evidence}, {stouffer} (Stouffer) and {found.p_fisher:.2g} (Fisher){_floor(found)}."
    if all(more):
        return f"{who} are more modular than {control}: {numbers}{_reach(found)}"
    return f"{who} are not shown to be more modular than {control}: {numbers}"


def strength_sentence(found: Sequence[AcrossSeeds]) -> str | None:
    """Whether the networks are more modular than their neurons' strengths explain.

    It speaks of the last phase and its first number of clusters. The controls `row` and `column` permute within each
    neuron's outgoing or incoming weights, so that the sum of these stays. Of each the larger of Stouffer's and Fisher's
    p counts, corrected by Holm for the controls that were run.

    Args:
      found: what `combine_seeds` returned.

    Returns:
      The sentences, or None where neither control was run.
    """
    last = [f for f in found if f.phase == found[-1].phase]
    here = {f.method: f for f in last if f.num_clusters == last[0].num_clusters}
    tested = [here[method] for method in _SIDES if method in here]
    if not tested:
        return None
    lower = holm(np.array([f.p_both for f in tested]))
    upper = holm(np.array([f.p_stouffer_upper for f in tested]))
    verb = "is" if tested[0].num_seeds == 1 else "are"
    clauses = " and ".join(_strength_clause(*each) for each in zip(tested, lower, upper, strict=True))
    corrected = ", with p corrected for the two by Holm's method" if len(tested) > 1 else ""
    beside = [here[method] for method in ("layer", "layer_nonzero") if method in here]
    sentences = [
        "Is it more modular than its neurons' strengths, the sums of their weights, explain?",
        f"{_strength_answer(sum(map(is_significant, lower)), len(tested))}: "
        f"{_networks(tested[0])} {verb} {clauses}{corrected}.",
    ]
    if beside:
        than = " and ".join(f"{_relative(f)} than that of {control_name(f.method)}" for f in beside)
        sentences.append(f"For comparison, the n-cut is {than}.")
    return " ".join([*sentences, _strength_caveat([f.method for f in tested])])


def _networks(found: AcrossSeeds) -> str:
    return f"the {phase_name(found.phase)} network{'' if found.num_seeds == 1 else 's'} at k = {found.num_clusters}"


def _shares(found: AcrossSeeds) -> str:
    if 1 / (found.num_shuffles + 1) > ALPHA:
        return f"no seed significant by itself, which {found.num_shuffles} shuffles cannot show"
    text = (
        f"{found.num_significant or 'none'} of {found.num_seeds} seeds significant "
        f"(95% interval {found.share_low:.0%} to {found.share_high:.0%})"
    )
    return f"{text}, {found.num_upper} significantly less modular" if found.num_upper else text


def _floor(found: AcrossSeeds) -> str:
    every = found.num_at_floor == found.num_seeds
    return f", the smallest that {found.num_shuffles} shuffles of each can show" if every else ""


def _reach(found: AcrossSeeds) -> str:
    """What a claim about these networks leaves open for others."""
    if found.percent_low is None or found.percent_high is None or found.percent_low * found.percent_high > 0:
        return ""
    return " That other seeds differ from their controls on average is not shown."


def _cut(found: AcrossSeeds) -> str:
    """The relative difference in words, with its interval: "n-cut 2.4% lower (1.8% to 3.0%)"."""
    interval = _cut_interval(found)
    return f"n-cut {_relative(found)} ({interval})" if interval else f"n-cut {_relative(found)}"


def _cut_interval(found: AcrossSeeds) -> str:
    low, high = found.percent_low, found.percent_high
    if low is None or high is None:
        return ""
    if low * high <= 0:
        return f"{_percent(low)} lower to {_percent(high)} higher"
    near, far = sorted((low, high), key=abs)
    return f"{_percent(near)} to {_percent(far)}"


def _relative(found: AcrossSeeds) -> str:
    amount = f"{abs(found.difference):.3f}" if found.percent is None else _percent(found.percent)
    return f"{amount} {'lower' if found.difference < 0 else 'higher'}" if found.difference else "no lower"


def _percent(value: float) -> str:
    return f"{abs(value):.1f}%" if abs(value) >= 0.1 else f"{abs(value):.1g}%"


def _strength_clause(found: AcrossSeeds, lower: float, upper: float) -> str:
    claim, p_value = "not shown to be more modular", f"p = {lower:.2g}"
    if is_significant(lower):
        claim = "more modular"
    elif is_significant(upper):
        claim, p_value = "less modular", f"p = {upper:.2g} in the upper tail"
    interval = _cut_interval(found)
    cut = f"n-cut {_relative(found)}" + (f", 95% interval {interval}" if interval else "")
    return f"{claim} than {control_name(found.method)} ({p_value}; {cut})"


def _strength_answer(count: int, tested: int) -> str:
    if count == 0:
        return "Not shown"
    if tested == 1:
        return "Yes, by the one control that was run"
    return "Yes, by both controls" if count == tested else "By one control of two"


def _strength_caveat(methods: Sequence[str]) -> str:
    if len(methods) > 1:
        return (
            "Each of the two keeps the strengths on one side of a neuron only, outgoing or incoming; what both sides "
            "explain together was not tested."
        )
    kept = _SIDES[methods[0]]
    (other,) = set(_SIDES.values()) - {kept}
    return f"This control keeps each neuron's {kept} strength only; its {other} strength changes."
