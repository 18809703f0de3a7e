"""Is a network more modular than the same weights shuffled?"""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from modularity_jax.graphs import checks
from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.clustering import Clustering, clustering_of
from modularity_jax.metric.controls import check_method
from modularity_jax.metric.items import items_at_once, partition_with_controls, warn_unless_converged
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.partition import check_settings
from modularity_jax.metric.settings import Settings
from modularity_jax.metric.statistics import compare
from modularity_jax.parallel import as_mesh, outside_explicit_mesh
from modularity_jax.programs import is_concrete

Array = jax.Array


class ShuffleTest(NamedTuple):
    """A graph's value of a measure against its controls'."""

    observed: Array  #: []
    controls: Array  #: [R], NaN where a control has fewer than K connected vertices and cannot be cut into K parts
    num_left_out: Array  #: [], of those; they are left out of all that follows, and where all are, it is NaN
    mean: Array  #: [], of the controls
    std: Array  #: [], ddof 0
    z_score: Array  #: [], (observed - mean) / std
    p_value: Array  #: [], share of the controls that are at least as modular, itself included: at least 1 / (R + 1)
    p_opposite: Array  #: [], of those that are at most as modular
    p_two_sided: Array  #: []
    p_interval: Array  #: [2], Clopper-Pearson at 95%
    effect_size: Array  #: [], |median - observed| / MAD, negative where the graph is less modular
    clustering: Clustering  #: of the graph itself
    all_converged: Array  #: [] bool, of every control's eigenvectors


@outside_explicit_mesh
def shuffle_test(
    graph: Graph,
    key: Array,
    *,
    num_clusters: int,
    num_shuffles: int = 200,
    method: str = "layer",
    num_restarts: int = 10,
    selection: str = "ncut",
    solver: str = "auto",
    refine: bool = True,
    measure: str = "ncut",
    gamma: float = 1.0,
    shuffles_per_group: int | None = None,
    mesh: Mesh | None = None,
) -> ShuffleTest:
    """Cluster a graph and num_shuffles controls of it, and compare their n-cuts (2003.04881, section 3).

    Shuffle r uses the key fold_in(key, r), so it is the same whatever num_shuffles, the group or the devices are. A
    control that cannot be cut into K parts has no value to compare, and a warning tells how many there are; so it does
    where eigenvectors did not converge. Under jit look at `num_left_out` and `all_converged`.

    Args:
      graph: LayeredGraph, BlockGraph, SparseGraph or DenseGraph.
      key: typed PRNG key, consumed.
      num_clusters: K, static.
      num_shuffles: R.
      method: the control; see `shuffle`.
      num_restarts, selection, solver, refine, measure, gamma: as in `cluster`, for the graph and its controls alike.
      shuffles_per_group: controls that are clustered under one vmap; bounds the memory. None takes 1 on CPU cores, and
        on an accelerator what fills it; another number rounds differently.
      mesh: one-axis mesh whose devices share the controls; None for the default device.

    Raises:
      ValueError: as `cluster` and `shuffle`, and if num_shuffles or shuffles_per_group is no whole number or below 1.
    """
    key = checks.as_key(key)
    _check_controls(graph, num_shuffles, method, shuffles_per_group)
    settings, mesh = Settings(num_clusters, num_restarts, selection, solver, refine, measure, gamma), as_mesh(mesh)
    check_settings(settings, graph)
    size = int(shuffles_per_group or items_at_once(graph, settings))
    found, shuffled = partition_with_controls(
        graph, key, settings, method=method, count=int(num_shuffles), group_size=size, mesh=mesh
    )
    observed = clustering_of(graph, found, settings)
    return _told(compare_with(observed, *shuffled, higher=measure_of(measure).higher), int(num_clusters))


def _told(test: ShuffleTest, num_clusters: int) -> ShuffleTest:
    """The test, with warnings of what weakens it where there are values to look at."""
    if not is_concrete(test):
        return test
    if test.num_left_out:
        warnings.warn(
            f"{test.num_left_out} of {test.controls.size} controls have fewer than num_clusters={num_clusters} "
            "connected neurons and are left out of the comparison; a smaller num_clusters, or a method that keeps the "
            "places of the weights, leaves out fewer",
            stacklevel=4,
        )
    warn_unless_converged(test.all_converged, "controls")
    return test


def compare_with(observed: Clustering, shuffled: Any, converged: Any, *, higher: bool = False) -> ShuffleTest:
    """The test of a clustered graph against its controls' values [R], of which a higher one is more modular or less."""
    xp: Any = np if is_concrete((observed, shuffled)) else jnp
    value = xp.where(xp.asarray(observed.num_empty) > 0, xp.nan, xp.asarray(observed.value))
    return ShuffleTest(
        observed=observed.value,
        controls=shuffled,
        **compare(value.astype(observed.value.dtype), xp.asarray(shuffled), higher=higher)._asdict(),
        clustering=observed,
        all_converged=converged.all(),
    )


def _check_controls(graph: Graph, num_shuffles: int, method: str, shuffles_per_group: Any) -> None:
    checks.check_count("num_shuffles", num_shuffles, 1)
    if shuffles_per_group is not None:
        checks.check_count("shuffles_per_group", shuffles_per_group, 1)
    check_method(graph, method)
