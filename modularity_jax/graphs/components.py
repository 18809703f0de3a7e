"""Connected components."""

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.protocol import Graph
from modularity_jax.programs import is_concrete

Array = jax.Array

# Weights up to which SciPy counts: it needs a list of the edges, but no program.
MAX_COUNTED = 2**22


def count_components(graph: Graph) -> Array:
    """`num_components`, on the host where the weights have values and are not too many."""
    if not is_concrete(graph) or graph.size > MAX_COUNTED:
        return _num_components(graph)
    import scipy.sparse.csgraph  # here, because it is a tenth of the time that the library takes to import

    ends = graph.ends()
    matrix = scipy.sparse.coo_array((np.ones(ends[0].size, bool), ends), (graph.num_nodes, graph.num_nodes))
    total = scipy.sparse.csgraph.connected_components(matrix, directed=False, return_labels=False)
    return jax.device_put(np.int32(total - (~graph.connected()).sum()))


def num_components(graph: Graph) -> Array:
    """Number of connected components, isolated vertices not counted; scalar int32."""
    first = component_labels(graph) == jnp.arange(graph.num_nodes, dtype=jnp.int32)
    return (first & (graph.degrees() > 0)).sum(dtype=jnp.int32)


def component_labels(graph: Graph) -> Array:
    """The least vertex of each vertex's connected component, [N] int32; an isolated vertex is its own.

    Each vertex takes the least label among its neighbours, then the label of its label, until nothing changes: a
    number of rounds that grows with the logarithm of the longest path in ordinary graphs (Shiloach and Vishkin 1982).
    """
    connected = graph.degrees() > 0

    def spread(state: tuple[Array, Array]) -> tuple[Array, Array]:
        labels, _ = state
        # The root hears what its whole tree heard, so that two trees join in one round.
        heard = jnp.minimum(labels, graph.neighbour_min(labels))
        joined = heard.at[labels].min(heard)
        shorter = joined[joined]
        # One component: no need of a round in which nothing changes.
        apart = connected & (shorter != jnp.where(connected, shorter, shorter.size).min())
        return shorter, apart.any() & (shorter != labels).any()

    start = jnp.arange(graph.num_nodes, dtype=jnp.int32), jnp.asarray(True)
    return jax.lax.while_loop(lambda state: state[1], spread, start)[0]


_num_components = jax.jit(num_components)
