"""The shuffled n-cuts of a run, by the row that they belong to."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modularity_jax.runs.tables import Row, read_arrays

Group = tuple[int, str, int, str]  # seed, phase, number of clusters, control


def group_of(row: Mapping[str, Any]) -> Group:
    """The key of a row of `clusterability.csv`."""
    return row["seed"], row["phase"], row["num_clusters"], row["method"]


def with_p(rows: Sequence[Row]) -> list[Row]:
    """The rows of `clusterability.csv` that have a p, with the number of controls that it rests on as num_shuffles."""
    return [
        row | {"num_shuffles": row["num_shuffles"] - (row.get("num_left_out") or 0)}
        for row in rows
        if row["p_value"] is not None
    ]


def read_clusters(workdir: str | os.PathLike[str], phases: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of `clusters/<phase>.npz`, for those phases that have the file."""
    workdir = pathlib.Path(workdir)
    return {
        phase: read_arrays(workdir, f"clusters/{phase}.npz")
        for phase in phases
        if (workdir / "clusters" / f"{phase}.npz").is_file()
    }


def shuffled_ncuts(
    rows: Sequence[Mapping[str, Any]], clusters: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[Group, np.ndarray]:
    """The shuffled n-cuts [R] of those rows that have any, from `read_clusters`."""
    found: dict[Group, np.ndarray] = {}
    for row in rows:
        name = f"seed_{row['seed']}/k_{row['num_clusters']}/{row['method']}/shuffled_ncut"
        array = clusters.get(row["phase"], {}).get(name)
        if array is not None and array.size:
            found[group_of(row)] = array[~np.isnan(array)]  # those that could be compared
    return found
