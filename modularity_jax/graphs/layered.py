"""The graph of a feed-forward network, one dense block of edges per layer."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import MAX_ON_HOST, magnitudes, on_host
from modularity_jax.graphs.nulls import Null, null_of_blocks
from modularity_jax.graphs.numerics import divide
from modularity_jax.graphs.params import layers_in_order
from modularity_jax.graphs.protocol import Block
from modularity_jax.graphs.sides import BipartiteGraph, LayerForm, Sides, in_shapes, layer_sides
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array

# Entries of a block that are searched for a least neighbour at a time, and parts of a block at least; both bound the
# memory of `neighbour_min`, the second where all blocks are small and XLA works at them side by side.
MAX_CANDIDATES = 2**20
MIN_PARTS = 8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LayeredGraph:
    """The graph of a feed-forward network, one dense block of edges per layer.

    Vertices are numbered layer after layer, inputs first, outputs last. Build it with `from_weights` or `from_params`.

    Attributes:
      affinities: |W_l| for l = 1..L, each [d_{l-1}, d_l]; see `from_weights` for their type and unit.
    """

    affinities: tuple[Array, ...]

    @classmethod
    @outside_explicit_mesh
    def from_weights(cls, weights: Sequence[ArrayLike]) -> Self:
        """The graph of the kernels W_1..W_L, each [d_in, d_out]; any sign, the absolute value is the edge.

        PyTorch and Equinox keep `Linear.weight` as [out, in]: pass `weight.T`. Square kernels chain either way, and
        transposed ones are the graph of another network. What a NumPy mask hides is pruned, a weight of 0.

        Any real numbers will do. Halves are widened to float32, doubles are rounded to it unless JAX has x64 enabled,
        and magnitudes below 1.2e-38, where float32 ends, count as 0. Where weights are so large (from about 1e38 over
        their number) that sums of them would overflow, all of them are divided by one power of two, which changes no
        n-cut, eigenvalue or p-value.

        Raises:
          ValueError: if there is no kernel, one is not a matrix or has no entry, the shapes do not chain, or a value
            is not a real number or not finite. Under jit values are not looked at.
        """
        checks.check_sequence("weights", weights)
        kernels = {f"weights[{index}]": checks.as_weights(f"weights[{index}]", w) for index, w in enumerate(weights)}
        checks.check_kernel_shapes([kernel.shape for kernel in kernels.values()])
        return cls(magnitudes(kernels))

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The graph of a Flax params pytree of Dense layers, taken in the order of the number at their names' end.

        Args:
          params: `{"layer_00": {"kernel": ..., "bias": ...}, ...}`, or that under the key "params". That each layer
            reads the one before it cannot be told from params. Passed over without harm: biases, entries without any
            array, and, with a warning, the collection "intermediates" beside "params".

        Raises:
          ValueError: as `from_weights`; if the names are not one word with different numbers; and, by name, if params
            hold anything else, which would change the graph: normalisation layers (fold their scale into a kernel),
            nested modules, convolutions, embeddings, attention, batch statistics, arrays beside a layer's kernel.
        """
        return cls.from_weights([layer["kernel"] for _, layer in layers_in_order(params)])

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons of layers 0..L."""
        return (self.affinities[0].shape[0], *(w.shape[1] for w in self.affinities))

    @property
    def num_nodes(self) -> int:
        """Number of vertices N = sum of the widths."""
        return sum(self.widths)

    @property
    def size(self) -> int:
        """Weights of all kernels, zeros included."""
        return sum(w.size for w in self.affinities)

    def split(self, x: Array) -> tuple[Array, ...]:
        """The last axis of x [..., N] layer by layer: L + 1 arrays [..., d_l]."""
        return tuple(jnp.split(x, np.cumsum(self.widths)[:-1].tolist(), axis=-1))

    def degrees(self) -> Array:
        """Sum of |weight| over each neuron's incoming and outgoing edges, [N]."""
        incoming, outgoing = ([w.sum(axis=axis) for w in self.affinities] for axis in (0, 1))
        return jnp.concatenate(_by_layer(incoming, outgoing, jnp.add))

    def connected(self) -> np.ndarray:
        """Which neurons have an edge, [N] bool, on the host; of concrete weights."""
        if self.size > MAX_ON_HOST and not all(map(on_host, self.affinities)):
            return np.asarray(_degrees(self)) > 0
        edges = [np.asarray(w) > 0 for w in self.affinities]
        incoming, outgoing = ([block.any(axis=axis) for block in edges] for axis in (0, 1))
        return np.concatenate(_by_layer(incoming, outgoing, np.logical_or))

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ends of each edge of non-zero weight, [E] each, on the host, as they lie in the blocks."""
        starts = itertools.pairwise(np.cumsum((0, *self.widths)))
        places = [np.nonzero(np.asarray(w)) for w in self.affinities]
        ends = [(rows + a, columns + b) for (rows, columns), (a, b) in zip(places, starts, strict=False)]
        return np.concatenate([senders for senders, _ in ends]), np.concatenate([receivers for _, receivers in ends])

    def blocks(self) -> list[Block]:
        """The edges between each two layers."""
        starts = np.cumsum((0, *self.widths)).tolist()
        layers = [slice(first, end) for first, end in itertools.pairwise(starts)]
        return [Block(w, *ends) for w, ends in zip(self.affinities, itertools.pairwise(layers), strict=True)]

    def with_weights(self, weights: Array) -> Self:
        """The graph with these weights [E], of all kernels one after the other."""
        return dataclasses.replace(self, affinities=in_shapes(weights, [w.shape for w in self.affinities]))

    def balanced(self) -> Self:
        """The graph with each kernel divided by its total, so that all kernels weigh the same."""
        return dataclasses.replace(self, affinities=tuple(divide(w, w.sum()) for w in self.affinities))

    def form(self) -> LayerForm:
        """By its two sides."""
        return LayerForm(self.widths)

    def formed(self) -> BipartiteGraph:
        """Itself by its two sides."""
        strips = []
        for layer in layer_sides(self.widths)[0]:
            before = [self.affinities[layer - 1].T] if layer > 0 else []
            strips.append(jnp.concatenate([*before, *self.affinities[layer : layer + 1]], axis=1))
        return BipartiteGraph(tuple(strips), self.widths)

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N]."""
        blocks = self.split(x)
        return jnp.concatenate([self.into_layer(layer, blocks) for layer in range(len(blocks))], axis=-1)

    def into_layer(self, layer: int, blocks: Sequence[Array] | Mapping[int, Array]) -> Array:
        """What one layer's neurons receive from their neighbours, [M, d_layer]; blocks are the layers' [M, d_l].

        Vectors lie in rows: with vectors in columns, half of the products would meet a kernel across its layout, and
        XLA's CPU backend then transposes the kernel first, at ten times the product's cost.
        """
        received = []
        if layer > 0:
            received.append(blocks[layer - 1] @ self.affinities[layer - 1])
        if layer < len(self.affinities):
            received.append(blocks[layer + 1] @ self.affinities[layer].T)
        return sum(received[1:], start=received[0])

    def neighbour_min(self, values: Array) -> Array:
        """Least of values [N] among each neuron's neighbours, [N]."""
        layers = itertools.pairwise(self.split(values))
        least = [_block_min(w, *ends) for w, ends in zip(self.affinities, layers, strict=True)]
        return jnp.concatenate(_by_layer([own for _, own in least], [own for own, _ in least], jnp.minimum))

    def sides(self) -> Sides:
        """Even and odd layers."""
        return _LayerSides(self)

    def null(self) -> Null:
        """The edges expected in each kernel."""
        starts = itertools.accumulate(self.widths, initial=0)
        blocks = zip(itertools.pairwise(starts), self.affinities, strict=False)
        return null_of_blocks([(*ends, weights) for ends, weights in blocks], self.num_nodes)


class _LayerSides:
    """Even and odd layers of a feed-forward network; see `Sides`."""

    def __init__(self, graph: LayeredGraph) -> None:
        self._graph = graph
        self._small, self._large = layer_sides(graph.widths)
        self.num_small = sum(graph.widths[i] for i in self._small)

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

    def _parts(self, x: Array, side: range) -> dict[int, Array]:
        ends = list(itertools.accumulate(self._graph.widths[i] for i in side))
        return dict(zip(side, jnp.split(x, ends[:-1], axis=-1), strict=True))

    def _cross(self, x: Array, source: range, target: range) -> Array:
        parts = self._parts(x, source)
        return jnp.concatenate([self._graph.into_layer(i, parts) for i in target], axis=-1)


_degrees = jax.jit(LayeredGraph.degrees)


def _by_layer(incoming: Sequence[Any], outgoing: Sequence[Any], join: Callable[[Any, Any], Any]) -> list[Any]:
    """Per layer what was reduced over its incoming and its outgoing block, joined: L + 1 arrays [d_l]."""
    return [outgoing[0], *map(join, incoming, outgoing[1:]), incoming[-1]]


def _block_min(affinity: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
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
