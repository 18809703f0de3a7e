"""Newman's modularity of a network without its layers: one null for all pairs of neurons (Newman 2006).

Depth alone has a high one: see `modularity` for that which has not.
"""

import dataclasses

import jax

from modularity_jax.graphs.nulls import Null, null_of_degrees
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.modularity import batched_modularity, partition_by_modularity
from modularity_jax.metric.settings import Partition, Settings

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _WithoutLayers:
    """A graph of which no layers are known; see `Adjacency`."""

    graph: Adjacency

    @property
    def num_nodes(self) -> int:
        return self.graph.num_nodes

    def degrees(self) -> Array:
        return self.graph.degrees()

    def matvec(self, x: Array) -> Array:
        return self.graph.matvec(x)

    def sides(self) -> None:
        return None

    def null(self) -> Null:
        return null_of_degrees(self.graph.degrees())


def batched_newman(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """Newman's Q [X] of X partitions [X, N] of one graph; unchecked."""
    return batched_modularity(_WithoutLayers(graph), labels, num_clusters=num_clusters)


def partition_by_newman(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """As `partition_by_modularity`, by Newman's Q."""
    return partition_by_modularity(_WithoutLayers(graph), key, settings)
