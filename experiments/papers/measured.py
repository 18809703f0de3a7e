"""Our figure for a cell, seed by seed, from the tables of a run."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from experiments.papers.cells import Cell
from modularity_jax.report.findings import joint_findings, undamaged_accuracy
from modularity_jax.runs.tables import Row, read_csv
from modularity_jax.runs.workdir import Workdir


def values_of(cell: Cell, workdir: Workdir) -> np.ndarray:
    """The cell's quantity of each network of a run, [seeds]."""
    if cell.quantity in _LESION_QUANTITIES:
        return _lesion_values(cell, workdir)
    if cell.epoch is not None:
        place = (cell.phase, cell.epoch, cell.num_clusters)
        rows = read_csv(workdir.learning_curve)
        return np.array([r["ncut"] for r in rows if (r["phase"], r["epoch"], r["num_clusters"]) == place])
    rows = read_csv(workdir.clusterability)
    column = {"n-cut": "ncut", "test accuracy": "test_accuracy"}.get(cell.quantity, "z_score")
    method = cell.quantity.removeprefix("z ") if column == "z_score" else rows[0]["method"]
    wanted = (cell.phase, cell.num_clusters, method)
    found = [r[column] for r in rows if (r["phase"], r["num_clusters"], r["method"]) == wanted]
    return np.array([value for value in found if value is not None])  # no z where no control could be compared


def _lesion_values(cell: Cell, workdir: Workdir) -> np.ndarray:
    singles, doubles = (
        [row for row in (read_csv(file) if file.exists() else []) if row["phase"] == cell.phase]
        for file in (workdir.lesions, workdir.double_lesions)
    )
    count = _LESION_QUANTITIES[cell.quantity]
    seeds = sorted({row["seed"] for row in singles})
    return np.array([count(*([r for r in rows if r["seed"] == s] for rows in (singles, doubles))) for s in seeds])


def _called(taxonomy: str) -> Callable[[Sequence[Row], Sequence[Row]], float]:
    return lambda singles, doubles: sum(row["taxonomy"] == taxonomy for row in singles)


def _joint(num_important: int) -> Callable[[Sequence[Row], Sequence[Row]], float]:
    def share(singles: Sequence[Row], doubles: Sequence[Row]) -> float:
        found = joint_findings(singles, doubles)[num_important]
        return float(np.mean(found)) if found else np.nan

    return share


# What a published figure of lesions is called, and how it is counted in one network's rows.
_LESION_QUANTITIES: Mapping[str, Callable[[Sequence[Row], Sequence[Row]], float]] = {
    "undamaged accuracy": lambda singles, doubles: undamaged_accuracy(singles),
    "sub-modules": lambda singles, doubles: len(singles),
    "important": _called("important"),
    "small": _called("small"),
    "significant but not different": _called("significant but not different"),
    "joint pairs important, both": _joint(2),
    "joint pairs important, one": _joint(1),
    "joint pairs important, neither": _joint(0),
}
