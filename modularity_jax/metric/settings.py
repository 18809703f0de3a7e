"""How a graph is clustered, and what comes out of it."""

import dataclasses
from typing import NamedTuple

import jax

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a graph is clustered; see `cluster`."""

    num_clusters: int
    num_restarts: int
    selection: str
    solver: str
    measure: str = "ncut"


class Partition(NamedTuple):
    """A partition of a graph's N vertices into K clusters."""

    labels: Array  # [N] int32, -1 on isolated vertices
    value: Array  # [], of the measure
    bound: Array  # [], that no partition surpasses; NaN where the measure knows none
    ncut: Array  # []
    lower_bound: Array  # [], of any partition's n-cut
    eigenvalues: Array  # [K]
    num_isolated: Array  # [] int32
    num_empty: Array  # [] int32
    converged: Array  # [] bool
