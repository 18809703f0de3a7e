"""Coverage of a partition: the share of the weight that lies inside clusters (Fortunato 2010, section III C)."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import divide, full_precision, near_one
from modularity_jax.graphs.protocol import Adjacency, Graph
from modularity_jax.metric.moves import members_of, weight_inside
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array


@outside_explicit_mesh
def coverage(graph: Graph, labels: ArrayLike, *, num_clusters: int, power: int = 1) -> Array:
    """Share of |weight|^power that lies inside clusters. Differentiable in the weights, and in soft labels.

    With power 2 and one kernel it is the clusterability by which Golechha et al. train networks to be modular, whose
    chance level is 1 / K.

    Args:
      graph, labels, num_clusters: as `modularity`.
      power: static, at least 1; of each weight that the graph was built of.

    Returns:
      Scalar in 0..1, higher is more modular; 0 of a graph without an edge.

    Raises:
      ValueError: as `modularity`, or if power is not a whole number or below 1.
    """
    checks.check_count("power", power, 1)
    members = checks.as_members(graph, labels, num_clusters)
    return _powered_coverage(graph, members[None], int(power))[0]


@functools.partial(jax.jit, static_argnames="num_clusters")
def batched_coverage(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """Coverage [X], 0 to 1, of X partitions [X, N] of one graph; unchecked. Higher is more modular."""
    return _coverage_of_members(graph, members_of(labels, num_clusters, graph.degrees().dtype))


@functools.partial(jax.jit, static_argnums=2)
def _powered_coverage(graph: Graph, members: Array, power: int) -> Array:
    weights = near_one(jnp.concatenate([block.weights.reshape(-1) for block in graph.blocks()]))
    return _coverage_of_members(graph.with_weights(weights**power), members.astype(weights.dtype))


@full_precision
def _coverage_of_members(graph: Adjacency, members: Array) -> Array:
    return divide(2 * weight_inside(graph, members).sum(axis=1), graph.degrees().sum()[None])
