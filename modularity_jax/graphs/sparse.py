"""Any undirected graph as a list of edges."""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.blocks import Blocks
from modularity_jax.graphs.libraries import advice
from modularity_jax.graphs.magnitudes import magnitudes
from modularity_jax.graphs.nulls import Null, null_of_degrees
from modularity_jax.graphs.protocol import Block, OwnForm
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array


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
        values = checks.as_weights("weights", weights)
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
    def from_layered(cls, graph: Blocks) -> Self:
        """The same graph as a list of its non-zero edges, vertices numbered alike; not under jit.

        Faster to cluster, and smaller, where far more than 99% of wide kernels are zero.

        Raises:
          ValueError: if graph is neither a LayeredGraph nor a BlockGraph, or a unit of it has an edge to itself.
        """
        if not isinstance(graph, Blocks):
            raise ValueError(f"graph must be a LayeredGraph or a BlockGraph, got {type(graph).__name__}")
        values = [np.asarray(affinity) for affinity in graph.affinities]
        weights = np.concatenate([block[block > 0] for block in values])
        return cls.from_edges(*graph.ends(), weights, num_nodes=graph.num_nodes)

    @property
    def size(self) -> int:
        """Edges, those of weight 0 included."""
        return self.weights.size

    def degrees(self) -> Array:
        """Sum of the weights of each vertex's edges, [N]."""
        return self._over_edges(jax.ops.segment_sum, [self.weights, self.weights], jnp.add)

    def connected(self) -> np.ndarray:
        """Which vertices have an edge, [N] bool, on the host; of concrete weights."""
        found = np.zeros(self.num_nodes, bool)
        for ends in self.ends():
            found[ends] = True
        return found

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The two ends of each edge of non-zero weight, [E] each, on the host."""
        edges = np.asarray(self.weights) > 0
        return np.asarray(self.senders)[edges], np.asarray(self.receivers)[edges]

    def blocks(self) -> list[Block]:
        """One, a list."""
        return [Block(self.weights, None, None)]

    def with_weights(self, weights: Array) -> Self:
        """The graph with these weights [E]."""
        return dataclasses.replace(self, weights=weights)

    def balanced(self) -> Self:
        """Itself: all its edges are one block."""
        return self

    def form(self) -> OwnForm:
        """As it is."""
        return OwnForm(self)

    def formed(self) -> Self:
        """Itself."""
        return self

    def matvec(self, x: Array) -> Array:
        """Product of the adjacency matrix with each row of x [M, N], by two segment sums."""
        weights, columns = self.weights[:, None], x.T
        carried = [weights * columns[ends] for ends in (self.senders, self.receivers)]
        return self._over_edges(jax.ops.segment_sum, carried, jnp.add).T

    def neighbour_min(self, values: Array) -> Array:
        """Least of values [N] among each vertex's neighbours, [N]."""
        largest = jnp.iinfo(values.dtype).max
        carried = [jnp.where(self.weights > 0, values[ends], largest) for ends in (self.senders, self.receivers)]
        return self._over_edges(jax.ops.segment_min, carried, jnp.minimum)

    def null(self) -> Null:
        """The edges expected between all vertices."""
        return null_of_degrees(self.degrees())

    def sides(self) -> None:
        """Not known."""

    def _over_edges(self, segment: Callable[..., Array], carried: list[Array], join: Callable[..., Array]) -> Array:
        """Reduce what each edge carries to its receiver, then to its sender, and join the two."""
        ends = self.receivers, self.senders
        return join(*(segment(x, at, num_segments=self.num_nodes) for x, at in zip(carried, ends, strict=True)))


def _as_coo(matrix: Any) -> scipy.sparse.coo_array:
    """A square matrix of floats, which can be subtracted, without stored zeros and double entries."""
    if hasattr(matrix, "number_of_nodes"):
        raise ValueError(f"matrix must be an adjacency matrix [N, N], got {type(matrix).__name__}{advice(matrix)}")
    sparse = scipy.sparse.issparse(matrix)
    if not sparse:
        matrix = np.asarray(checks.as_numbers("matrix", checks.as_weights("matrix", matrix)))
    checks.check_square("matrix", matrix)
    dtype = np.float32 if matrix.dtype == np.float32 else np.float64
    adjacency = scipy.sparse.coo_array(matrix if sparse else matrix.astype(dtype))  # SciPy has no half precision
    checks.as_numbers("matrix", adjacency.data)
    adjacency = adjacency.astype(dtype)
    adjacency.sum_duplicates()
    adjacency.eliminate_zeros()
    return adjacency
