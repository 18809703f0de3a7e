"""The normalised cut of a partition (Shi and Malik 2000)."""

import functools

import jax
import jax.numpy as jnp

from modularity_jax.metric import checks
from modularity_jax.metric.graph import Graph
from modularity_jax.metric.numerics import full_precision

Array = jax.Array


def ncut(graph: Graph, labels: Array, *, num_clusters: int) -> Array:
    """n-cut of a partition: sum over its clusters c of cut(X_c) / vol(X_c).

    cut(X) is the weight between X and all other vertices, vol(X) the sum of degrees in X. It lies between 0 and the
    number of clusters; lower is more modular. A cluster without a connected member is no part of the partition and
    has no term. Differentiable in the weights.

    Args:
      graph: LayeredGraph or SparseGraph with N vertices.
      labels: cluster of each vertex, [N] integers in -1..num_clusters - 1; -1 (and any label on an isolated vertex)
        means none. Edges to a vertex without a cluster count as cut.
      num_clusters: K, static.

    Returns:
      Scalar.

    Raises:
      ValueError: if num_clusters is below 2, or the labels have the wrong length, type or range.
    """
    labels = jnp.asarray(labels)
    checks.check_at_least("num_clusters", num_clusters, 2)
    checks.check_labels(labels, num_clusters, graph.num_nodes)
    return batched_ncut(graph, labels[None], num_clusters=num_clusters)[0]


@functools.partial(jax.jit, static_argnames="num_clusters")
@full_precision
def batched_ncut(graph: Graph, labels: Array, *, num_clusters: int) -> Array:
    """n-cuts [X] of X partitions [X, N] of one graph, by one product with the adjacency matrix; unchecked."""
    degrees = graph.degrees()
    members = (labels[:, None, :] == jnp.arange(num_clusters)[None, :, None]).astype(degrees.dtype)
    received = graph.matvec(members.reshape(-1, degrees.size)).reshape(members.shape)
    # Summing over the vertices outside, rather than volume minus inner weight, keeps a small cut exact.
    cut = (received * (1 - members)).sum(axis=2)
    volume = members @ degrees
    return jnp.where(volume > 0, cut / jnp.where(volume > 0, volume, 1), 0).sum(axis=1)
