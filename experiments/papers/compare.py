"""A cell's two figures side by side, with a verdict."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from experiments.papers.cells import Cell
from experiments.papers.measured import values_of
from modularity_jax.runs.tables import Row
from modularity_jax.runs.workdir import Workdir

COLUMNS = (
    "config", "setting", "phase", "epoch", "num_clusters", "quantity", "paper_mean", "paper_std", "paper_trainings",
    "mean", "std", "seeds", "distance", "p_value", "verdict", "source",
)  # fmt: skip

# A mean within so many combined standard deviations of the paper's agrees with it.
AGREEMENT = 3.0

_ONE_DIGIT = ("sub-modules", "important", "small", "significant but not different")  # counts, not shares


def compare_cells(found: Sequence[Cell], workdirs: Mapping[str, Workdir], reasons: Mapping[str, str]) -> list[Row]:
    """A row for each cell: the paper's figure, ours, and a verdict.

    Args:
      found: the cells.
      workdirs: a finished run for each config.
      reasons: why a config was not run; its cells have no figure of ours.
    """
    values = {cell: values_of(cell, workdirs[cell.config]) if cell.config in workdirs else None for cell in found}
    return [_compare(cell, ours, reasons.get(cell.config, "not run")) for cell, ours in values.items()]


def table_text(rows: Sequence[Row]) -> str:
    """Rows as aligned text: each cell with the paper's figure, ours and the verdict."""
    header = (
        "config", "setting", "phase", "epoch", "k", "quantity", "paper", "ours", "seeds", "sds apart", "p", "verdict",
    )  # fmt: skip
    lines = [header, *(_line(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)] + [0]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "-" * max(map(len, text)), *text[1:]])


def _compare(cell: Cell, values: np.ndarray | None, reason: str) -> Row:
    """The cell beside ours, values [seeds]; seeds without one (nan) are left out."""
    common = cell._asdict()
    paper = {f"paper_{name}": common.pop(name) for name in ("mean", "std", "trainings")}
    row: Row = dict.fromkeys(COLUMNS) | common | paper | {"verdict": reason}
    if values is None:
        return row
    values = values[~np.isnan(values)]
    if not values.size:
        return row | {"seeds": 0, "verdict": "no network has this figure"}
    std = float(values.std(ddof=1)) if values.size > 1 else None
    row |= {"mean": float(values.mean()), "std": std, "seeds": values.size}
    return row | _verdict(cell, row["mean"], std, values.size)


def _verdict(cell: Cell, mean: float, std: float | None, count: int) -> Row:
    """A distance in standard deviations, and a test.

    Where the paper gives a spread the distance is in combined sds and the test Welch's. Where it shows one network the
    distance is in our sds, and the test asks whether that network could be one more of our seeds (the t distribution of
    a prediction).
    """
    if cell.mean is None:
        return {"verdict": "nothing published to compare with"}
    if std is None or (cell.std is None and cell.trainings != 1):
        return {"verdict": "no spread given"}
    spread = math.hypot(cell.std or 0.0, std)
    if not spread:
        same = math.isclose(mean, cell.mean, abs_tol=1e-6)
        return {"verdict": "agrees; equal in every network" if same else "differs; ours is the same in every network"}
    distance = (mean - cell.mean) / spread
    if cell.std is None:
        p_value = 2 * scipy.stats.t.sf(abs(distance) / math.sqrt(1 + 1 / count), count - 1)
    else:
        welch = (mean, std, count, cell.mean, cell.std, cell.trainings)
        p_value = scipy.stats.ttest_ind_from_stats(*welch, equal_var=False).pvalue
    verdict = "agrees" if abs(distance) <= AGREEMENT else "differs"
    if verdict == "agrees" and p_value <= 0.05:
        verdict = "agrees; the means differ by more than chance"
    return {"distance": distance, "p_value": float(p_value), "verdict": verdict}


def _line(row: Row) -> tuple[str, ...]:
    digits = 1 if row["quantity"] in _ONE_DIGIT else 3

    def figure(mean: Any, std: Any) -> str:
        return "" if mean is None else f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")

    def number(value: Any) -> str:
        return "" if value is None else f"{value:.2g}"

    paper = figure(row["paper_mean"], row["paper_std"])
    return (
        row["config"],
        row["setting"] or "",
        row["phase"],
        str(row["epoch"] or ""),
        str(row["num_clusters"]),
        row["quantity"],
        f"{paper} ({row['paper_trainings']})" if paper else "",
        figure(row["mean"], row["std"]),
        str(row["seeds"] or ""),
        number(row["distance"]),
        number(row["p_value"]),
        row["verdict"],
    )
