"""What a graph has to offer: vertices are neurons, edges are |weight|."""

from typing import Protocol

import jax
import numpy as np

from modularity_jax.graphs.sides import Sides

Array = jax.Array


class Adjacency(Protocol):
    """What a partition needs of a graph."""

    @property
    def num_nodes(self) -> int:
        """Number of vertices N, isolated ones included."""

    def degrees(self) -> Array:
        """Sum of the weights of each vertex's edges, [N]."""

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix [N, N] with each row of x [M, N]; the matrix is never formed."""

    def sides(self) -> Sides | None:
        """The two sides of a graph that is known to be bipartite."""


class Graph(Adjacency, Protocol):
    """What every stage after the graph relies on."""

    @property
    def size(self) -> int:
        """Weights that it holds, zeros included."""

    def connected(self) -> np.ndarray:
        """Which vertices have an edge, [N] bool, on the host; of concrete weights."""

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ends of each edge of non-zero weight, [E] each, on the host; of concrete weights."""

    def neighbour_min(self, values: Array) -> Array:
        """Least value among each vertex's neighbours, [N]; the dtype's largest value where it has none."""
