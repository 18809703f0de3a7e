"""From rows of `clusterability.csv` to findings: numbers over seeds, and what they allow to say.

Two levels are kept apart. A seed is significant where its own p is at most `ALPHA`. A finding over seeds counts how
many are, and asks whether chance alone would give as many: with S seeds and no effect, the count is at most
binomial(S, ALPHA). One of ten seeds is therefore no evidence, and neither is one of two.
"""

import enum
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

ALPHA = 0.05
PHASES = ("init", "unpruned", "pruned")
_ROUNDING = 1 + 1e-6  # p may come from float32
COLUMNS = (
    "seed",
    "phase",
    "num_clusters",
    "method",
    "ncut",
    "lower_bound",
    "shuffled_mean",
    "z_score",
    "p_value",
    "p_upper",
    "num_shuffles",
)  # of clusterability.csv, needed here
_KEYS = ("phase", "num_clusters", "method")


class Verdict(enum.Enum):
    """What the seeds of one phase, number of clusters and control show."""

    MORE = "more modular"
    PARTLY_MORE = "more modular in part"
    NONE = "no difference shown"
    SPLIT = "seeds disagree"
    PARTLY_LESS = "less modular in part"
    LESS = "less modular"
    TOO_FEW_SHUFFLES = "too few shuffles"


class Finding(NamedTuple):
    """One phase, number of clusters and control, over seeds."""

    phase: str
    num_clusters: int
    method: str
    num_seeds: int
    num_shuffles: int
    ncut_mean: float
    ncut_std: float  # over seeds, ddof 1; nan for a single seed
    ncut_min: float
    ncut_max: float
    lower_bound_mean: float
    shuffled_mean: float  # mean over seeds of each seed's mean over its shuffles
    z_mean: float
    p_min: float
    p_max: float
    num_significant: int  # seeds with p <= ALPHA, lower tail: more modular
    num_at_floor: int  # seeds with the smallest p that num_shuffles can show
    num_upper: int  # seeds with p <= ALPHA in the upper tail: less modular
    test_accuracy: float  # mean over seeds; nan where it was not measured

    @property
    def p_floor(self) -> float:
        """The smallest p that this many shuffles can give, 1 / (R + 1)."""
        return 1.0 / (self.num_shuffles + 1)

    @property
    def verdict(self) -> Verdict:
        """The verdict over seeds, by the count of significant ones in either tail."""
        if self.p_floor > ALPHA:
            return Verdict.TOO_FEW_SHUFFLES
        more = chance_of_count(self.num_significant, self.num_seeds) <= ALPHA
        less = chance_of_count(self.num_upper, self.num_seeds) <= ALPHA
        if more and less:
            return Verdict.SPLIT
        if more:
            return Verdict.MORE if self.num_significant == self.num_seeds else Verdict.PARTLY_MORE
        if less:
            return Verdict.LESS if self.num_upper == self.num_seeds else Verdict.PARTLY_LESS
        return Verdict.NONE


