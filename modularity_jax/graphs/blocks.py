"""Graphs of dense blocks of edges between groups of vertices, such as the layers of a network."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.magnitudes import MAX_ON_HOST, on_host
from modularity_jax.graphs.nulls import Null, null_of_blocks
from modularity_jax.graphs.numerics import divide
from modularity_jax.graphs.protocol import Block, Form, OwnForm
from modularity_jax.graphs.sides import Sides, in_shapes

Array = jax.Array

# Entries of a block that are searched for a least neighbour at a time, and parts of a block at least; both bound the
# memory of `neighbour_min`, the second where all blocks are small and XLA works at them side by side.
MAX_CANDIDATES = 2**20
MIN_PARTS = 8


class Wiring(NamedTuple):
    """Which groups of vertices there are, and which of them each block joins."""

    names: tuple[str, ...]  # of the groups
    widths: tuple[int, ...]  # vertices of each
    pairs: tuple[tuple[int, int], ...]  # for each block the groups of its rows and of its columns, which may be one

    @property
    def starts(self) -> list[int]:
        """The first vertex of each group."""
        return list(itertools.accumulate(self.widths[:-1], initial=0))

    def sides(self) -> tuple[list[int], list[int]] | None:
        """The groups of two sides without a block inside either, the side with fewer vertices first; None for none."""
        side: dict[int, int] = {}
        for first in range(len(self.widths)):
            side.setdefault(first, 0)
            waiting = [first]
            while waiting:
                group = waiting.pop()
                others = {b if a == group else a for a, b in self.pairs if group in (a, b)}
                if any(side.get(other) == side[group] for other in others):
                    return None
                waiting += [other for other in others if other not in side]
                side |= dict.fromkeys(others, 1 - side[group])
        both = ([group for group in side if side[group] == number] for number in (0, 1))
        small, large = sorted(map(sorted, both), key=lambda groups: sum(self.widths[i] for i in groups))
        return small, large


@dataclasses.dataclass(frozen=True)
class Blocks:
    """What graphs of dense blocks have in common; vertices are numbered group after group.

    A block between a group and itself is directed, as recurrent weights are: the edge between two of its vertices is
    the sum of both directions, and a vertex's edge to itself counts for its degree from both ends.
    """

    affinities: tuple[Array, ...]  # of each block [a, b], at least 0

    @property
    def wiring(self) -> Wiring:
        """The groups, and which of them the blocks join."""
        raise NotImplementedError

    @property
    def num_nodes(self) -> int:
        """Number of vertices N = sum of the groups' widths."""
        return sum(self.wiring.widths)

    @property
    def size(self) -> int:
        """Weights of all blocks, zeros included."""
        return sum(w.size for w in self.affinities)

    def split(self, x: Array) -> tuple[Array, ...]:
        """The last axis of x [..., N] group by group: arrays [..., d]."""
        return tuple(jnp.split(x, self.wiring.starts[1:], axis=-1))

    def degrees(self) -> Array:
        """Sum of |weight| over each neuron's incoming and outgoing edges, [N]."""
        return jnp.concatenate(self._by_group([(w.sum(axis=1), w.sum(axis=0)) for w in self.affinities], jnp.add))

    def connected(self) -> np.ndarray:
        """Which neurons have an edge, [N] bool, on the host; of concrete weights."""
        if self.size > MAX_ON_HOST and not all(map(on_host, self.affinities)):
            return np.asarray(_degrees(self)) > 0
        edges = [np.asarray(w) > 0 for w in self.affinities]
        return np.concatenate(self._by_group([(w.any(axis=1), w.any(axis=0)) for w in edges], np.logical_or))

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ends of each edge of non-zero weight, [E] each, on the host, as they lie in the blocks."""
        places = [np.nonzero(np.asarray(w)) for w in self.affinities]
        starts = self.wiring.starts
        ends = [(i + starts[a], j + starts[b]) for (i, j), (a, b) in zip(places, self.wiring.pairs, strict=True)]
        return np.concatenate([senders for senders, _ in ends]), np.concatenate([receivers for _, receivers in ends])

    def blocks(self) -> list[Block]:
        """The edges between each two groups."""
        groups = [
            slice(start, start + width) for start, width in zip(self.wiring.starts, self.wiring.widths, strict=True)
        ]
        pairs = zip(self.affinities, self.wiring.pairs, strict=True)
        return [Block(w, groups[a], groups[b]) for w, (a, b) in pairs]

    def with_weights(self, weights: Array) -> Self:
        """The graph with these weights [E], of all blocks one after the other."""
        return dataclasses.replace(self, affinities=in_shapes(weights, [w.shape for w in self.affinities]))

    def balanced(self) -> Self:
        """The graph with each block divided by its total, so that all blocks weigh the same."""
        return dataclasses.replace(self, affinities=tuple(divide(w, w.sum()) for w in self.affinities))

    def form(self) -> Form:
        """As it is."""
        return OwnForm(self)

    def formed(self) -> Any:
        """Itself."""
        return self

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N]."""
        parts = self.split(x)
        return jnp.concatenate([self.into_group(group, parts) for group in range(len(parts))], axis=-1)

    def into_group(self, group: int, parts: Sequence[Array] | Mapping[int, Array]) -> Array:
        """What one group's vertices receive from their neighbours, [M, d]; parts are the groups' [M, d].

        Vectors lie in rows: with vectors in columns, half of the products would meet a kernel across its layout, and
        XLA's CPU backend then transposes the kernel first, at ten times the product's cost.
        """
        received = []
        for w, (a, b) in zip(self.affinities, self.wiring.pairs, strict=True):
            received += [parts[a] @ w] if b == group else []
            received += [parts[b] @ w.T] if a == group else []
        return sum(received[1:], start=received[0])

    def neighbour_min(self, values: Array) -> Array:
        """Least of values [N] among each neuron's neighbours, [N]."""
        parts = self.split(values)
        pairs = zip(self.affinities, self.wiring.pairs, strict=True)
        least = [block_min(w, parts[a], parts[b]) for w, (a, b) in pairs]
        return jnp.concatenate(self._by_group(least, jnp.minimum))

    def sides(self) -> Sides | None:
        """Two sides of groups, such as even and odd layers, if they fall into such."""
        sides = self.wiring.sides()
        return None if sides is None else _GroupSides(self, *sides)

    def null(self) -> Null:
        """The edges expected in each block."""
        starts = self.wiring.starts
        pairs = zip(self.affinities, self.wiring.pairs, strict=True)
        return null_of_blocks([(starts[a], starts[b], w) for w, (a, b) in pairs], self.num_nodes)

    def _by_group(self, ends: Iterable[tuple[Any, Any]], join: Callable[[Any, Any], Any]) -> list[Any]:
        """What each block says of its rows and of its columns, joined group by group, [d] each."""
        groups: dict[int, Any] = {}
        for pair, values in zip(self.wiring.pairs, ends, strict=True):
            for group, own in zip(pair, values, strict=True):
                groups[group] = join(groups[group], own) if group in groups else own
        return [groups[group] for group in sorted(groups)]


