"""How a shuffle test is named: in tables, in files, and in the report."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Comparison(NamedTuple):
    """A network's shuffle test by one control."""

    phase: str
    seed: int
    graph: str
    measure: str
    num_clusters: int
    method: str

    @property
    def prefix(self) -> str:
        """Of its arrays in `clusters/<phase>.npz`."""
        return f"seed_{self.seed}/{self.graph}/{self.measure}/k_{self.num_clusters}"


def comparison_of(row: Mapping[str, Any]) -> Comparison:
    """Of a row of `clusterability.csv`."""
    return Comparison(*(row[name] for name in Comparison._fields))
