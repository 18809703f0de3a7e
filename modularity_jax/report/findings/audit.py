"""An audit of p-values: what hangs on how they are counted, in the study of k = 4 and 7 and in a run.

The workers of that study (2003.04881) were forked with one random state, so that its 320 controls are 32 distinct ones
counted ten times: the smallest p is 1/33, not the 1/321 that it printed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from modularity_jax.metric.multiple_testing import holm
from modularity_jax.metric.statistics import TIE_TOLERANCE
from modularity_jax.report.findings.across_seeds import fisher
from modularity_jax.report.findings.findings import is_significant, phase_rank
from modularity_jax.report.published import published
from modularity_jax.runs.cluster_files import Group, group_of

STUDY_CONTROLS = 32  # distinct ones
STUDY_COPIES = 10
P_PRINTED = 1 / (STUDY_CONTROLS * STUDY_COPIES + 1)
P_CORRECTED = 1 / (STUDY_CONTROLS + 1)
_MEAN_TOLERANCE = 1e-5  # float32 sums in another order differ by less
_STUDY = "arXiv 2003.04881"
_PUBLISHED_CONTROLS = {"layer": "layer_at_floor", "layer_nonzero": "nonzero_at_floor"}


class PublishedAudit(NamedTuple):
    """One comparison of the study, as printed and as corrected."""

    source: str
    dataset: str
    dropout: bool
    num_clusters: int
    control: str
    trainings: int
    at_floor: int  # trainings whose p is the smallest possible
    p_printed: float  # that p, 1/321
    p_corrected: float  # 1/33
    p_holm_printed: float | None  # of the trainings at the floor, corrected for all; None where none is
    p_holm_corrected: float | None
    p_count_printed: float  # chance of as many trainings at the floor where there is no effect
    p_count_corrected: float
    p_fisher_printed: float  # Fisher's combined p of all trainings is at most this
    p_fisher_corrected: float


class NetworkAudit(NamedTuple):
    """One network, number of clusters and control of a run; R shuffles."""

    seed: int
    phase: str
    num_clusters: int
    method: str
    num_shuffles: int
    num_ties: int  # controls within TIE_TOLERANCE of the network
    p_tenfold: float | None  # the first 32 controls, each counted ten times; None for fewer than 32
    p_first_32: float | None  # the same 32, each counted once
    p_value: float  # all R, ties counted
    p_strict: float  # all R, ties not counted
    p_upper: float  # the other tail, ties counted
    p_two_sided: float
    tenfold_changes: bool | None  # whether p_tenfold's verdict at ALPHA is another than p_first_32's
    fewer_changes: bool | None  # p_first_32 against p_value
    strict_changes: bool  # p_strict against p_value
    two_sided_changes: bool  # p_two_sided, of a lower n-cut or a higher one, against p_value


class AuditFinding(NamedTuple):
    """Networks of one phase, number of clusters and control: how many are significant by each way of counting."""

    phase: str
    num_clusters: int
    method: str
    num_seeds: int
    num_shuffles: int  # the fewest of any seed
    with_ties: int
    tenfold: int | None  # None where a network has fewer than 32 controls
    first_32: int | None
    all_controls: int
    strict: int
    two_sided: int  # with a lower n-cut
    two_sided_higher: int  # with a higher n-cut, which a one-sided p does not look for
    tenfold_changes: int | None  # networks whose verdict changes
    fewer_changes: int | None
    strict_changes: int
    two_sided_changes: int


AUDIT_COLUMNS = NetworkAudit._fields


def published_audit() -> list[dict[str, Any]]:
    """The study's trainings at the smallest p, with what the corrected smallest p does to each conclusion.

    A training is at the floor where none of its controls has as low an n-cut; that does not depend on how often they
    were counted. It keeps p <= .05 by itself (1/33 = .030). One with a single distinct control as low does not: 2/33 =
    .061, where 11/321 = .034 was printed; how many there are was not published.

    - `p_holm`: of a training at the floor, Holm's correction for all trainings, min(1, trainings * floor).
    - `p_count`: the chance of as many or more at the floor without an effect, binomial(trainings, floor). It is exact,
      and needs nothing of the other trainings.
    - `p_fisher`: Fisher's p where every other training had p = 1; whatever theirs are, it is at most that. (Stouffer's
      has no such bound: one p of 1 makes it 1.) It is the weaker statement where few are at the floor.

    The last two take the trainings as independent.
    """
    return [
        _published(row, control, int(row[column]))._asdict()
        for row in published("ncut.csv")
        if row["source"] == _STUDY
        for control, column in _PUBLISHED_CONTROLS.items()
        if row[column] is not None
    ]


def audit_run(rows: Sequence[Mapping[str, Any]], shuffled: Mapping[Group, np.ndarray]) -> list[dict[str, Any]]:
    """The p of each network of a run by several ways of counting, and whether its verdict at .05 hangs on them.

    Args:
      rows: rows of `clusterability.csv`.
      shuffled: n-cuts [R] of the controls per (seed, phase, num_clusters, method); rows without any are left out.

    Returns:
      One row per network, number of clusters and control, with the columns `AUDIT_COLUMNS`.

    Raises:
      ValueError: if controls and row do not belong together: the mean that the row gives is not theirs.
    """
    return [_audit(row, shuffled[group_of(row)])._asdict() for row in rows if group_of(row) in shuffled]


def audit_findings(audit_rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Over seeds: how many networks are significant by each way of counting, and how many verdicts it changes.

    Args:
      audit_rows: what `audit_run` returned.

    Returns:
      One row per phase, number of clusters and control, ordered as by `summarise`.
    """
    methods = list(dict.fromkeys(row["method"] for row in audit_rows))
    groups: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
    for row in sorted(
        audit_rows, key=lambda r: (phase_rank(r["phase"]), r["num_clusters"], methods.index(r["method"]))
    ):
        groups.setdefault((row["phase"], row["num_clusters"], row["method"]), []).append(row)
    return [_finding(group, members)._asdict() for group, members in groups.items()]


