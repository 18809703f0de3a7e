"""What a graph has to offer: vertices are neurons, edges are |weight|."""

import dataclasses
import math
from typing import Any, NamedTuple, Protocol, Self

import jax
import numpy as np

from modularity_jax.graphs.nulls import Null
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

    def null(self) -> Null:
        """The edges that are expected by chance."""


class Block(NamedTuple):
    """Edges that controls shuffle among themselves."""

    weights: Any  # [a, b], at least 0; of a list of edges, which has no places for others, [E]
    rows: slice | None  # the vertices of its rows; None of a list
    columns: slice | None
    triangle: bool = False  # of a group with itself, each edge once: what lies above the diagonal; below it are zeros


class Form(Protocol):
    """How a graph is laid out to be partitioned, if its products are faster in another layout than its own."""

    def places(self) -> list[np.ndarray]:
        """Where the weights of each block, flat, lie among those that `build` takes, [E] in all."""

    def build(self, weights: Array) -> Adjacency:
        """A graph of the same shape with these weights [E]."""

    def order(self) -> np.ndarray | None:
        """The number of each of the graph's vertices in what is built, [N]; None where they are the same."""


class Graph(Adjacency, Protocol):
    """What every stage after the graph relies on."""

    def blocks(self) -> list[Block]:
        """All its edges."""

    def with_weights(self, weights: Array) -> Self:
        """The graph with these weights [E], of all blocks one after the other."""

    def balanced(self) -> Self:
        """The graph with the same total weight in every block."""

    def form(self) -> Form:
        """How it is partitioned."""

    def formed(self) -> Adjacency:
        """What `form` builds of its own weights."""

    @property
    def size(self) -> int:
        """Weights that it holds, zeros included."""

    def connected(self) -> np.ndarray:
        """Which vertices have an edge, [N] bool, on the host; of concrete weights."""

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ends of each edge of non-zero weight, [E] each, on the host; of concrete weights."""

    def neighbour_min(self, values: Array) -> Array:
        """Least value among each vertex's neighbours, [N]; the dtype's largest value where it has none."""


@dataclasses.dataclass(frozen=True)
class OwnForm:
    """A graph as it is; see `Form`."""

    graph: Graph

    def places(self) -> list[np.ndarray]:
        """See `Form`."""
        sizes = [math.prod(block.weights.shape) for block in self.graph.blocks()]
        return np.split(np.arange(sum(sizes), dtype=np.int32), np.cumsum(sizes)[:-1])

    def build(self, weights: Array) -> Graph:
        """See `Form`."""
        return self.graph.with_weights(weights)

    def order(self) -> None:
        """See `Form`."""
