"""Graphs of neurons: vertices are neurons, edges are |weight|.

Both kinds are pytrees with static sizes and share the protocol `Graph`; the embedding, the n-cut and the components
use nothing else of them.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.typing import ArrayLike

from modularity_jax.metric import checks
from modularity_jax.metric.libraries import advice
from modularity_jax.metric.magnitudes import MAX_ON_HOST, magnitudes, on_host
from modularity_jax.metric.params import layers_in_order
from modularity_jax.metric.sharding import outside_explicit_mesh
from modularity_jax.metric.sides import LayerSides, Sides

Array = jax.Array

# Entries of a block that are searched for a least neighbour at a time, and parts of a block at least; both bound the
# memory of `neighbour_min`, the second where all blocks are small and XLA works at them side by side.
MAX_CANDIDATES = 2**20
MIN_PARTS = 8


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

    def neighbour_min(self, values: Array) -> Array:
        """Least value among each vertex's neighbours, [N]; the dtype's largest value where it has none."""


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
        return jnp.concatenate(self.over_layers(lambda w, axis: w.sum(axis=axis), jnp.add))

    def connected(self) -> np.ndarray:
        """Which neurons have an edge, [N] bool, on the host; of concrete weights."""
        if self.size > MAX_ON_HOST and not all(map(on_host, self.affinities)):
            return np.asarray(_degrees(self)) > 0
        edges = [np.asarray(w) > 0 for w in self.affinities]
        incoming, outgoing = ([edge.any(axis=axis) for edge in edges] for axis in (0, 1))
        inner = [a | b for a, b in zip(incoming, outgoing[1:], strict=False)]
        return np.concatenate([outgoing[0], *inner, incoming[-1]])

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N]."""
        blocks = self.split(x)
        return jnp.concatenate([self.into_layer(layer, blocks) for layer in range(len(self.widths))], axis=-1)

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
        blocks = self.split(values)
        least = [jnp.full_like(block, jnp.iinfo(values.dtype).max) for block in blocks]
        for layer, affinity in enumerate(self.affinities):
            above, below = _block_min(affinity, blocks[layer], blocks[layer + 1])
            least[layer] = jnp.minimum(least[layer], above)
            least[layer + 1] = jnp.minimum(least[layer + 1], below)
        return jnp.concatenate(least)

    def sides(self) -> Sides:
        """Even and odd layers."""
        return LayerSides(self)

    def over_layers(self, reduce: Callable[[Array, int], Array], join: Callable[[Array, Array], Array]) -> list[Array]:
        """Each layer's reduction over its incoming (axis 0) and outgoing (axis 1) block, joined: L + 1 arrays [d_l]."""
        incoming = [reduce(w, 0) for w in self.affinities]
        outgoing = [reduce(w, 1) for w in self.affinities]
        inner = [join(a, b) for a, b in zip(incoming, outgoing[1:], strict=False)]
        return [outgoing[0], *inner, incoming[-1]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SparseGraph:
    """Any undirected graph as a list of edges, each given once.

    Build it with `from_edges` or `from_scipy`. Edges between the same two vertices add up; an edge of weight 0 is none.

    Attributes:
      senders, receivers: the two ends of each edge, [E] int32.
      weights: |weight| of each edge, [E].
      num_nodes: number of vertices N, static.
    """

    senders: Array
    receivers: Array
    weights: Array
    num_nodes: int = dataclasses.field(metadata={"static": True})

    @classmethod
    @outside_explicit_mesh
    def from_edges(cls, senders: ArrayLike, receivers: ArrayLike, weights: ArrayLike, *, num_nodes: int) -> Self:
        """The graph with an edge of |weights[e]| between senders[e] and receivers[e]; arrays [E], E may be 0.

        Tiny, huge, half and double weights are treated as by `LayeredGraph.from_weights`.

        Raises:
          ValueError: if the arrays differ in length, an end is not an integer, out of range or its edge's other end
            (such an edge is never cut, and tools disagree on its degree), a weight is not a real number or not finite,
            or num_nodes is not a whole number in 1..2^31 - 1.
        """
        ends = checks.as_integers("senders", senders), checks.as_integers("receivers", receivers)
        values = checks.as_numbers("weights", checks.as_weights("weights", weights))
        checks.check_edges(*ends, values, num_nodes)
        (affinity,) = magnitudes({"weights": values})
        return cls(jnp.asarray(ends[0], jnp.int32), jnp.asarray(ends[1], jnp.int32), affinity, int(num_nodes))

    @classmethod
    def from_scipy(cls, matrix: Any) -> Self:
        """The graph of a symmetric SciPy sparse (or dense) adjacency matrix [N, N]; not under jit.

        Entries that are stored as 0 are no edges, and those that are stored twice add up, as SciPy has it. Of a
        directed graph pass A + A.T, of one with loops A without its diagonal.

        Raises:
          ValueError: if the matrix is not square, not symmetric or has a diagonal, and as `from_edges`.
        """
        adjacency = _as_coo(matrix)
        edges = scipy.sparse.coo_array(scipy.sparse.triu(adjacency))
        for half in (edges, scipy.sparse.tril(adjacency)):
            checks.check_finite("weights", half.data)
        checks.check_adjacency(adjacency)
        return cls.from_edges(edges.row, edges.col, edges.data, num_nodes=adjacency.shape[0])

    @classmethod
    def from_networkx(cls, graph: Any) -> Self:
        """The graph of a networkx Graph or MultiGraph; networkx itself is not needed.

        Vertex i is the i-th of `list(graph.nodes)`. An edge weighs |its attribute "weight"|, 1 where it has none; those
        of a MultiGraph add up.

        Raises:
          ValueError: if graph is none of networkx's or directed, and as `from_edges`.
        """
        if not all(hasattr(graph, name) for name in ("nodes", "edges", "is_directed")):
            raise ValueError(f"graph must be a networkx graph, got {type(graph).__name__}{advice(graph)}")
        if graph.is_directed():
            raise ValueError(
                "graph must not be directed, got a directed one; pass A + A.T to SparseGraph.from_scipy, with A = "
                "networkx.to_scipy_sparse_array(graph)"
            )
        numbers = {node: index for index, node in enumerate(graph.nodes)}
        edges = list(graph.edges(data="weight", default=1))
        ends = np.array([(numbers[a], numbers[b]) for a, b, _ in edges], np.int32).reshape(-1, 2)
        weights = np.array([weight for *_, weight in edges])
        return cls.from_edges(ends[:, 0], ends[:, 1], weights, num_nodes=len(numbers))

    @classmethod
    def from_layered(cls, graph: LayeredGraph) -> Self:
        """The same graph as a list of its non-zero edges, vertices numbered alike; not under jit.

        Faster to cluster, and smaller, where far more than 99% of wide kernels are zero.

        Raises:
          ValueError: if graph is not a LayeredGraph.
        """
        if not isinstance(graph, LayeredGraph):
            raise ValueError(f"graph must be a LayeredGraph, got {type(graph).__name__}")
        starts = np.cumsum((0, *graph.widths))
        places = [np.nonzero(np.asarray(affinity)) for affinity in graph.affinities]
        senders = np.concatenate([rows + start for (rows, _), start in zip(places, starts, strict=False)])
        receivers = np.concatenate([columns + start for (_, columns), start in zip(places, starts[1:], strict=False)])
        weights = np.concatenate([np.asarray(w)[at] for w, at in zip(graph.affinities, places, strict=True)])
        return cls.from_edges(senders, receivers, weights, num_nodes=graph.num_nodes)

    @property
    def size(self) -> int:
        """Edges, those of weight 0 included."""
        return self.weights.size

    def degrees(self) -> Array:
        """Sum of the weights of each vertex's edges, [N]."""
        return self._scatter(jax.ops.segment_sum, self.weights, self.weights, jnp.add)

    def connected(self) -> np.ndarray:
        """Which vertices have an edge, [N] bool, on the host; of concrete weights."""
        found, edges = np.zeros(self.num_nodes, bool), np.asarray(self.weights) > 0
        for ends in (self.senders, self.receivers):
            found[np.asarray(ends)[edges]] = True
        return found

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N], by two segment sums."""
        weights, columns = self.weights[:, None], x.T
        to_receivers, to_senders = weights * columns[self.senders], weights * columns[self.receivers]
        return self._scatter(jax.ops.segment_sum, to_receivers, to_senders, jnp.add).T

    def neighbour_min(self, values: Array) -> Array:
        """Least of values [N] among each vertex's neighbours, [N]."""
        largest = jnp.iinfo(values.dtype).max
        along = [jnp.where(self.weights > 0, values[ends], largest) for ends in (self.senders, self.receivers)]
        return self._scatter(jax.ops.segment_min, along[0], along[1], jnp.minimum)

    def sides(self) -> None:
        """Not known."""

    def _scatter(
        self,
        segment: Callable[..., Array],
        to_receivers: Array,
        to_senders: Array,
        join: Callable[[Array, Array], Array],
    ) -> Array:
        """Reduce what each edge carries to its receiver and to its sender, and join the two."""
        return join(
            segment(to_receivers, self.receivers, num_segments=self.num_nodes),
            segment(to_senders, self.senders, num_segments=self.num_nodes),
        )


