"""A graph as it is and its controls, partitioned by one program.

The graph itself is the control that leaves all weights where they are. Methods, numbers of shuffles and networks of a
shape then share a program, whose compilation is what a first result waits for.
"""

import functools
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from modularity_jax.graphs import checks
from modularity_jax.graphs.protocol import Adjacency, Graph
from modularity_jax.metric.controls import deal, remade
from modularity_jax.metric.group_sizes import controls_at_once
from modularity_jax.metric.methods import method_of
from modularity_jax.metric.partition import partition
from modularity_jax.metric.settings import Partition, Settings
from modularity_jax.metric.stocks import Stock, stock
from modularity_jax.parallel import gather, grouped_range, in_order, on_all_devices
from modularity_jax.programs import is_concrete, program

Array = jax.Array

# Items that one call has room for.
CAPACITY = 1024

# Weights up to which a graph goes through the program of its controls: their stock takes several times the memory.
MAX_WEIGHTS = 2**22

# What the key of a shuffle test is folded with to cluster the graph itself; no shuffle is, since r stays below it.
OBSERVED = np.uint32(2**32 - 1)


class _Which(NamedTuple):
    """Which items a call works on."""

    first: Any  # [] uint32, what the key is folded with for the first of them; `OBSERVED` for the graph itself
    count: Any  # [] int32
    keep_places: Any  # [] bool, leaves all values where they are


class _Asked(NamedTuple):
    """Which items are asked for, and how they are worked at."""

    method: str  # of `METHODS`
    first: Any  # [] uint32, as of `_Which`
    count: Any  # whole number
    group_size: int
    mesh: Mesh | None


class Items(NamedTuple):
    """Controls' results."""

    value: Any  # [R], of the measure; NaN where there are fewer connected vertices than clusters
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
    if not _is_item(graph, key):
        return partition_alone(graph, jax.random.fold_in(key, OBSERVED), settings)
    size = group_size or items_at_once(graph, settings)
    made = made or stock(graph, "layer_nonzero", in_form=True)
    which = _Which(OBSERVED, np.int32(1), keep_places=np.asarray(True))
    return _first(graph, _run(graph, made, key, which, False, settings, size, mesh)[1])


