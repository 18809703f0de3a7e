"""The measures by name: what says how good a partition is, chooses among partitions, and is compared with controls'."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.conductance import batched_conductance
from modularity_jax.metric.coverage import batched_coverage
from modularity_jax.metric.modularity import batched_modularity, partition_by_modularity
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.metric.newman import batched_newman, partition_by_newman
from modularity_jax.metric.settings import Partition, Settings
from modularity_jax.plug_points import entry

Array = jax.Array


class Measure(NamedTuple):
    """A measure of partitions.

    Attributes:
      scores: (graph, labels [X, N], *, num_clusters) -> [X], of partitions of one graph; pure, without checks.
      higher: whether a higher score is more modular.
      bound: the field of `Partition` that says what no partition into so many parts surpasses; None for none.
      partition: (graph, key, settings) -> `Partition`, the measure's own way to it; None takes the n-cut's, and the
        restart that scores best.
      resolved: whether its partition heeds `gamma`; then `scores` is with gamma 1.
    """

    scores: Callable[..., Array]
    higher: bool = False
    bound: str | None = None
    partition: Callable[[Adjacency, Array, Settings], Partition] | None = None
    resolved: bool = False


#: The measures that `cluster` and `shuffle_test` take, by name.
MEASURES: dict[str, Measure] = {
    "ncut": Measure(batched_ncut, bound="lower_bound"),
    "modularity": Measure(batched_modularity, True, "upper_bound", partition_by_modularity, resolved=True),
    "newman": Measure(batched_newman, True, partition=partition_by_newman, resolved=True),
    "coverage": Measure(batched_coverage, True),
    "conductance": Measure(batched_conductance),
}


def measure_of(name: str) -> Measure:
    """An entry of `MEASURES`, or by its dotted name one from elsewhere."""
    return entry("measure", name, MEASURES)
