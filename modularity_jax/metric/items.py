"""A graph as it is and its controls, partitioned by one program.

The graph itself is the control that leaves all weights where they are. Methods, numbers of shuffles and networks of a
shape then share a program, whose compilation is what a first result waits for.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from modularity_jax.metric import checks
from modularity_jax.metric.controls import control_of, deal, is_resampled, keeps_places, num_weights
from modularity_jax.metric.graph import Graph, LayeredGraph, SparseGraph
from modularity_jax.metric.group_sizes import controls_at_once
from modularity_jax.metric.grouping import grouped_range, in_order
from modularity_jax.metric.partition import Partition, Settings, partition
from modularity_jax.metric.sides import BipartiteGraph, order_by_sides
from modularity_jax.metric.stocks import Stock, stock

Array = jax.Array

# Items that one call has room for.
CAPACITY = 1024

# Weights up to which a graph goes through the program of its controls: their stock takes several times the memory.
MAX_WEIGHTS = 2**22

# What the key of a shuffle test is folded with to cluster the graph itself; no shuffle is, since r stays below it.
OBSERVED = 2**32 - 1


class Items(NamedTuple):
    """Controls' results."""

    ncut: Any  # [R], NaN where there are fewer connected vertices than clusters
    converged: Any  # [R] bool


def partition_graph(
    graph: Graph,
    key: Array,
    settings: Settings,
    *,
    made: Stock | None = None,
    group_size: int | None = None,
    mesh: Mesh | None = None,
) -> Partition:
    """The partition of the graph itself that goes with its controls', by the key folded with `OBSERVED`.

    Concrete small graphs share their controls' program.

    Args:
      graph, key, settings: as `partition`.
      made: the graph's stock by sides, where it is at hand; of whatever method.
      group_size, mesh: of the controls; they choose the program.
    """
    if not (isinstance(graph, LayeredGraph | SparseGraph) and checks.is_concrete((graph, key))) or not _is_small(graph):
        return partition_alone(graph, jax.random.fold_in(key, OBSERVED), settings)
    size = group_size or items_at_once(graph, settings)
    made = made or stock(graph, "layer" if isinstance(graph, LayeredGraph) else "layer_nonzero", by_sides=True)
    itself = np.asarray(True)
    _, details = _run(graph, made, key, np.uint32(OBSERVED), np.int32(1), itself, itself, False, settings, size, mesh)
    found = jax.tree.map(lambda x: np.asarray(x)[0], details)
    if isinstance(graph, LayeredGraph):
        found = found._replace(labels=found.labels[order_by_sides(graph.widths)])
    return jax.device_put(found)


def partition_controls(
    graph: LayeredGraph | SparseGraph,
    key: Array,
    settings: Settings,
    *,
    method: str,
    made: Stock | None = None,
    first: Any,
    count: int,
    group_size: int,
    mesh: Mesh | None,
) -> Items:
    """Controls first .. first + count - 1 of the graph by a method of `METHODS`; made is its stock, if at hand."""
    made = made or stock(graph, method, by_sides=True)
    devices = 1 if mesh is None else mesh.size
    concrete = checks.is_concrete((graph, key, first))
    keep_places, itself, resample = np.asarray(keeps_places(method)), np.asarray(False), is_resampled(method)
    parts = []
    for start in range(0, count, CAPACITY):
        number = min(CAPACITY, count - start)
        begin = (np.uint32(first) if concrete else first) + np.uint32(start)
        found, _ = _run(
            graph, made, key, begin, np.int32(number), keep_places, itself, resample, settings, group_size, mesh
        )
        found = jax.device_get(found) if concrete else found
        parts.append(jax.tree.map(lambda x, number=number: in_order(x, number, group_size, devices), found))
    return jax.tree.map(lambda *own: (np if concrete else jnp).concatenate(own), *parts)


def items_at_once(graph: Graph, settings: Settings) -> int:
    """Items under one vmap where the caller leaves it open."""
    weights = sum(leaf.size for leaf in jax.tree.leaves(graph))
    return controls_at_once(weights, graph.num_nodes, settings.num_clusters, settings.num_restarts)


def _is_small(graph: Graph) -> bool:
    return sum(leaf.size for leaf in jax.tree.leaves(graph)) <= MAX_WEIGHTS


@functools.partial(jax.jit, static_argnums=2)
def partition_alone(graph: Graph, key: Array, settings: Settings) -> Partition:
    """The partition of a graph that no controls go with; the same, to rounding, as among them."""
    if not isinstance(graph, LayeredGraph) or not _is_small(graph):
        return partition(graph, key, settings)
    found = partition(BipartiteGraph.from_layers(graph), key, settings)
    return found._replace(labels=found.labels[order_by_sides(graph.widths)])


@functools.partial(jax.jit, static_argnums=(7, 8, 9, 10))
def _run(
    graph: LayeredGraph | SparseGraph,
    made: Stock,
    key: Array,
    first: Array,
    count: Array,
    keep_places: Array,
    itself: Array,
    resample: bool,
    settings: Settings,
    group_size: int,
    mesh: Mesh | None,
) -> tuple[Items, Partition]:
    """Results of the items, and the details of the last one that each device began.

    An item is dealt by a part of its key and clustered by another; one that is the graph itself has it whole.
    """
    widths = graph.widths if isinstance(graph, LayeredGraph) else None

    def item(
        index: Array, graph: Any, made: Stock, key: Array, first: Array, keep_places: Array, itself: Array
    ) -> tuple[Items, Partition]:
        folded = jax.random.fold_in(key, first + index.astype(jnp.uint32))
        shuffle_key, cluster_key = jax.random.split(folded)
        words = jnp.where(itself, jax.random.key_data(folded), jax.random.key_data(cluster_key))
        weights = deal(made, shuffle_key, keep_places, num_weights(graph), resample=resample)
        dealt: Any = BipartiteGraph.from_flat(weights, widths) if widths else control_of(graph, weights)
        found = partition(dealt, jax.random.wrap_key_data(words, impl=checks.THREEFRY), settings)
        return Items(jnp.where(found.num_empty > 0, jnp.nan, found.ncut), found.converged), found

    return grouped_range(
        item, count, graph, made, key, first, keep_places, itself, capacity=CAPACITY, group_size=group_size, mesh=mesh
    )
