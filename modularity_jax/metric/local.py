"""Local partitionings: each hidden layer by its own neighbourhood (Hod et al., 2110.08058)."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.neighbourhoods import Layered, between_ends
from modularity_jax.graphs.numerics import count
from modularity_jax.metric.items import items_at_once, partition_alone
from modularity_jax.metric.partition import check_settings
from modularity_jax.metric.settings import Settings
from modularity_jax.parallel import as_mesh, gather, grouped_map, on_all_devices, outside_explicit_mesh
from modularity_jax.programs import is_concrete, program

Array = jax.Array


class LocalClustering(NamedTuple):
    """A partition of each of L hidden layers; labels of different layers have nothing to do with each other."""

    #: [N] int32, those of hidden layer l in 0..num_clusters[l] - 1, not all of which need occur in the layer itself; -1
    #: on inputs, outputs and isolated vertices
    labels: Array
    ncut: Array  #: [L], of the partition of each layer's neighbourhood
    num_clusters: Array  #: [L] int32, clusters of each layer's neighbourhood
    converged: Array  #: [L] bool, of the eigenvectors


@outside_explicit_mesh
def cluster_locally(
    graph: Layered,
    key: Array,
    *,
    num_clusters: int,
    counts: ArrayLike,
    num_restarts: int = 10,
    refine: bool = True,
    mesh: Mesh | None = None,
) -> LocalClustering:
    """Cluster the neighbourhood of each hidden layer by the n-cut, and keep the layer's own labels.

    Of a LayeredGraph the neighbourhood is the layer with the one before and the one after it (2110.08058, as its
    authors' code means it). One program serves all layers, and all networks of a shape. `jax.vmap` batches it.

    Args:
      graph: LayeredGraph with L hidden layers.
      key: typed PRNG key, consumed; layer l = 1..L uses fold_in(key, l).
      num_clusters: the most clusters of any layer, static; as for the whole graph.
      counts: clusters of each layer's neighbourhood, [L] integers in 1..num_clusters, traced; `counts_by_layer` tells
        those of a global clustering. With 1 all live units of the layer have the label 0; 0, which is the count of a
        layer without a live unit, is taken as 1. Where a neighbourhood has fewer connected vertices, it has so many.
      num_restarts, refine: as in `cluster`.
      mesh: one-axis mesh whose devices share the layers; None for the default device.

    Raises:
      ValueError: as `cluster`; and if the graph has no hidden layer, the counts are not one integer for each, or one
        lies outside 0..num_clusters (not looked at under jit).
    """
    settings, mesh = Settings(num_clusters, num_restarts, "ncut", "auto", refine), as_mesh(mesh)
    check_settings(settings, graph)
    if not getattr(graph, "hidden_layers", ()):
        known = "as a LayeredGraph of two kernels or more has"
        raise ValueError(f"graph must have hidden layers, {known}, got a {type(graph).__name__} without")
    given = _as_counts(counts, len(graph.hidden_layers), num_clusters)
    size = min(items_at_once(graph, settings), len(graph.hidden_layers))
    found = _cluster(*on_all_devices((graph, checks.as_key(key), given), mesh), settings, size, mesh)
    return jax.device_put(gather(found)) if is_concrete(found) else found


def counts_by_layer(labels: ArrayLike, widths: Sequence[int]) -> list[int]:
    """Number of distinct labels of at least 0 in each hidden layer, on the host.

    Args:
      labels: [N] integers, concrete.
      widths: of all layers, inputs and outputs included.

    Raises:
      ValueError: if the labels are not integers, one for each unit of the layers.
    """
    given = np.asarray(checks.as_integers("labels", labels))
    if given.shape != (sum(widths),):
        raise ValueError(f"labels must have shape ({sum(widths)},), one per unit, got {given.shape}")
    return [np.unique(own[own >= 0]).size for own in (given[layer] for layer in between_ends(widths))]


def _as_counts(counts: ArrayLike, num_layers: int, num_clusters: int) -> Any:
    """Checked counts, [L] int32, of NumPy where they are not JAX's."""
    given = checks.as_integers("counts", counts)
    if given.shape != (num_layers,):
        raise ValueError(f"counts must have shape ({num_layers},), one per hidden layer, got {given.shape}")
    if is_concrete(given) and not 0 <= np.min(given) <= np.max(given) <= num_clusters:
        raise ValueError(f"counts must lie in 0..{num_clusters}, got {np.min(given)}..{np.max(given)}")
    return given.astype(np.int32)


@functools.partial(program, static_argnums=(3, 4, 5))
def _cluster(
    graph: Layered, key: Array, counts: Array, settings: Settings, group_size: int, mesh: Mesh | None
) -> LocalClustering:
    """The clusterings of all layers, and their labels in the places of their units."""
    graphs, middle = graph.neighbourhoods()

    def cluster_layer(layer: Any, key: Array) -> tuple[Array, ...]:
        own, number, wanted = layer
        used = jnp.clip(wanted, 1, jnp.maximum(count(own.degrees() > 0), 1))
        found = partition_alone(own, jax.random.fold_in(key, number), settings, used)
        return found.labels[middle], found.value, used, found.converged

    numbers = jnp.arange(1, 1 + counts.size, dtype=jnp.uint32)
    each, *rest = grouped_map(cluster_layer, (graphs, numbers, counts), key, group_size=group_size, mesh=mesh)
    labels = jnp.full(graph.num_nodes, -1, jnp.int32)
    for own, layer in zip(each, graph.hidden_layers, strict=True):
        labels = labels.at[layer].set(own[: layer.stop - layer.start])
    return LocalClustering(labels, *rest)
