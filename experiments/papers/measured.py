"""Our figure for a cell, seed by seed, from the tables of a run."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from experiments.papers.cells import SPECIALISATION_QUANTITIES, Cell
from modularity_jax.report.findings.lesions import joint_pairs, undamaged_accuracy
from modularity_jax.report.frames import typed
from modularity_jax.runs.tables import read_csv
from modularity_jax.runs.workdir import Workdir


def values_of(cell: Cell, workdir: Workdir) -> np.ndarray:
    """The cell's quantity of each network of a run, [seeds]."""
    if cell.quantity in _LESION_QUANTITIES:
        return _lesion_values(cell, workdir)
    if cell.quantity in SPECIALISATION_QUANTITIES:
        return _specialisation_values(cell, workdir)
    if cell.epoch is not None:
        place = (cell.phase, cell.epoch, cell.num_clusters)
        rows = read_csv(workdir.path / "learning_curve.csv")
        return np.array([r["observed"] for r in rows if (r["phase"], r["epoch"], r["num_clusters"]) == place])
    rows = read_csv(workdir.path / "clusterability.csv")
    if cell.setting:
        name, _, value = cell.setting.partition("=")
        rows = [row for row in rows if row[name] == float(value)]
    measure, quantity = (
        ("modularity", cell.quantity[1:].strip()) if cell.quantity[0] == "Q" else ("ncut", cell.quantity)
    )
    column = {"n-cut": "observed", "": "observed", "test accuracy": "test_accuracy"}.get(quantity, "z_score")
    method = quantity.removeprefix("z ") if column == "z_score" else rows[0]["method"]
    wanted = (cell.phase, measure, cell.num_clusters, method)
    found = [r[column] for r in rows if (r["phase"], r["measure"], r["num_clusters"], r["method"]) == wanted]
    return np.array([value for value in found if value is not None])  # no z where no control could be compared


def _lesion_values(cell: Cell, workdir: Workdir) -> np.ndarray:
    singles, doubles = (
        typed(read_csv(file) if file.exists() else [], dict.fromkeys(("phase", "kind"), "str"))
        for file in (workdir.path / "lesions.csv", workdir.path / "double_lesions.csv")
    )
    count = _LESION_QUANTITIES[cell.quantity]
    networks = singles[singles["phase"] == cell.phase].groupby("seed")
    pairs = doubles[doubles["phase"] == cell.phase]
    return np.array([count(own, pairs[pairs["seed"] == seed]) for seed, own in networks])


def _specialisation_values(cell: Cell, workdir: Workdir) -> np.ndarray:
    """By all controls."""
    statistic, column = SPECIALISATION_QUANTITIES[cell.quantity]
    rows = read_csv(workdir.path / "specialisation.csv")
    wanted = cell.phase, cell.setting, statistic, max(row["num_shuffles"] for row in rows)
    found = [
        row[column]
        for row in rows
        if (row["phase"], f"{row['graph']} {row['scope']}", row["statistic"], row["num_shuffles"]) == wanted
    ]
    return np.array([value for value in found if value is not None])


def _called(taxonomy: str) -> Callable[[pd.DataFrame, pd.DataFrame], float]:
    return lambda singles, doubles: int((singles["taxonomy"] == taxonomy).sum())


def _joint(num_important: int) -> Callable[[pd.DataFrame, pd.DataFrame], float]:
    def share(singles: pd.DataFrame, doubles: pd.DataFrame) -> float:
        found = joint_pairs(singles, doubles)
        return float(found.loc[found["num_important"] == num_important, "important"].astype(float).mean())

    return share


# What a published figure of lesions is called, and how it is counted in one network's rows of the two tables.
_LESION_QUANTITIES: Mapping[str, Callable[[pd.DataFrame, pd.DataFrame], float]] = {
    "undamaged accuracy": lambda singles, doubles: undamaged_accuracy(singles),
    "sub-modules": lambda singles, doubles: len(singles),
    "important": _called("important"),
    "small": _called("small"),
    "significant but not different": _called("significant but not different"),
    "joint pairs important, both": _joint(2),
    "joint pairs important, one": _joint(1),
    "joint pairs important, neither": _joint(0),
}
