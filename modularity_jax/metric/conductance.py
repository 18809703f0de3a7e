"""Conductance of a partition: that of its worst cluster (Kannan, Vempala and Vetta 2004)."""

import functools

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import divide, full_precision
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.ncut import cuts_and_volumes

Array = jax.Array


@functools.partial(jax.jit, static_argnames="num_clusters")
@full_precision
def batched_conductance(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """Largest cut(X) / min(vol X, vol rest) of a cluster, [X], 0 to 1, of X partitions [X, N]; unchecked."""
    cut, volume = cuts_and_volumes(graph, labels, num_clusters)
    rest = graph.degrees().sum() - volume
    return divide(cut, jnp.minimum(volume, rest)).max(axis=1)
