"""Newman's modularity of a network without its layers: one null for all pairs of neurons (Newman 2006).

Depth alone has a high one: see `modularity` for that which has not.
"""

import jax

from modularity_jax.graphs.nulls import null_of_degrees
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.excess import WithNull
from modularity_jax.metric.modularity import batched_modularity, partition_by_modularity
from modularity_jax.metric.settings import Partition, Settings

Array = jax.Array


def batched_newman(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """Newman's Q [X] of X partitions [X, N] of one graph; unchecked."""
    return batched_modularity(_without_layers(graph), labels, num_clusters=num_clusters)


def partition_by_newman(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """As `partition_by_modularity`, by Newman's Q."""
    return partition_by_modularity(_without_layers(graph), key, settings)


def _without_layers(graph: Adjacency) -> WithNull:
    return WithNull(graph, null_of_degrees(graph.degrees()), sided=False)
