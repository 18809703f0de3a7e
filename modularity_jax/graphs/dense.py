"""Any undirected graph as its adjacency matrix, for graphs most of whose pairs of vertices have an edge."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.blocks import block_min
from modularity_jax.graphs.magnitudes import magnitudes
from modularity_jax.graphs.neighbourhoods import Neighbourhoods, diagonal_blocks
from modularity_jax.graphs.nulls import Null, null_of_groups
from modularity_jax.graphs.numerics import divide
from modularity_jax.graphs.protocol import Block, OwnForm
from modularity_jax.graphs.sides import in_shapes
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.programs import is_concrete

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Responses:
    """What a graph of activations was made of, and how, for the control that makes it again."""

    parts: tuple[Array, ...]  # of all samples, or of two halves: each unit's ranks or values [n, N], mean 0 and norm 1
    between_layers: bool = dataclasses.field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DenseGraph:
    """Any undirected graph as its adjacency matrix; vertices are numbered group after group, such as layers.

    Build it with `from_matrix` or `activation_graph`. Edges are shuffled, and expected by chance, within each pair of
    groups on their own.

    Attributes:
      affinity: |weight| of each edge, [N, N], symmetric with a zero diagonal.
      widths: vertices of each group, static; (N,) for one group.
      responses: what `activation_graph` made it of; None of any other graph.
    """

    affinity: Array
    widths: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    responses: Responses | None = None

    @classmethod
    @outside_explicit_mesh
    def from_matrix(cls, matrix: ArrayLike, *, widths: Sequence[int] | None = None) -> Self:
        """The graph of a symmetric matrix [N, N]; any sign, the absolute value is the edge.

        Tiny, huge, half and double weights are treated as by `LayeredGraph.from_weights`. Under jit values are not
        looked at.

        Args:
          matrix: dense; of a sparse one there is `SparseGraph.from_scipy`.
          widths: vertices of each group, in order; None for one group.

        Raises:
          ValueError: if the matrix is not square, not symmetric, has a diagonal, or a value that is not a real number
            or not finite; or if the widths are not whole numbers of at least 1 that add up to N.
        """
        values = checks.as_weights("matrix", matrix)
        checks.check_square("matrix", values)
        checks.check_at_least("num_nodes", len(values), 1)
        groups = (len(values),) if widths is None else _as_widths(widths, len(values))
        (affinity,) = magnitudes({"matrix": values})
        if is_concrete(values):
            checks.check_adjacency(np.asarray(values).astype(affinity.dtype))
        return cls(affinity, groups)

    @property
    def num_nodes(self) -> int:
        """Number of vertices N."""
        return len(self.affinity)

    @property
    def size(self) -> int:
        """Weights of all blocks, zeros included."""
        return sum(map(math.prod, self._shapes()))

    def degrees(self) -> Array:
        """Sum of the weights of each vertex's edges, [N]."""
        return self.affinity.sum(axis=1)

    def connected(self) -> np.ndarray:
        """Which vertices have an edge, [N] bool, on the host; of concrete weights."""
        return np.any(np.asarray(self.affinity) > 0, axis=1)

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ends of each edge of non-zero weight, [E] each, on the host."""
        first, second = np.nonzero(np.triu(np.asarray(self.affinity)))
        return first, second

    def blocks(self) -> list[Block]:
        """The edges between each two groups, and those within each; on the host where they have values."""
        xp = np if is_concrete(self) else jnp
        affinity, groups, made = xp.asarray(self.affinity), self._groups(), []
        for a, b in self._pairs():
            own = affinity[groups[a], groups[b]]
            made.append(Block(xp.triu(own, 1) if a == b else own, groups[a], groups[b], triangle=a == b))
        return made

    def with_weights(self, weights: Array) -> Self:
        """The graph with these weights [E], of all blocks one after the other; no longer that of its responses."""
        own = dict(zip(self._pairs(), in_shapes(weights, self._shapes()), strict=True))
        below = {(b, a): jnp.zeros(block.shape[::-1], block.dtype) for (a, b), block in own.items() if a < b}
        numbers, blocks = range(len(self.widths)), own | below
        upper = jnp.block([[blocks[a, b] for b in numbers] for a in numbers])
        return dataclasses.replace(self, affinity=mirrored(upper), responses=None)

    def balanced(self) -> Self:
        """The graph with each block divided by its total, so that all blocks weigh the same."""
        blocks = [jnp.asarray(block.weights).reshape(-1) for block in self.blocks()]
        return self.with_weights(jnp.concatenate([divide(own, own.sum()) for own in blocks]))

    def form(self) -> OwnForm:
        """As it is."""
        return OwnForm(self)

    def formed(self) -> Self:
        """Itself."""
        return self

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N]."""
        return x @ self.affinity

    def neighbour_min(self, values: Array) -> Array:
        """Least of values [N] among each vertex's neighbours, [N]."""
        return block_min(self.affinity, values, values)[0]

    def null(self) -> Null:
        """The edges expected in each block; Newman's within a group."""
        return null_of_groups(self.affinity, self._groups())

    def sides(self) -> None:
        """None: vertices of one group have edges, too."""

    @property
    def hidden_layers(self) -> tuple[slice, ...]:
        """The vertices of each group; activations are of hidden layers alone."""
        return tuple(self._groups())

    def neighbourhoods(self) -> Neighbourhoods:
        """Each group by itself."""
        blocks = diagonal_blocks(self.affinity, self.hidden_layers)
        return Neighbourhoods(DenseGraph(blocks, (blocks.shape[-1],)), slice(0, blocks.shape[-1]))

    def _groups(self) -> list[slice]:
        """The vertices of each."""
        return [slice(*ends) for ends in itertools.pairwise(itertools.accumulate(self.widths, initial=0))]

    def _pairs(self) -> Iterator[tuple[int, int]]:
        """The groups of the rows and of the columns of each block."""
        return itertools.combinations_with_replacement(range(len(self.widths)), 2)

    def _shapes(self) -> list[tuple[int, int]]:
        """Of the blocks."""
        return [(self.widths[a], self.widths[b]) for a, b in self._pairs()]


def mirrored(upper: Array) -> Array:
    """The symmetric matrix [N, N] with what one has above its diagonal, and none on it."""
    above = jnp.triu(upper, 1)
    return above + above.T


def _as_widths(widths: Sequence[int], num_nodes: int) -> tuple[int, ...]:
    checks.check_sequence("widths", widths)
    given = tuple(widths)
    for width in given:
        checks.check_count("widths", width, 1)
    if sum(given) != num_nodes:
        raise ValueError(f"widths must add up to the {num_nodes} rows of the matrix, got {given}")
    return tuple(map(int, given))