@jax.jit
def _degrees(graph: LayeredGraph) -> Array:
    return graph.degrees()


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
        return (
            jax.lax.dynamic_update_slice_in_dim(least[0], along_rows, first, 0),
            jnp.minimum(least[1], along_columns),
        )

    start = jnp.full_like(rows, largest), jnp.full_like(columns, largest)
    return jax.lax.fori_loop(0, -(-rows.size // height), visit, start)


def _as_coo(matrix: Any) -> scipy.sparse.coo_array:
    """A square matrix of floats, which can be subtracted, without stored zeros and double entries."""
    if hasattr(matrix, "number_of_nodes"):
        raise ValueError(f"matrix must be an adjacency matrix [N, N], got {type(matrix).__name__}{advice(matrix)}")
    if not scipy.sparse.issparse(matrix):
        matrix = np.asarray(checks.as_numbers("matrix", checks.as_weights("matrix", matrix)))
    checks.check_square("matrix", matrix.shape)
    dtype = np.float32 if matrix.dtype == np.float32 else np.float64
    if not scipy.sparse.issparse(matrix):
        matrix = matrix.astype(dtype)  # SciPy has no half precision
    adjacency = scipy.sparse.coo_array(matrix)
    checks.as_numbers("matrix", adjacency.data)
    adjacency = adjacency.astype(dtype)
    adjacency.sum_duplicates()
    adjacency.eliminate_zeros()
    return adjacency
