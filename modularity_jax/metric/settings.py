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
    refine: bool
    measure: str = "ncut"
    gamma: float = 1.0


class Partition(NamedTuple):
    """A partition of a graph's N vertices into K clusters."""

    labels: Array  # [N] int32, -1 on isolated vertices
    value: Array  # [], of the measure
    lower_bound: Array  # [], of any partition's n-cut; 0 where it was not sought
    upper_bound: Array  # [], of any partition's modularity; 1 where it was not sought
    eigenvalues: Array  # [K]
    num_isolated: Array  # [] int32
    num_empty: Array  # [] int32
    converged: Array  # [] bool
