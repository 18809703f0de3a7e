"""An audit of p-values: what hangs on how they are counted, in the study of k = 4 and 7 (2003.04881) and in a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from modularity_jax.metric.combining import fisher
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.statistics import TIE_TOLERANCE
from modularity_jax.report.findings.significance import is_significant
from modularity_jax.report.frames import KEYS, Run, typed
from modularity_jax.report.published import published

# Its workers were forked with one random state: its 320 controls are 32 distinct ones counted ten times.
STUDY_CONTROLS = 32
STUDY_COPIES = 10
P_PRINTED = 1 / (STUDY_CONTROLS * STUDY_COPIES + 1)
P_CORRECTED = 1 / (STUDY_CONTROLS + 1)
# Two ways of counting and the column that says whether a network's verdict at ALPHA differs between them.
_CHANGES = {
    "tenfold_changes": ("p_tenfold", "p_first_32"),
    "fewer_changes": ("p_first_32", "p_value"),
    "strict_changes": ("p_strict", "p_value"),
    "two_sided_changes": ("p_two_sided", "p_value"),
}
_ONE_SIDED = {"tenfold": "p_tenfold", "first_32": "p_first_32", "all_controls": "p_value", "strict": "p_strict"}
AUDIT_COLUMNS = (  # of audit.csv
    "seed", *KEYS, "num_shuffles", "num_ties", "p_tenfold", "p_first_32", "p_value", "p_strict", "p_opposite",
    "p_two_sided", *_CHANGES,
)  # fmt: skip
_DTYPES = dict.fromkeys(("phase", "graph", "measure", "method"), "str")
_DTYPES |= dict.fromkeys(("seed", "num_clusters", "num_shuffles"), "int64")
_DTYPES |= {"num_ties": "int64"} | {name: "Float64" for name in AUDIT_COLUMNS if name.startswith("p_")}
_MEAN_TOLERANCE = 1e-5  # float32 sums in another order differ by less


def published_audit() -> pd.DataFrame:
    """The study's trainings at the smallest p, with what the corrected smallest p does to each conclusion.

    A training is at the floor where none of its controls has as low an n-cut; that does not depend on how often they
    were counted. It keeps p <= .05 by itself (1/33 = .030). One with a single distinct control as low does not: 2/33 =
    .061, where 11/321 = .034 was printed; how many there are was not published.

    - `p_holm`: of a training at the floor, Holm's correction for all trainings, min(1, trainings * floor).
    - `p_count`: the chance of as many or more at the floor without an effect, binomial(trainings, floor), exactly.
    - `p_fisher`: Fisher's p where every other training had p = 1; whatever theirs are, it is at most that. (Stouffer's
      has no such bound: one p of 1 makes it 1.) It is the weaker statement where few are at the floor. Like p_count
      it takes the trainings as independent.
    """
    return pd.DataFrame(
        _published(row, control, int(row[column]))
        for row in published("ncut.csv")
        if row["source"] == "arXiv 2003.04881"
        for control, column in (("layer", "layer_at_floor"), ("layer_nonzero", "nonzero_at_floor"))
        if row[column] is not None
    )


def audit_run(run: Run) -> pd.DataFrame:
    """A row per network, k and control with shuffled n-cuts at hand: p by several ways of counting.

    - p_value, p_opposite: all R controls, ties counted, either tail; p_two_sided: twice the smaller of the two.
    - p_strict: ties not counted; num_ties of them lie within `TIE_TOLERANCE` of the network.
    - p_first_32, p_tenfold: the first 32 controls, each counted once or ten times; missing where there are fewer.
    - tenfold_changes, fewer_changes, strict_changes, two_sided_changes: whether the verdict at .05 differs.

    Raises:
      ValueError: if controls and row do not belong together: the mean that the row gives is not theirs.
    """
    audit = typed([_counted(row) for row in run.controlled.itertuples()], _DTYPES)
    for name, (one, other) in _CHANGES.items():
        audit[name] = is_significant(audit[one]) != is_significant(audit[other])
    return audit[list(AUDIT_COLUMNS)]


def audit_findings(audit: pd.DataFrame) -> pd.DataFrame:
    """Of what `audit_run` returned: how many networks are significant by each way of counting, and how many it changes.

    Rows are those of `comparison_table`; numbers are missing where a network has fewer than 32 controls. two_sided
    counts networks with a lower n-cut, two_sided_higher those with a higher one, which a one-sided p does not look for.
    """
    both, lower = is_significant(audit["p_two_sided"]), audit["p_value"] <= audit["p_opposite"]
    marks = audit[KEYS].assign(
        with_ties=audit["num_ties"] > 0,
        **{name: is_significant(audit[column]) for name, column in _ONE_SIDED.items()},
        two_sided=both & lower,
        two_sided_higher=both & ~lower,
        **audit[list(_CHANGES)],
    )
    sizes = audit.groupby(KEYS, observed=True).agg(num_seeds=("seed", "size"), num_shuffles=("num_shuffles", "min"))
    counts = marks.groupby(KEYS, observed=True).sum(skipna=False).astype("Int64")
    return sizes.join(counts).reset_index()


def _published(row: Mapping[str, Any], control: str, at_floor: int) -> dict[str, Any]:
    trainings, floors = row["trainings"], {"printed": P_PRINTED, "corrected": P_CORRECTED}
    others = np.ones(trainings - at_floor)
    return {
        **{name: row[name] for name in ("source", "dataset", "dropout")},
        **{"num_clusters": row["k"], "control": control, "trainings": trainings, "at_floor": at_floor},
        **{f"p_{name}": p for name, p in floors.items()},
        **{f"p_holm_{name}": min(1.0, trainings * p) if at_floor else None for name, p in floors.items()},
        **{f"p_count_{name}": float(scipy.stats.binom.sf(at_floor - 1, trainings, p)) for name, p in floors.items()},
        **{f"p_fisher_{name}": fisher(np.append(others, [p] * at_floor)) for name, p in floors.items()},
    }


def _counted(row: Any) -> dict[str, Any]:
    where = {name: getattr(row, name) for name in ("seed", *KEYS)}
    controls, mean = row.controls, float(row.controls.mean())
    if abs(mean - row.shuffled_mean) > _MEAN_TOLERANCE * abs(mean):
        raise ValueError(
            f"the controls of {tuple(where.values())} have the mean {mean:.6g}, clusterability.csv says "
            f"{row.shuffled_mean:.6g}: they are of different runs"
        )
    # In the controls' own precision, as `metric.statistics.compare` does.
    observed = controls.dtype.type(row.observed)
    slack = TIE_TOLERANCE * abs(observed)
    as_low, as_high = controls <= observed + slack, controls >= observed - slack
    count, ties = len(controls), int((as_low & as_high).sum())
    p_value, p_opposite = (1 + int(as_low.sum())) / (count + 1), (1 + int(as_high.sum())) / (count + 1)
    if measure_of(row.measure).higher:
        as_low, p_value, p_opposite = as_high, p_opposite, p_value
    hits = int(as_low[:STUDY_CONTROLS].sum())
    enough = count >= STUDY_CONTROLS
    return where | {
        "num_shuffles": count,
        "num_ties": ties,
        "p_tenfold": (1 + STUDY_COPIES * hits) * P_PRINTED if enough else None,
        "p_first_32": (1 + hits) * P_CORRECTED if enough else None,
        "p_value": p_value,
        "p_strict": p_value - ties / (count + 1),
        "p_opposite": p_opposite,
        "p_two_sided": min(1.0, 2 * min(p_value, p_opposite)),
    }
