"""The measures by name: what says how good a partition is, chooses among partitions, and is compared with controls'."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.embedding import Embedding
from modularity_jax.metric.modularity import batched_modularity, partition_by_modularity
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.metric.settings import Partition, Settings
from modularity_jax.plug_points import entry

Array = jax.Array


class Measure(NamedTuple):
    """A measure of partitions.

    Attributes:
      scores: (graph, labels [X, N], *, num_clusters) -> [X], of partitions of one graph; pure, without checks.
      higher: whether a higher score is more modular.
      bound: of the graph's embedding, what no partition into so many parts surpasses; None where that is not known.
      partition: (graph, key, settings) -> `Partition`, the measure's own way to it; None takes the n-cut's, and the
        restart that scores best.
    """

    scores: Callable[..., Array]
    higher: bool = False
    bound: Callable[[Embedding], Array] | None = None
    partition: Callable[[Adjacency, Array, Settings], Partition] | None = None


#: The measures that `cluster` and `shuffle_test` take, by name.
MEASURES: dict[str, Measure] = {
    "ncut": Measure(batched_ncut, bound=lambda embedding: embedding.lower_bound),
    "modularity": Measure(batched_modularity, higher=True, partition=partition_by_modularity),
}


def measure_of(name: str) -> Measure:
    """An entry of `MEASURES`, or by its dotted name one from elsewhere."""
    return entry("measure", name, MEASURES)
