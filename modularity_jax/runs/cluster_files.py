"""How a network, a number of clusters and a control are named together."""

from collections.abc import Mapping
from typing import Any

Group = tuple[int, str, int, str]  # seed, phase, number of clusters, control


def group_of(row: Mapping[str, Any]) -> Group:
    """The key of a row of `clusterability.csv`."""
    return row["seed"], row["phase"], row["num_clusters"], row["method"]
