"""The two sides of a bipartite graph, by whose smaller one spectral clustering is solved at a quarter of the size."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.nulls import Null, null_of_blocks

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
      widths: of all layers, static.
    """

    strips: tuple[Array, ...]
    widths: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    @property
    def num_small(self) -> int:
        """See `Sides`."""
        return sum(strip.shape[0] for strip in self.strips)

    @property
    def num_nodes(self) -> int:
        """Number of vertices N."""
        return sum(self.widths)

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
        small, large = layer_sides(self.widths)
        starts = itertools.accumulate((self.widths[layer] for layer in (*small, *large)), initial=0)
        first = dict(zip((*small, *large), starts, strict=False))
        blocks = []
        for layer, strip in zip(small, self.strips, strict=True):
            parts = jnp.split(strip, [self.widths[layer - 1] if layer else 0], axis=1)
            ends = zip((layer - 1, layer + 1), parts, strict=True)
            blocks += [(first[layer], first[other], block) for other, block in ends if block.size]
        return null_of_blocks(blocks, self.num_nodes)

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
        bands = zip(self._starts(), self.strips, strict=True)
        return jnp.concatenate([x[..., start : start + strip.shape[1]] @ strip.T for start, strip in bands], axis=-1)

    def _onto_large(self, parts: Sequence[Array]) -> Array:
        """Sum of what the strips say of their columns, [..., M_large]."""
        num_large = self.num_nodes - self.num_small
        whole = [
            jnp.pad(part, [(0, 0)] * (part.ndim - 1) + [(start, num_large - start - part.shape[-1])])
            for start, part in zip(self._starts(), parts, strict=True)
        ]
        return sum(whole[1:], start=whole[0])

    def _starts(self) -> list[int]:
        """The column of the larger side at which each strip begins."""
        small, large = layer_sides(self.widths)
        return [sum(self.widths[j] for j in large if j < i - 1) for i in small]


@dataclasses.dataclass(frozen=True)
class LayerForm:
    """A layered graph by its two sides, as `BipartiteGraph`; see `Form`."""

    widths: tuple[int, ...]

    def build(self, weights: Array) -> BipartiteGraph:
        """See `Form`."""
        return BipartiteGraph(in_shapes(weights, self._shapes()), self.widths)

    def order(self) -> np.ndarray:
        """See `Form`."""
        layers = np.split(np.arange(sum(self.widths)), np.cumsum(self.widths)[:-1])
        return np.argsort(np.concatenate([layers[i] for side in layer_sides(self.widths) for i in side]))

    def places(self) -> list[np.ndarray]:
        """See `Form`."""
        places: dict[int, np.ndarray] = {}
        first = 0
        for layer, shape in zip(layer_sides(self.widths)[0], self._shapes(), strict=True):
            cells = np.arange(first, first + math.prod(shape), dtype=np.int32).reshape(shape)
            first += cells.size
            before, after = np.split(cells, [self.widths[layer - 1] if layer else 0], axis=1)
            places |= {layer - 1: before.T.reshape(-1), layer: after.reshape(-1)}
        return [places[block] for block in range(len(self.widths) - 1)]

    def _shapes(self) -> list[tuple[int, int]]:
        """Of the strips, whose edges to the layer before come first."""
        widths = 0, *self.widths, 0
        return [(widths[layer + 1], widths[layer] + widths[layer + 2]) for layer in layer_sides(self.widths)[0]]


def in_shapes(weights: Array, shapes: Sequence[tuple[int, ...]]) -> tuple[Array, ...]:
    """Weights [E] as arrays of these shapes, one after the other."""
    parts = jnp.split(weights, list(itertools.accumulate(map(math.prod, shapes)))[:-1])
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
