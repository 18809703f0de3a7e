"""Is a network more modular than the same weights shuffled?"""

import functools
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from modularity_jax.metric import checks
from modularity_jax.metric.clustering import Clustering, check_settings, cluster, partition
from modularity_jax.metric.controls import Stock, capacities, check_method, deal, stock
from modularity_jax.metric.graph import LayeredGraph, SparseGraph
from modularity_jax.metric.grouping import grouped_map
from modularity_jax.metric.numerics import program_bytes
from modularity_jax.metric.sharding import as_mesh, outside_explicit_mesh
from modularity_jax.metric.statistics import compare

Array = jax.Array


class ShuffleTest(NamedTuple):
    """n-cut of a graph against its controls'."""

    ncut: Array  # []
    shuffled_ncut: Array  # [R], NaN where a control has fewer than K connected vertices and cannot be cut into K parts
    num_left_out: Array  # [], of those; they are left out of all that follows, and where all are, it is NaN
    mean: Array  # [], of the controls
    std: Array  # [], ddof 0
    z_score: Array  # [], (ncut - mean) / std
    p_value: Array  # [], lower tail: share of partitions at least as good among the controls, at least 1 / (R + 1)
    p_upper: Array  # [], upper tail
    p_two_sided: Array  # []
    p_interval: Array  # [2], Clopper-Pearson at 95%
    effect_size: Array  # [], (median - ncut) / MAD
    clustering: Clustering  # of the graph itself
    all_converged: Array  # [] bool, of every control's eigenvectors


@outside_explicit_mesh
def shuffle_test(
    graph: LayeredGraph | SparseGraph,
    key: Array,
    *,
    num_clusters: int,
    num_shuffles: int = 200,
    method: str = "layer",
    num_restarts: int = 10,
    selection: str = "ncut",
    solver: str = "auto",
    shuffles_per_group: int = 8,
    mesh: Mesh | None = None,
) -> ShuffleTest:
    """Cluster a graph and num_shuffles controls of it, and compare the n-cuts (2003.04881, section 3).

    Shuffle r uses the key fold_in(key, r), so it is the same whatever num_shuffles, the group or the devices are. A
    control that cannot be cut into K parts has no n-cut to compare, and a warning tells how many there are; so it does
    where eigenvectors did not converge. Under jit look at `num_left_out` and `all_converged`.

    Args:
      graph: LayeredGraph or SparseGraph.
      key: typed PRNG key, consumed.
      num_clusters: K, static.
      num_shuffles: R, static.
      method: the control; see `shuffle`.
      num_restarts, selection, solver: as in `cluster`, for the graph and its controls alike.
      shuffles_per_group: controls that are clustered under one vmap; bounds the memory.
      mesh: one-axis mesh whose devices share the controls; None for the default device.

    Raises:
      ValueError: as `cluster` and `shuffle`, and if num_shuffles or shuffles_per_group is no whole number or below 1.
    """
    key = checks.as_key(key)
    _check_controls(graph, num_shuffles, method, shuffles_per_group)
    # Two programs rather than one: the first serves every control method, and compiling it is what takes long.
    observed = cluster(
        graph,
        observed_key(key),
        num_clusters=num_clusters,
        num_restarts=num_restarts,
        selection=selection,
        solver=solver,
    )
    shuffled, converged = shuffled_ncuts(
        graph,
        key,
        num_clusters=num_clusters,
        num_shuffles=num_shuffles,
        method=method,
        num_restarts=num_restarts,
        selection=selection,
        solver=solver,
        shuffles_per_group=shuffles_per_group,
        mesh=mesh,
    )
    return _told(compare_with(observed, shuffled, converged), int(num_clusters))


def _told(test: ShuffleTest, num_clusters: int) -> ShuffleTest:
    """The test, with warnings of what weakens it where there are values to look at."""
    if not checks.is_concrete(test):
        return test
    if test.num_left_out:
        warnings.warn(
            f"{test.num_left_out} of {test.shuffled_ncut.size} controls have fewer than num_clusters={num_clusters} "
            "connected neurons and are left out of the comparison; a smaller num_clusters, or a method that keeps the "
            "places of the weights, leaves out fewer",
            stacklevel=3,
        )
    if not test.all_converged:
        warnings.warn("the eigenvectors of some controls did not converge, their n-cuts may be too high", stacklevel=3)
    return test


