"""What a run's findings say in English: how modular, how sure, on how many seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from modularity_jax.report.findings.findings import ALPHA, Finding, Verdict, chance_of_count

_PHASE_NAMES = {"init": "untrained", "unpruned": "trained, unpruned"}
_CONTROL_NAMES = {
    "layer": "the same weights shuffled within each layer",
    "layer_nonzero": "the same non-zero weights shuffled among their places",
    "row": "the same weights shuffled within each neuron's outgoing ones",
    "column": "the same weights shuffled within each neuron's incoming ones",
    "layer_nonzero_distribution": "weights drawn anew from each layer's distribution, in the same places",
    "layer_all_distribution": "weights drawn anew from each layer's distribution, in shuffled places",
}


class Answer(NamedTuple):
    """What the front of a report says."""

    headline: str
    paragraph: str  # the leading finding, and a warning where the seeds are few
    comparisons: list[str]  # one sentence each


def phase_name(phase: str) -> str:
    """How sentences call networks of a phase: "untrained", "trained, unpruned", "pruned"."""
    return _PHASE_NAMES.get(phase, phase)


def control_name(method: str) -> str:
    """How sentences call the networks of a control."""
    return _CONTROL_NAMES.get(method, f"the {method} controls")


def sentence(finding: Finding) -> str:
    """What a finding says, how sure it is and on how many seeds it stands."""
    one = finding.num_seeds == 1
    subject = f"At k = {finding.num_clusters}, the {phase_name(finding.phase)} network{' is' if one else 's are'}"
    return f"{subject} {_claim(finding)}: n-cut {_against(finding)}. {_certainty(finding)}"


def numbers(finding: Finding) -> str:
    """A finding's figures alone, for where its claim stands already, with a warning where the seeds are few."""
    return f"The n-cut is {_against(finding)}. {_certainty(finding)} {_caution(finding.num_seeds)}".strip()


def lead_of(findings: Sequence[Finding]) -> Finding:
    """The finding that an answer leads with: the first of the last phase."""
    return next(finding for finding in findings if finding.phase == findings[-1].phase)


def answer(findings: Sequence[Finding]) -> Answer:
    """The answer to "more modular than chance?" for the front of a report.

    It speaks of the last phase there is. The first of its findings leads; the other controls, numbers of clusters and
    phases are set beside it.

    Args:
      findings: what `summarise` returned.

    Returns:
      The answer.
    """
    last = [finding for finding in findings if finding.phase == findings[-1].phase]
    lead = lead_of(findings)
    controls = [f for f in last if f.num_clusters == lead.num_clusters and f.method != lead.method]
    sizes = [f for f in last if f.num_clusters != lead.num_clusters and f.method == lead.method]
    phases = [f for f in findings if f.phase != lead.phase and f[1:3] == lead[1:3]]
    comparisons = [
        *(f"Against {control_name(other.method)}: {_brief(other)}." for other in controls),
        *(f"At k = {other.num_clusters}: {_brief(other)}." for other in sizes),
        *(f"The {phase_name(other.phase)} networks, for comparison: {_brief(other)}." for other in phases),
    ]
    return Answer(_headline(last), f"{sentence(lead)} {_caution(lead.num_seeds)}".strip(), comparisons)


def signed(value: float, digits: int = 1) -> str:
    """A number with a typographic minus sign; a dash where it is not finite."""
    # Adding 0 turns the -0.0 that rounding may leave into 0.0.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _headline(findings: Sequence[Finding]) -> str:
    who = f"the {phase_name(findings[0].phase)} network" + ("s" if findings[0].num_seeds > 1 else "")
    verb = "are" if findings[0].num_seeds > 1 else "is"
    verdicts = {finding.verdict for finding in findings}
    everywhere = " in every comparison made" if len(findings) > 1 else ""
    if verdicts == {Verdict.MORE}:
        return f"Yes: {who} {verb} more modular than shuffled weights{everywhere}."
    if verdicts <= {Verdict.MORE, Verdict.PARTLY_MORE}:
        mostly = all(2 * finding.num_significant > finding.num_seeds for finding in findings)
        how = "Mostly" if mostly else "In part"
        return f"{how}: {who} {verb} more modular than shuffled weights, but not in every seed."
    if verdicts == {Verdict.NONE}:
        return f"Not shown: what sets {who} apart from shuffled weights may be chance."
    if verdicts == {Verdict.LESS}:
        return f"No: {who} {verb} less modular than shuffled weights{everywhere}."
    if verdicts <= {Verdict.LESS, Verdict.PARTLY_LESS}:
        return f"No: {who} {verb} not more modular than shuffled weights, and in some seeds less."
    if verdicts == {Verdict.TOO_FEW_SHUFFLES}:
        return "Open: this run has too few shuffles to tell."
    more = sum(finding.verdict in (Verdict.MORE, Verdict.PARTLY_MORE) for finding in findings)
    return f"It depends: {who} {verb} more modular than shuffled weights in {more} of {len(findings)} comparisons."


