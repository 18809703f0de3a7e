"""A graph less the edges that are expected by chance, for a partition by modularity."""

import dataclasses
from typing import NamedTuple

import jax

from modularity_jax.graphs.nulls import Null
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.graphs.sides import Sides

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WithNull:
    """A graph with another null than its own (see `Adjacency`)."""

    graph: Adjacency
    expected: Null
    sided: bool = dataclasses.field(default=True, metadata={"static": True})  # whether its sides are known

    @property
    def num_nodes(self) -> int:
        """Number of vertices N."""
        return self.graph.num_nodes

    def degrees(self) -> Array:
        """Of the graph itself, [N]."""
        return self.graph.degrees()

    def matvec(self, x: Array) -> Array:
        """Product of the graph's adjacency with each row of x [M, N]."""
        return self.graph.matvec(x)

    def sides(self) -> Sides | None:
        """The two sides of the graph, where they are known."""
        return self.graph.sides() if self.sided else None

    def null(self) -> Null:
        """What is expected."""
        return self.expected


class Excess(WithNull):
    """A graph less its null: what takes the graph's place in a partition by modularity (see `Adjacency`)."""

    def matvec(self, x: Array) -> Array:
        """Product of the graph's adjacency less the expected one with each row of x [M, N]."""
        return super().matvec(x) - self.expected.product(x)

    def sides(self) -> Sides | None:
        """The two sides of the graph, less what is expected between them."""
        own = super().sides()
        if own is None:
            return None
        (rows, other_rows), (columns, other_columns) = map(own.split, self.expected)
        return _Sides(own, Null(rows, columns), Null(other_rows, other_columns))


class _Sides(NamedTuple):
    """The two sides of such a graph (see `Sides`)."""

    own: Sides
    small: Null
    large: Null

    @property
    def num_small(self) -> int:
        return self.own.num_small

    def split(self, x: Array) -> tuple[Array, Array]:
        return self.own.split(x)

    def join(self, small: Array, large: Array) -> Array:
        return self.own.join(small, large)

    def to_large(self, x: Array) -> Array:
        return self.own.to_large(x) - _across(self.small, self.large, x)

    def to_small(self, x: Array) -> Array:
        return self.own.to_small(x) - _across(self.large, self.small, x)


def _across(source: Null, target: Null, x: Array) -> Array:
    """What one side's rows x are expected to send to the other."""
    return (x @ source.rows.T) @ target.columns + (x @ source.columns.T) @ target.rows