def partition_controls(
    graph: Graph,
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
    made = made or stock(graph, method, in_form=True)
    parts = list(_calls(graph, made, key, settings, _Asked(method, first, count, group_size, mesh)))
    return _joined([found for found, _ in parts])


def partition_with_controls(
    graph: Graph, key: Array, settings: Settings, *, method: str, count: int, group_size: int, mesh: Mesh | None
) -> tuple[Partition, Items]:
    """`partition_graph` and the first `count` of `partition_controls`; in the same calls where one program does both.

    The graph comes before control 0, so that it shares a group with controls.
    """
    made, used = on_all_devices(stock(graph, method, in_form=True), mesh), method_of(method)
    how: dict[str, Any] = {"group_size": group_size, "mesh": mesh}
    if used.resampled or used.traded or not _is_item(graph, key):
        alone = partition_graph(graph, key, settings, made=None if used.traded else made, **how)
        return alone, partition_controls(graph, key, settings, method=method, made=made, first=0, count=count, **how)
    parts = list(_calls(graph, made, key, settings, _Asked(method, OBSERVED, 1 + count, group_size, mesh)))
    return _first(graph, parts[0][1]), jax.tree.map(lambda x: x[1:], _joined([found for found, _ in parts]))


def _calls(
    graph: Graph, made: Stock | None, key: Array, settings: Settings, asked: _Asked
) -> Iterator[tuple[Items, Partition]]:
    """Results in the order of the items, and details, of one call after the other."""
    used, (first, count, group_size, mesh) = method_of(asked.method), asked[1:]
    devices = 1 if mesh is None else mesh.size
    for start in range(0, count, CAPACITY):
        number = min(CAPACITY, count - start)
        # Beyond the graph itself the number of a control begins at 0 again.
        begin = np.uint32((int(first) + start) % 2**32) if is_concrete(first) else first + np.uint32(start)
        which = _Which(begin, np.int32(number), np.asarray(used.in_place))
        found, details = _run(graph, made, key, which, used.resampled, settings, group_size, mesh)
        found = gather(found) if is_concrete(found) else found
        yield jax.tree.map(lambda x, number=number: in_order(x, number, group_size, devices), found), details


def _joined(parts: list[Items]) -> Items:
    xp: Any = np if is_concrete(parts) else jnp
    return jax.tree.map(lambda *own: xp.concatenate(own), *parts)


def _first(graph: Graph, details: Partition) -> Partition:
    """The partition of the first item, which is the graph itself."""
    first = jax.tree.map(lambda x: x[0], gather(details) if is_concrete(details) else details)
    return jax.device_put(_in_order_of(graph, first))


def _is_item(graph: Graph, key: Array) -> bool:
    """Whether the graph itself is partitioned as its controls are."""
    return is_concrete((graph, key)) and _is_small(graph)


def warn_unless_converged(converged: Any, what: str) -> None:
    """Tell who called a public function whose own part calls this, where there are values to look at."""
    if is_concrete(converged) and not converged:
        warnings.warn(
            f"the eigenvectors of some {what} did not converge, their partitions may be worse than they could be",
            stacklevel=5,
        )


def items_at_once(graph: Graph, settings: Settings) -> int:
    """Items under one vmap where the caller leaves it open."""
    samples = sum(part.size for part in jax.tree.leaves(getattr(graph, "responses", None)))
    return controls_at_once(graph.size + samples, graph.num_nodes, settings.num_clusters, settings.num_restarts)


def _is_small(graph: Graph) -> bool:
    return graph.size <= MAX_WEIGHTS


@functools.partial(program, static_argnums=2)
def partition_alone(graph: Graph, key: Array, settings: Settings, used: Array | None = None) -> Partition:
    """The partition of a graph that no controls go with; the same, to rounding, as among them. See `partition`."""
    if not _is_small(graph):
        return partition(graph, key, settings, used)
    return _in_order_of(graph, partition(graph.formed(), key, settings, used))


def _in_order_of(graph: Graph, found: Partition) -> Partition:
    """The partition of a graph in its form, with the labels in the order of the graph's own vertices."""
    order = graph.form().order()
    return found if order is None else found._replace(labels=found.labels[order])


@functools.partial(program, static_argnums=(4, 5, 6, 7))
def _run(
    graph: Graph,
    made: Stock | None,
    key: Array,
    which: _Which,
    resample: bool,
    settings: Settings,
    group_size: int,
    mesh: Mesh | None,
) -> tuple[Items, Partition]:
    """Results of the items, and details of the first one of each device.

    A control is dealt by one part of its key and clustered by the other; the graph itself is clustered by the whole.
    """

    def item(index: Array, graph: Any, made: Stock | None, key: Array, which: _Which) -> tuple[Items, Partition]:
        number = which.first + index.astype(jnp.uint32)
        itself = number == OBSERVED
        folded = jax.random.fold_in(key, number)
        shuffle_key, cluster_key = jax.random.split(folded)
        words = jnp.where(itself, jax.random.key_data(folded), jax.random.key_data(cluster_key))
        built = _control(graph, made, shuffle_key, which.keep_places | itself, resample)
        found = partition(built, jax.random.wrap_key_data(words, impl=checks.THREEFRY), settings)
        return Items(jnp.where(found.num_empty > 0, jnp.nan, found.value), found.converged), found

    return grouped_range(
        item, which.count, graph, made, key, which, capacity=CAPACITY, group_size=group_size, mesh=mesh
    )


def _control(graph: Any, made: Stock | None, key: Array, keep_places: Array, resample: bool) -> Adjacency:
    """A control in the graph's form; the graph itself where all stays in its place."""
    if made is None:
        return jax.tree.map(functools.partial(jnp.where, keep_places), graph, remade(graph, key))
    weights = deal(made, key, keep_places, graph.size, resample=resample)
    # Weights of blocks, or in the graph's form.
    return graph.form().build(weights) if made.models is None else graph.with_weights(weights).formed()
