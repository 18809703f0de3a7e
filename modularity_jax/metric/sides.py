"""The two sides of a bipartite graph, by whose smaller one spectral clustering is solved at a quarter of the size."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from modularity_jax.metric.graph import LayeredGraph

Array = jax.Array


class Sides(Protocol):
    """The vertices of a graph, dealt to a smaller and a larger side without an edge inside either."""

    @property
    def num_small(self) -> int:
        """Vertices of the smaller side."""

    def split(self, x: Array) -> tuple[Array, Array]:
        """The last axis of x [..., N], side by side."""

    def join(self, small: Array, large: Array) -> Array:
        """What `split` took apart, [..., N]."""

    def to_large(self, x: Array) -> Array:
        """What the larger side receives from rows x [B, M_small], [B, M_large]."""

    def to_small(self, x: Array) -> Array:
        """What the smaller side receives from rows x [B, M_large], [B, M_small]."""


class LayerSides:
    """Even and odd layers of a feed-forward network."""

    def __init__(self, graph: "LayeredGraph") -> None:
        self._graph = graph
        self._small, self._large = layer_sides(graph.widths)

    @property
    def num_small(self) -> int:
        """Vertices of the smaller side."""
        return sum(self._graph.widths[i] for i in self._small)

    def split(self, x: Array) -> tuple[Array, Array]:
        """See `Sides`."""
        parts = self._graph.split(x)
        small, large = ([parts[i] for i in side] for side in (self._small, self._large))
        return jnp.concatenate(small, axis=-1), jnp.concatenate(large, axis=-1)

    def join(self, small: Array, large: Array) -> Array:
        """See `Sides`."""
        parts = self._parts(small, self._small) | self._parts(large, self._large)
        return jnp.concatenate([parts[i] for i in sorted(parts)], axis=-1)

    def to_large(self, x: Array) -> Array:
        """See `Sides`."""
        return self._cross(x, self._small, self._large)

    def to_small(self, x: Array) -> Array:
        """See `Sides`."""
        return self._cross(x, self._large, self._small)

    def _parts(self, x: Array, side: range) -> dict[int, Array]:
        ends = list(itertools.accumulate(self._graph.widths[i] for i in side))
        return dict(zip(side, jnp.split(x, ends[:-1], axis=-1), strict=True))

    def _cross(self, x: Array, source: range, target: range) -> Array:
        parts = self._parts(x, source)
        return jnp.concatenate([self._graph.into_layer(i, parts) for i in target], axis=-1)


def layer_sides(widths: Sequence[int]) -> tuple[range, range]:
    """Even and odd layers, whichever side has fewer neurons first."""
    layers = range(len(widths))
    small, large = sorted((layers[0::2], layers[1::2]), key=lambda side: sum(widths[i] for i in side))
    return small, large


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BipartiteGraph:
    """A bipartite graph as one matrix, its zeros included; vertices of the smaller side come first.

    A network of few layers fits into one that is hardly larger than its kernels, and whose programs do not grow with
    the number of layers.
    """

    matrix: Array  # [M_small, M_large], at least 0

    @classmethod
    def from_layers(cls, graph: "LayeredGraph") -> Self:
        """The graph of a layered one; `order_by_sides` tells its vertices apart."""
        small, large = layer_sides(graph.widths)
        starts = {i: sum(graph.widths[j] for j in side if j < i) for side in (small, large) for i in side}
        shape = tuple(sum(graph.widths[i] for i in side) for side in (small, large))
        matrix = jnp.zeros(shape, graph.affinities[0].dtype)
        for layer, affinity in enumerate(graph.affinities):
            above, block = (layer, affinity) if layer in small else (layer + 1, affinity.T)
            below = layer + 1 if layer in small else layer
            matrix = jax.lax.dynamic_update_slice(matrix, block, (starts[above], starts[below]))
        return cls(matrix)

    @property
    def num_nodes(self) -> int:
        """Number of vertices N."""
        return sum(self.matrix.shape)

    def degrees(self) -> Array:
        """Sum of the weights of each vertex's edges, [N]."""
        return jnp.concatenate([self.matrix.sum(axis=1), self.matrix.sum(axis=0)])

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N]."""
        small, large = self.split(x)
        return self.join(self.to_small(large), self.to_large(small))

    def neighbour_min(self, values: Array) -> Array:
        """Least of values [N] among each vertex's neighbours, [N]."""
        small, large = self.split(values)
        edges, most = self.matrix > 0, jnp.iinfo(values.dtype).max
        return self.join(
            jnp.where(edges, large[None, :], most).min(axis=1), jnp.where(edges, small[:, None], most).min(axis=0)
        )

    @property
    def num_small(self) -> int:
        """See `Sides`."""
        return self.matrix.shape[0]

    def connected(self) -> np.ndarray:
        """Which vertices have an edge, [N] bool, on the host; of concrete weights."""
        return np.asarray(self.degrees()) > 0

    def sides(self) -> "BipartiteGraph":
        """Itself."""
        return self

    def split(self, x: Array) -> tuple[Array, Array]:
        """See `Sides`."""
        return x[..., : self.matrix.shape[0]], x[..., self.matrix.shape[0] :]

    def join(self, small: Array, large: Array) -> Array:
        """See `Sides`."""
        return jnp.concatenate([small, large], axis=-1)

    def to_large(self, x: Array) -> Array:
        """See `Sides`."""
        return x @ self.matrix

    def to_small(self, x: Array) -> Array:
        """See `Sides`."""
        return x @ self.matrix.T


def order_by_sides(widths: Sequence[int]) -> np.ndarray:
    """For each vertex of a layered graph, [N], its number in the `BipartiteGraph` of the same edges."""
    starts = np.cumsum((0, *widths))
    order = [np.arange(starts[i], starts[i + 1]) for side in layer_sides(widths) for i in side]
    return np.argsort(np.concatenate(order))