def _claim(finding: Finding) -> str:
    control, seeds = control_name(finding.method), finding.num_seeds
    return {
        Verdict.MORE: f"more modular than {control}",
        Verdict.PARTLY_MORE: f"in {_part(finding.num_significant, seeds)} seeds more modular than {control}",
        Verdict.NONE: f"not shown to be more modular than {control}",
        Verdict.SPLIT: f"more modular than {control} in {finding.num_significant} of {seeds} seeds and less modular "
        f"in {finding.num_upper}",
        Verdict.PARTLY_LESS: f"in {_part(finding.num_upper, seeds)} seeds less modular than {control}",
        Verdict.LESS: f"less modular than {control}",
        Verdict.TOO_FEW_SHUFFLES: f"not to be told apart from {control} with so few shuffles",
    }[finding.verdict]


def _part(count: int, seeds: int) -> str:
    return "most" if 2 * count > seeds else "some"


def _against(finding: Finding) -> str:
    seeds = "" if finding.num_seeds == 1 else f" ± {finding.ncut_std:.3f} (mean ± sd over {finding.num_seeds} seeds)"
    mean = "" if finding.num_seeds == 1 else "mean "
    return f"{finding.ncut_mean:.3f}{seeds} against {finding.shuffled_mean:.3f}, {mean}z = {signed(finding.z_mean)}"


def _brief(finding: Finding) -> str:
    against = f"n-cut {finding.ncut_mean:.3f} against {finding.shuffled_mean:.3f}"
    return f"{against}, z = {signed(finding.z_mean)}, {_counts(finding)}"


def _counts(finding: Finding) -> str:
    low, high, seeds = finding.num_significant, finding.num_upper, finding.num_seeds
    if seeds == 1:
        return f"p = {finding.p_min:.2g}"
    text = f"{low or 'none'} of {seeds} seeds significant"
    return f"{text}, {high} significantly less modular" if high else text


def _certainty(finding: Finding) -> str:
    low, high, seeds, verdict = finding.num_significant, finding.num_upper, finding.num_seeds, finding.verdict
    if verdict is Verdict.TOO_FEW_SHUFFLES:
        floor = f"{finding.p_floor:.2g}"
        return f"With {finding.num_shuffles} shuffles p cannot fall below {floor}, so nothing could be shown."
    if verdict in (Verdict.LESS, Verdict.PARTLY_LESS):
        where = "" if seeds == 1 else f" in {_share(high, seeds)}"
        return f"The difference is significant in the upper tail (p at most {ALPHA:g}){where}."
    if not low:
        return f"The smallest p is {finding.p_min:.2g}." if seeds > 1 else f"p = {finding.p_min:.2g}."
    text = f"p is at most {ALPHA:g} (one-sided) in {_share(low, seeds)}" if seeds > 1 else f"p = {finding.p_min:.2g}"
    if verdict is Verdict.NONE:
        return f"{text}, but chance alone gives as many in {chance_of_count(low, seeds):.0%} of such runs."
    if finding.num_at_floor and finding.num_at_floor < low:
        text += f"; in {finding.num_at_floor} of them it is {finding.p_floor:.2g}"
    elif finding.num_at_floor and seeds > 1:
        text = f"p is {finding.p_floor:.2g} (one-sided) in {_share(low, seeds)}"
    smallest = f", the smallest that {finding.num_shuffles} shuffles can show" if finding.num_at_floor else ""
    return f"{text}{smallest}."


def _share(count: int, seeds: int) -> str:
    return f"all {seeds} seeds" if count == seeds else f"{count} of {seeds} seeds"


def _caution(seeds: int) -> str:
    if seeds == 1:
        return "A single network was tested: nothing follows from it for other seeds."
    return f"Only {seeds} seeds were tested: others may differ." if seeds < 5 else ""