def chance_of_count(count: int, num_seeds: int) -> float:
    """The chance that `count` or more of `num_seeds` are significant at `ALPHA` where there is no effect."""
    below = sum(math.comb(num_seeds, i) * ALPHA**i * (1 - ALPHA) ** (num_seeds - i) for i in range(count))
    # 0.05 for one of one is 1 - 0.95, which rounds to a little more than 0.05.
    return round(1.0 - below, 12)


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Findings of a run, in the order of phases, numbers of clusters and controls.

    Args:
      rows: rows of `clusterability.csv`, one per seed, phase, number of clusters and control.

    Returns:
      One finding per phase, number of clusters and control.

    Raises:
      ValueError: if there is no row, or a seed appears twice in a finding.
    """
    if not rows:
        raise ValueError("clusterability.csv holds no row")
    groups: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["phase"], row["num_clusters"], row["method"]), []).append(row)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    order = sorted(groups, key=lambda group: (phase_rank(group[0]), group[1], methods.index(group[2])))
    return [_finding(group, groups[group]) for group in order]


def phase_rank(phase: str) -> tuple[int, str]:
    """A sort key that puts phases in the order of training, unknown ones last."""
    return (PHASES.index(phase) if phase in PHASES else len(PHASES), phase)


def terminal_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A run's findings as aligned text for the end of a run.

    Args:
      rows: rows of `clusterability.csv`.

    Returns:
      Lines of at most 100 characters: a header, one line per finding and a legend.
    """
    findings = summarise(rows)
    header = ("phase", "k", "control", "n-cut", "shuffled", "z", "p", f"p <= {ALPHA:g}")
    lines = [header, *(_terminal_line(finding) for finding in findings)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    left = (0, 2)
    text = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(cells)
        ).rstrip()
        for cells in ([*zip(line, widths, strict=True)] for line in lines)
    ]
    text.insert(1, "-" * max(map(len, text)))
    shuffles = sorted({finding.num_shuffles for finding in findings})
    floors = ", ".join(f"{1 / (r + 1):.2g}" for r in shuffles)
    text.append(f"n-cut: mean ± sd over seeds; p: range over seeds, * at its floor of {floors}; last column: seeds")
    return "\n".join(text)


def _finding(group: tuple[str, int, str], rows: Sequence[Mapping[str, Any]]) -> Finding:
    seeds = [row["seed"] for row in rows]
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if seeds.count(seed) > 1)
        named = ", ".join(f"{key}={value}" for key, value in zip(_KEYS, group, strict=True))
        raise ValueError(f"clusterability.csv holds seed {twice} more than once for {named}")
    ncut, p = column(rows, "ncut"), column(rows, "p_value")
    floor = 1.0 / (column(rows, "num_shuffles") + 1.0)
    return Finding(
        *group,
        num_seeds=len(rows),
        num_shuffles=min(row["num_shuffles"] for row in rows),
        ncut_mean=float(ncut.mean()),
        ncut_std=float(ncut.std(ddof=1)) if len(rows) > 1 else math.nan,
        ncut_min=float(ncut.min()),
        ncut_max=float(ncut.max()),
        lower_bound_mean=float(column(rows, "lower_bound").mean()),
        shuffled_mean=float(column(rows, "shuffled_mean").mean()),
        z_mean=float(column(rows, "z_score").mean()),
        p_min=float(p.min()),
        p_max=float(p.max()),
        num_significant=sum(map(is_significant, p)),
        num_at_floor=int((p <= floor * _ROUNDING).sum()),
        num_upper=sum(map(is_significant, column(rows, "p_upper"))),
        test_accuracy=float(column(rows, "test_accuracy").mean()),
    )


def is_significant(p_value: float) -> bool:
    """Whether a p-value, which may have been rounded to float32, is at most `ALPHA`."""
    return bool(p_value <= ALPHA * _ROUNDING)


def column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """A column of rows as float64 [S]; nan where it is empty or missing."""
    return np.array([math.nan if row.get(name) is None else row[name] for row in rows], dtype=np.float64)


def _terminal_line(finding: Finding) -> tuple[str, ...]:
    spread = "" if math.isnan(finding.ncut_std) else f" ± {finding.ncut_std:.3f}"
    p_range = [f"{finding.p_min:.2g}{'*' if finding.num_at_floor else ''}"]
    if finding.p_max > finding.p_min:
        p_range.append(f"{finding.p_max:.2g}")
    return (
        finding.phase,
        str(finding.num_clusters),
        finding.method,
        f"{finding.ncut_mean:.3f}{spread}",
        f"{finding.shuffled_mean:.3f}",
        f"{round(finding.z_mean, 1) + 0.0:.1f}",
        " to ".join(p_range),
        f"{finding.num_significant} of {finding.num_seeds}",
    )
