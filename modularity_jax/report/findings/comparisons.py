"""Comparisons of all seeds of a phase with one control at one k, and the one rule by which they get a verdict."""

import enum

import numpy as np
import pandas as pd

from modularity_jax.metric.multiple_testing import holm
from modularity_jax.report.findings.across_seeds import combine
from modularity_jax.report.findings.significance import ROUNDING, is_significant
from modularity_jax.report.frames import KEYS, lead_of

_MEANS = {"ncut_mean": "observed", "lower_bound_mean": "bound", "shuffled_mean": "shuffled_mean"}
_MEANS |= {"z_mean": "z_score", **{name: name for name in ("test_accuracy", "test_loss", "depth_share")}}
_RANGES = {"ncut": "observed", "p": "p_value"}
_CORRECTED = {"p_holm": "p_stouffer", "p_holm_upper": "p_stouffer_upper", "p_holm_floor": "p_floor"}


class Verdict(enum.StrEnum):
    """What a comparison shows."""

    MORE = "more modular"
    LESS = "less modular"
    NONE = "no difference shown"
    TOO_FEW_SHUFFLES = "too few shuffles"
    NOT_JUDGED = "–"  # the front page does not show it


def comparison_table(tests: pd.DataFrame) -> pd.DataFrame:
    """The comparisons of a run's tests, a row for each in the order of `KEYS`.

    - num_seeds; num_shuffles, the fewest of any seed; num_significant and num_upper, the seeds with p <= `ALPHA` in
      the lower tail (more modular) and in the upper one; num_at_floor, those with the smallest p that their shuffles
      can show;
    - ncut_mean, ncut_std (over seeds, ddof 1; nan for one), ncut_min, ncut_max, lower_bound_mean, shuffled_mean (mean
      over seeds of each seed's mean over its shuffles), z_mean, p_min, p_max, test_accuracy or test_loss,
      depth_share;
    - what `combine` gives, and what `judge` adds.

    Raises:
      ValueError: if there is no row, a seed appears twice in a comparison, or a p-value is not in (0, 1].
    """
    if tests.empty:
        raise ValueError("clusterability.csv holds no row")
    twice = tests[tests.duplicated([*KEYS, "seed"])]
    if not twice.empty:
        first = twice.iloc[0]
        named = ", ".join(f"{key}={first[key]}" for key in KEYS)
        raise ValueError(f"clusterability.csv holds seed {first['seed']} more than once for {named}")
    marked = tests.assign(
        num_significant=is_significant(tests["p_value"]),
        num_upper=is_significant(tests["p_opposite"]),
        num_at_floor=tests["p_value"] <= ROUNDING / (tests["num_shuffles"] + 1),
    )
    groups = marked.groupby(KEYS, observed=True)
    numbers = groups.agg(
        num_seeds=("seed", "size"),
        num_shuffles=("num_shuffles", "min"),
        ncut_std=("observed", "std"),
        **{name: (name, "sum") for name in ("num_significant", "num_upper", "num_at_floor")},
        **{name: (column, lambda values: values.to_numpy().mean()) for name, column in _MEANS.items()},  # nan counts
        **{f"{name}_{end}": (column, end) for name, column in _RANGES.items() for end in ("min", "max")},
    )
    together = pd.DataFrame([combine(group) for _, group in groups], index=numbers.index)
    return judge(numbers.join(together).reset_index())


def judge(compared: pd.DataFrame) -> pd.DataFrame:
    """Adds verdicts, by one rule: Stouffer's combined p over seeds, corrected by Holm, is at most `ALPHA`.

    The lower tail makes a comparison more modular, the upper one less. The correction is for the comparisons that the
    front page shows: the leading one (`lead_of`), and those that differ from it in one of phase, number of clusters and
    control. Only they get a verdict. Where even the smallest p of every seed could not make one, there are too few
    shuffles.

    Adds front (whether it gets a verdict), num_compared (how many do), p_holm, p_holm_upper, p_holm_floor (nan without
    one) and verdict to `KEYS`, p_stouffer, p_stouffer_upper and p_floor.
    """
    lead = lead_of(compared)
    alike = sum((compared[key] == value).astype(int) for key, value in zip(KEYS, lead, strict=True))
    front = alike >= len(KEYS) - 1
    corrected = {
        name: pd.Series(holm(compared.loc[front, column].to_numpy()), compared.index[front])
        for name, column in _CORRECTED.items()
    }
    judged = compared.assign(front=front, num_compared=int(front.sum()), **corrected)
    cases = {
        Verdict.NOT_JUDGED: ~front,
        Verdict.TOO_FEW_SHUFFLES: ~is_significant(judged["p_holm_floor"]),
        Verdict.MORE: is_significant(judged["p_holm"]),
        Verdict.LESS: is_significant(judged["p_holm_upper"]),
    }
    verdicts = np.select(list(cases.values()), [case.value for case in cases], Verdict.NONE.value)
    return judged.assign(verdict=verdicts)
