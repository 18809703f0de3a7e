"""What an audit of p-values comes to, in English."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from modularity_jax.report.findings.audit import P_CORRECTED, P_PRINTED, STUDY_CONTROLS
from modularity_jax.report.findings.findings import ALPHA, is_significant
from modularity_jax.report.findings.wording import phase_name

Row = Mapping[str, Any]

_COUNTS = ("printed", "corrected")


class _Way(NamedTuple):
    """A way of counting, and the columns of `AuditFinding` that set it beside another."""

    name: str
    changes: str
    usual: str
    other: str


_WAYS = (
    _Way(
        f"counting {STUDY_CONTROLS} controls ten times each instead of once", "tenfold_changes", "first_32", "tenfold"
    ),
    _Way(f"taking the first {STUDY_CONTROLS} controls only", "fewer_changes", "all_controls", "first_32"),
    _Way("leaving out ties", "strict_changes", "all_controls", "strict"),
    _Way("testing both sides", "two_sided_changes", "all_controls", "two_sided"),
)


def audit_sentences(findings: Sequence[Row]) -> list[str]:
    """What each way of counting changes, or that nothing does.

    Args:
      findings: what `audit_findings` returned.

    Returns:
      A sentence that sums up and, where verdicts change, one for each way of counting; none where there is no finding.
    """
    if not findings:
        return []
    total = sum(row["num_seeds"] for row in findings)
    known = [way for way in _WAYS if all(row[way.changes] is not None for row in findings)]
    tests = f"{total} test{'' if total == 1 else 's'} (a network at one k against one control)"
    if any(row[way.changes] for way in known for row in findings):
        sentences = [f"Of {tests}, some change their verdict at {ALPHA:g} with the way p is counted."]
        sentences += [_way_sentence(way, findings) for way in known]
    else:
        *names, last = (way.name for way in known)
        sentences = [f"In {tests}, no verdict at {ALPHA:g} hangs on {', '.join(names)} or {last}."]
    if len(known) < len(_WAYS):
        sentences.append(f"With fewer than {STUDY_CONTROLS} controls the study's count cannot be repeated.")
    return sentences


def published_sentences(rows: Sequence[Row]) -> list[str]:
    """What the corrected smallest p does to the study's conclusions.

    Args:
      rows: what `published_audit` returned.
    """
    here = [row for row in rows if row["at_floor"]]
    holm = [_range([row[f"p_holm_{name}"] for row in here]) for name in _COUNTS]
    alone = [sum(row["at_floor"] for row in here if is_significant(row[f"p_holm_{name}"])) for name in _COUNTS]
    printed, corrected = ([row for row in here if is_significant(row[f"p_count_{name}"])] for name in _COUNTS)
    sentences = [
        f"In {len(here)} of {len(rows)} published comparisons some trainings have the smallest p: {P_PRINTED:.2g} as "
        f"printed, {P_CORRECTED:.2g} with each control counted once. Holm's correction for the trainings of a "
        f"comparison makes that {holm[0]} and {holm[1]}: of these {sum(row['at_floor'] for row in here)} trainings "
        f"{alone[0]} are significant by themselves as printed and {alone[1] or 'none'} with each control counted once.",
        f"So many trainings at the smallest p are more than chance in {len(printed)} comparisons as printed and in "
        f"{len(corrected)} with each control counted once, before any correction for the number of comparisons.",
    ]
    lost = [_published_place(row) for row in printed if row not in corrected]
    return [*sentences, f"Lost: {'; '.join(lost)}."] if lost else sentences


def _way_sentence(way: _Way, findings: Sequence[Row]) -> str:
    changes = sum(row[way.changes] for row in findings)
    name = way.name[0].upper() + way.name[1:]
    if not changes:
        return f"{name} changes none."
    return f"{name} changes {changes}: {'; '.join(_place(way, row) for row in findings if row[way.changes])}."


def _place(way: _Way, row: Row) -> str:
    """How many verdicts change where, and how many networks are significant by one way and by the other."""
    changes = row[way.changes]
    networks = f"{changes} {phase_name(row['phase'])} network{'' if changes == 1 else 's'}"
    higher = f", and {row['two_sided_higher']} with a higher n-cut" if way.other == "two_sided" else ""
    return (
        f"{networks} at k = {row['num_clusters']} against {row['method']} ({row[way.other]} of {row['num_seeds']} "
        f"significant instead of {row[way.usual]}{higher if row['two_sided_higher'] else ''})"
    )


def _published_place(row: Row) -> str:
    dropout = " with dropout" if row["dropout"] else ""
    chances = f"p = {row['p_count_printed']:.2g} as printed, {row['p_count_corrected']:.2g} counted once"
    return (
        f"{row['dataset']}{dropout} at k = {row['num_clusters']} against {row['control']} ({row['at_floor']} of "
        f"{row['trainings']} trainings, {chances})"
    )


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"