class _GroupSides:
    """Two sides of groups without a block inside either; see `Sides`."""

    def __init__(self, graph: Blocks, small: Sequence[int], large: Sequence[int]) -> None:
        self._graph, self._small, self._large = graph, small, large
        self.num_small = sum(graph.wiring.widths[i] for i in small)

    def split(self, x: Array) -> tuple[Array, Array]:
        parts = self._graph.split(x)
        small, large = (jnp.concatenate([parts[i] for i in side], axis=-1) for side in (self._small, self._large))
        return small, large

    def join(self, small: Array, large: Array) -> Array:
        parts = self._parts(small, self._small) | self._parts(large, self._large)
        return jnp.concatenate([parts[i] for i in sorted(parts)], axis=-1)

    def to_large(self, x: Array) -> Array:
        return self._cross(x, self._small, self._large)

    def to_small(self, x: Array) -> Array:
        return self._cross(x, self._large, self._small)

    def _parts(self, x: Array, side: Sequence[int]) -> dict[int, Array]:
        ends = list(itertools.accumulate(self._graph.wiring.widths[i] for i in side))
        return dict(zip(side, jnp.split(x, ends[:-1], axis=-1), strict=True))

    def _cross(self, x: Array, source: Sequence[int], target: Sequence[int]) -> Array:
        parts = self._parts(x, source)
        return jnp.concatenate([self._graph.into_group(i, parts) for i in target], axis=-1)


_degrees = jax.jit(Blocks.degrees)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BlockGraph(Blocks):
    """A network that is no chain: dense blocks of edges between named groups of units. Build it with `wire`.

    Attributes:
      affinities: |weight| of each block, [a, b]; as those of `LayeredGraph`.
      groups: their names and widths, and the two groups that each block joins, static.
    """

    groups: Wiring = dataclasses.field(metadata={"static": True})

    @property
    def wiring(self) -> Wiring:
        """The groups, and which of them the blocks join."""
        return self.groups


def block_min(affinity: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Least of columns [d_out] along each row's edges, [d_in], and of rows [d_in] along each column's, [d_out].

    Some rows at a time: XLA would write out the whole block of candidates, as large as the affinity [d_in, d_out].
    """
    largest = jnp.iinfo(rows.dtype).max
    height = max(1, min(MAX_CANDIDATES // columns.size, -(-rows.size // MIN_PARTS)))

    def visit(index: Array, least: tuple[Array, Array]) -> tuple[Array, Array]:
        # The last rows may be visited twice, which a minimum does not mind.
        first = jnp.minimum(index * height, rows.size - height)
        edges = jax.lax.dynamic_slice_in_dim(affinity, first, height) > 0
        values = jax.lax.dynamic_slice_in_dim(rows, first, height)
        along_rows = jnp.where(edges, columns[None, :], largest).min(axis=1)
        along_columns = jnp.where(edges, values[:, None], largest).min(axis=0)
        least_of_rows = jax.lax.dynamic_update_slice_in_dim(least[0], along_rows, first, 0)
        return least_of_rows, jnp.minimum(least[1], along_columns)

    start = jnp.full_like(rows, largest), jnp.full_like(columns, largest)
    return jax.lax.fori_loop(0, -(-rows.size // height), visit, start)
