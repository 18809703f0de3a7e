"""Coverage of a partition: the share of the weight that lies inside clusters (Fortunato 2010, section III C)."""

import functools

import jax

from modularity_jax.graphs.numerics import divide, full_precision
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.ncut import cuts_and_volumes

Array = jax.Array


@functools.partial(jax.jit, static_argnames="num_clusters")
@full_precision
def batched_coverage(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """Coverage [X], 0 to 1, of X partitions [X, N] of one graph; unchecked. Higher is more modular."""
    cut, volume = cuts_and_volumes(graph, labels, num_clusters)
    return divide((volume - cut).sum(axis=1), graph.degrees().sum()[None])
