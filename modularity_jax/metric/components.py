"""Connected components."""

import jax
import jax.numpy as jnp

from modularity_jax.metric.graph import Graph

Array = jax.Array


def num_components(graph: Graph) -> Array:
    """Number of connected components, isolated vertices not counted; scalar int32.

    Each vertex takes the least label among its neighbours, then the label of its label, until nothing changes: a
    number of rounds that grows with the logarithm of the longest path in ordinary graphs (Shiloach and Vishkin 1982).
    """
    vertices = jnp.arange(graph.num_nodes, dtype=jnp.int32)

    def spread(state: tuple[Array, Array]) -> tuple[Array, Array]:
        labels, _ = state
        # The root hears what its whole tree heard, so that two trees join in one round.
        heard = jnp.minimum(labels, graph.neighbour_min(labels))
        joined = heard.at[labels].min(heard)
        shorter = joined[joined]
        return shorter, (shorter != labels).any()

    labels, _ = jax.lax.while_loop(lambda state: state[1], spread, (vertices, jnp.asarray(True)))
    return ((labels == vertices) & (graph.degrees() > 0)).sum(dtype=jnp.int32)
