"""The two sides of a bipartite graph, by whose smaller one spectral clustering is solved at a quarter of the size."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.nulls import Null, null_of_strips

if TYPE_CHECKING:
    from modularity_jax.graphs.layered import LayeredGraph

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
    """A layered graph by its two sides; vertices of the smaller side come first, on each side layer after layer.

    A layer of the smaller side meets one or two layers of the larger one, which lie beside each other there: so its
    edges are a single strip of the matrix between the sides, and a product with all of it is one product a strip.

    Attributes:
      strips: for each layer of the smaller side its edges, [d, columns], at least 0.
      starts: the column of the larger side at which each strip begins, static.
      large_widths: of the layers of the larger side, static.
    """

    strips: tuple[Array, ...]
    starts: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    large_widths: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    @classmethod
    def from_layers(cls, graph: "LayeredGraph") -> Self:
        """The graph of a layered one; `LayerForm.order` tells its vertices apart."""
        strips = []
        for layer in layer_sides(graph.widths)[0]:
            before = [graph.affinities[layer - 1].T] if layer > 0 else []
            strips.append(jnp.concatenate([*before, *graph.affinities[layer : layer + 1]], axis=1))
        return cls(tuple(strips), *_shape(graph.widths))

    @classmethod
    def from_flat(cls, weights: Array, widths: Sequence[int]) -> Self:
        """The graph of a layered one with these widths; weights [E] in the order of `LayerForm.places`."""
        shapes = _strip_shapes(widths)
        parts = jnp.split(weights, list(itertools.accumulate(a * b for a, b in shapes))[:-1])
        strips = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        return cls(tuple(strips), *_shape(widths))

    @property
    def num_small(self) -> int:
        """See `Sides`."""
        return sum(strip.shape[0] for strip in self.strips)

    @property
    def num_large(self) -> int:
        """Vertices of the larger side."""
        return sum(self.large_widths)

    @property
    def num_nodes(self) -> int:
        """Number of vertices N."""
        return self.num_small + self.num_large

    def degrees(self) -> Array:
        """Sum of the weights of each vertex's edges, [N]."""
        small = jnp.concatenate([strip.sum(axis=1) for strip in self.strips])
        return self.join(small, self._onto_large([strip.sum(axis=0) for strip in self.strips]))

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N]."""
        small, large = self.split(x)
        return self.join(self.to_small(large), self.to_large(small))

    def sides(self) -> "BipartiteGraph":
        """Itself."""
        return self

    def null(self) -> Null:
        """The edges expected in each of the network's kernels."""
        return null_of_strips(self.strips, self.starts, self.large_widths)

    def split(self, x: Array) -> tuple[Array, Array]:
        """See `Sides`."""
        return x[..., : self.num_small], x[..., self.num_small :]

    def join(self, small: Array, large: Array) -> Array:
        """See `Sides`."""
        return jnp.concatenate([small, large], axis=-1)

    def to_large(self, x: Array) -> Array:
        """See `Sides`."""
        ends = list(itertools.accumulate(strip.shape[0] for strip in self.strips))
        parts = jnp.split(x, ends[:-1], axis=-1)
        return self._onto_large([part @ strip for part, strip in zip(parts, self.strips, strict=True)])

    def to_small(self, x: Array) -> Array:
        """See `Sides`."""
        bands = [
            x[..., start : start + strip.shape[1]] @ strip.T
            for start, strip in zip(self.starts, self.strips, strict=True)
        ]
        return jnp.concatenate(bands, axis=-1)

    def _onto_large(self, parts: Sequence[Array]) -> Array:
        """Sum of what the strips say of their columns, [..., num_large]."""
        whole = [
            jnp.pad(part, [(0, 0)] * (part.ndim - 1) + [(start, self.num_large - start - part.shape[-1])])
            for start, part in zip(self.starts, parts, strict=True)
        ]
        return sum(whole[1:], start=whole[0])


@dataclasses.dataclass(frozen=True)
class LayerForm:
    """A layered graph by its two sides, as `BipartiteGraph`; see `Form`."""

    widths: tuple[int, ...]

    def build(self, weights: Array) -> BipartiteGraph:
        """See `Form`."""
        return BipartiteGraph.from_flat(weights, self.widths)

    def order(self) -> np.ndarray:
        """See `Form`."""
        starts = np.cumsum((0, *self.widths))
        order = [np.arange(starts[i], starts[i + 1]) for side in layer_sides(self.widths) for i in side]
        return np.argsort(np.concatenate(order))

    def places(self) -> list[np.ndarray]:
        """See `Form`."""
        widths, (small, _) = self.widths, layer_sides(self.widths)
        firsts = [0, *itertools.accumulate(a * b for a, b in _strip_shapes(widths))]
        places = []
        for layer, (height, width) in enumerate(itertools.pairwise(widths)):
            strip = layer if layer in small else layer + 1
            columns = _strip_shapes(widths)[small.index(strip)][1]
            # The layer before the strip's comes first in it.
            offset = 0 if layer != strip or layer == 0 else widths[layer - 1]
            rows, cols = np.arange(height)[:, None], np.arange(width)[None, :]
            place = rows * columns + offset + cols if layer == strip else cols * columns + rows
            places.append((firsts[small.index(strip)] + place).reshape(-1).astype(np.int32))
        return places


def _strip_shapes(widths: Sequence[int]) -> list[tuple[int, int]]:
    small, _ = layer_sides(widths)
    return [(widths[i], sum(widths[j] for j in (i - 1, i + 1) if 0 <= j < len(widths))) for i in small]


def _shape(widths: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where each strip begins, and the layers of the larger side."""
    small, large = layer_sides(widths)
    return tuple(sum(widths[j] for j in large if j < i - 1) for i in small), tuple(widths[j] for j in large)