@outside_explicit_mesh
def shuffled_ncuts(
    graph: LayeredGraph | SparseGraph,
    key: Array,
    *,
    num_clusters: int,
    num_shuffles: int,
    first: ArrayLike = 0,
    method: str,
    num_restarts: int,
    selection: str,
    solver: str,
    shuffles_per_group: int,
    mesh: Mesh | None = None,
) -> tuple[Array, Array]:
    """A shuffle test's controls first .. first + num_shuffles - 1: n-cut [R], and whether eigenvectors converged [R].

    The n-cut is NaN where there are fewer connected vertices than clusters.

    A long test can so be done in parts, which together are what it would be in one. Arguments and errors as
    `shuffle_test`; `first` is no static number, so that the parts share a program.
    """
    _check_controls(graph, num_shuffles, method, shuffles_per_group)
    check_settings(graph, num_clusters, num_restarts, selection, solver)
    mesh, settings = as_mesh(mesh), (int(num_clusters), int(num_restarts), selection, solver)
    stocks = _stock(graph, method, capacities(graph))
    start = jnp.asarray(first, jnp.uint32)
    return _cluster_controls(
        graph, stocks, key, start, settings, int(num_shuffles), method, int(shuffles_per_group), mesh
    )


def controls_bytes(
    graph: LayeredGraph | SparseGraph,
    *,
    num_clusters: int,
    method: str,
    num_restarts: int,
    selection: str,
    solver: str,
    shuffles_per_group: int,
) -> int:
    """Memory of `shuffled_ncuts` on a device that has several groups of controls; arguments as there."""
    return program_bytes(
        _cluster_controls.lower(
            graph,
            _stock(graph, method, capacities(graph)),
            jax.random.key(0),
            jnp.uint32(0),
            (num_clusters, num_restarts, selection, solver),
            2 * shuffles_per_group,
            method,
            shuffles_per_group,
            None,
        )
    )


def compare_with(observed: Clustering, shuffled: Array, converged: Array) -> ShuffleTest:
    """The test of a clustered graph against its controls' n-cuts [R]."""
    value = jnp.where(observed.num_empty > 0, jnp.nan, observed.ncut)
    return ShuffleTest(
        ncut=observed.ncut,
        shuffled_ncut=shuffled,
        **_compare(value, shuffled)._asdict(),
        clustering=observed,
        all_converged=converged.all(),
    )


def _check_controls(graph: LayeredGraph | SparseGraph, num_shuffles: int, method: str, shuffles_per_group: int) -> None:
    checks.check_count("num_shuffles", num_shuffles, 1)
    checks.check_count("shuffles_per_group", shuffles_per_group, 1)
    check_method(graph, method)


def observed_key(key: Array) -> Array:
    """The key with which a shuffle test clusters the graph itself; no shuffle has it, since r stays below 2^32 - 1."""
    return jax.random.fold_in(key, 2**32 - 1)


_compare = jax.jit(compare)
_stock = jax.jit(stock, static_argnums=(1, 2))


@functools.partial(jax.jit, static_argnums=(4, 5, 6, 7, 8))
def _cluster_controls(
    graph: LayeredGraph | SparseGraph,
    stocks: tuple[Stock, ...],
    key: Array,
    first: Array,
    settings: tuple[int, int, str, str],
    num_shuffles: int,
    method: str,
    group_size: int,
    mesh: Mesh | None,
) -> tuple[Array, Array]:
    """n-cut [R] of each control, and whether its eigenvectors converged [R]."""

    def control(
        index: Array, graph: LayeredGraph | SparseGraph, stocks: tuple[Stock, ...], key: Array
    ) -> tuple[Array, Array]:
        shuffle_key, cluster_key = jax.random.split(jax.random.fold_in(key, index))
        embedding, _, cut, num_empty = partition(deal(graph, stocks, shuffle_key, method), cluster_key, *settings)
        return jnp.where(num_empty > 0, jnp.nan, cut), embedding.converged

    indices = first + jnp.arange(num_shuffles, dtype=jnp.uint32)
    results = grouped_map(control, indices, graph, stocks, key, group_size=group_size, mesh=mesh)
    if mesh is not None:
        # Whole on every device: a sum over parts on two devices rounds otherwise than the sum over all on one.
        results = jax.lax.with_sharding_constraint(results, NamedSharding(mesh, PartitionSpec()))
    return results
