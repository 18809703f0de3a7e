"""The normalised cut of a partition (Shi and Malik 2000)."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import divide, full_precision
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.moves import members_of, received_by
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array


@outside_explicit_mesh
def ncut(graph: Adjacency, labels: ArrayLike, *, num_clusters: int) -> Array:
    """n-cut of a partition: sum over its clusters c of cut(X_c) / vol(X_c).

    cut(X) is the weight between X and all other vertices, vol(X) the sum of degrees in X. It lies between 0 and the
    number of clusters; lower is more modular. A cluster without a connected member is no part of the partition and
    has no term. Differentiable in the weights.

    Args:
      graph: any graph, with N vertices. One without an edge has the n-cut 0.
      labels: cluster of each vertex, [N] integers in -1..num_clusters - 1; -1 (and any label on an isolated vertex)
        means none. Edges to a vertex without a cluster count as cut.
      num_clusters: K, static; may exceed the number of vertices.

    Returns:
      Scalar. The same, to rounding, whatever the scale of the weights (see `LayeredGraph.from_weights`); so is its
      gradient times the scale.

    Raises:
      ValueError: if num_clusters is not a whole number or below 2, or the labels are not integers or have the wrong
        length or range, or graph is no graph.
    """
    given = checks.as_partition(graph, labels, num_clusters)
    return batched_ncut(graph, given[None], num_clusters=int(num_clusters))[0]


@functools.partial(jax.jit, static_argnames="num_clusters")
@full_precision
def batched_ncut(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """n-cuts [X] of X partitions [X, N] of one graph, by one product with its edges; unchecked."""
    return _share(*cuts_and_volumes(graph, labels, num_clusters)).sum(axis=1)


def cuts_and_volumes(graph: Adjacency, labels: Array, num_clusters: int) -> tuple[Array, Array]:
    """Weight between each cluster and all other vertices, and its degrees' sum, [X, K] each, of labels [X, N]."""
    degrees = graph.degrees()
    # Those without a cluster have one of their own, which is left out at the end.
    members = members_of(jnp.where(labels < 0, num_clusters, labels), num_clusters + 1, degrees.dtype)
    # Summing over the vertices outside, rather than volume minus inner weight, keeps a small cut exact.
    sides = graph.sides()
    if sides is None:
        cut = (received_by(graph.matvec, members) * (1 - members)).sum(axis=2)
    else:
        # Each edge once: what the larger side receives from other clusters is cut for both of its ends'.
        small, large = sides.split(members)
        crossing = received_by(sides.to_large, small) * (1 - large)
        cut = crossing.sum(axis=2) + (large * crossing.sum(axis=1, keepdims=True)).sum(axis=2)
    return cut[:, :num_clusters], (members @ degrees)[:, :num_clusters]


@jax.custom_jvp
def _share(part: Array, whole: Array) -> Array:
    """Quotient of the two, 0 where the whole is 0.

    With a rule of its own for the derivative: JAX's divides by the whole's square, which leaves float32 beyond 1e19.
    """
    return divide(part, whole)


@_share.defjvp
def _share_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    share = divide(*primals)
    return share, divide(tangents[0] - share * tangents[1], primals[1])