def _published(row: Mapping[str, Any], control: str, at_floor: int) -> PublishedAudit:
    trainings = row["trainings"]
    p_values: dict[str, Any] = {}
    for name, floor in (("printed", P_PRINTED), ("corrected", P_CORRECTED)):
        every = [floor] * at_floor + [1.0] * (trainings - at_floor)
        p_values[f"p_{name}"] = floor
        p_values[f"p_holm_{name}"] = float(holm(np.array(every))[0]) if at_floor else None
        p_values[f"p_count_{name}"] = float(scipy.stats.binom.sf(at_floor - 1, trainings, floor))
        p_values[f"p_fisher_{name}"] = fisher(np.array(every))
    where = row["source"], row["dataset"], row["dropout"], row["k"], control, trainings, at_floor
    return PublishedAudit(*where, **p_values)


def _audit(row: Mapping[str, Any], controls: np.ndarray) -> NetworkAudit:
    mean = float(controls.mean())
    if abs(mean - row["shuffled_mean"]) > _MEAN_TOLERANCE * abs(mean):
        raise ValueError(
            f"the controls of {group_of(row)} have the mean n-cut {mean:.6g}, clusterability.csv says "
            f"{row['shuffled_mean']:.6g}: they are of different runs"
        )
    # In the controls' own precision, as `metric.statistics.compare` does.
    observed = controls.dtype.type(row["ncut"])
    slack = TIE_TOLERANCE * abs(observed)
    as_low, as_high = controls <= observed + slack, controls >= observed - slack
    count, ties = len(controls), int((as_low & as_high).sum())
    p_value, p_upper = (1 + int(as_low.sum())) / (count + 1), (1 + int(as_high.sum())) / (count + 1)
    tenfold = first = None
    if count >= STUDY_CONTROLS:
        hits = int(as_low[:STUDY_CONTROLS].sum())
        tenfold, first = (1 + STUDY_COPIES * hits) * P_PRINTED, (1 + hits) * P_CORRECTED
    strict, both = p_value - ties / (count + 1), min(1.0, 2 * min(p_value, p_upper))
    return NetworkAudit(
        *group_of(row),
        num_shuffles=count,
        num_ties=ties,
        p_tenfold=tenfold,
        p_first_32=first,
        p_value=p_value,
        p_strict=strict,
        p_upper=p_upper,
        p_two_sided=both,
        tenfold_changes=_differs(tenfold, first),
        fewer_changes=_differs(first, p_value),
        strict_changes=is_significant(strict) != is_significant(p_value),
        two_sided_changes=is_significant(both) != is_significant(p_value),
    )


def _differs(p: float | None, other: float | None) -> bool | None:
    return None if p is None or other is None else is_significant(p) != is_significant(other)


def _finding(group: tuple[str, int, str], rows: Sequence[Mapping[str, Any]]) -> AuditFinding:
    lower = [row for row in rows if row["p_value"] <= row["p_upper"]]
    higher = [row for row in rows if row["p_value"] > row["p_upper"]]
    return AuditFinding(
        *group,
        num_seeds=len(rows),
        num_shuffles=min(row["num_shuffles"] for row in rows),
        with_ties=sum(row["num_ties"] > 0 for row in rows),
        tenfold=_significant(rows, "p_tenfold"),
        first_32=_significant(rows, "p_first_32"),
        all_controls=_significant(rows, "p_value") or 0,
        strict=_significant(rows, "p_strict") or 0,
        two_sided=_significant(lower, "p_two_sided") or 0,
        two_sided_higher=_significant(higher, "p_two_sided") or 0,
        tenfold_changes=_changes(rows, "tenfold_changes"),
        fewer_changes=_changes(rows, "fewer_changes"),
        strict_changes=_changes(rows, "strict_changes") or 0,
        two_sided_changes=_changes(rows, "two_sided_changes") or 0,
    )


def _significant(rows: Sequence[Mapping[str, Any]], column: str) -> int | None:
    """How many rows are significant by a column's p; None where one of them has none."""
    return None if any(row[column] is None for row in rows) else sum(is_significant(row[column]) for row in rows)


def _changes(rows: Sequence[Mapping[str, Any]], column: str) -> int | None:
    return None if any(row[column] is None for row in rows) else sum(row[column] for row in rows)
