"""The normalised cut of a partition (Shi and Malik 2000)."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array


@outside_explicit_mesh
def ncut(graph: Adjacency, labels: ArrayLike, *, num_clusters: int) -> Array:
    """n-cut of a partition: sum over its clusters c of cut(X_c) / vol(X_c).

    cut(X) is the weight between X and all other vertices, vol(X) the sum of degrees in X. It lies between 0 and the
    number of clusters; lower is more modular. A cluster without a connected member is no part of the partition and
    has no term. Differentiable in the weights.

    Args:
      graph: LayeredGraph or SparseGraph with N vertices. One without an edge has the n-cut 0.
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
    checks.check_graph(graph)
    checks.check_count("num_clusters", num_clusters, 2)
    given = checks.as_integers("labels", labels)
    checks.check_clusters(given, num_clusters, graph.num_nodes)
    return batched_ncut(graph, jnp.asarray(given, jnp.int32)[None], num_clusters=int(num_clusters))[0]


@functools.partial(jax.jit, static_argnames="num_clusters")
@full_precision
def batched_ncut(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """n-cuts [X] of X partitions [X, N] of one graph, by one product with its edges; unchecked."""
    degrees = graph.degrees()
    # Those without a cluster have one of their own, whose term is left out.
    clusters = jnp.arange(num_clusters + 1, dtype=jnp.int32)[None, :, None]
    members = (jnp.where(labels < 0, num_clusters, labels)[:, None, :] == clusters).astype(degrees.dtype)
    # Summing over the vertices outside, rather than volume minus inner weight, keeps a small cut exact.
    sides = graph.sides()
    if sides is None:
        cut = (_rows(graph.matvec, members) * (1 - members)).sum(axis=2)
    else:
        # Each edge once: what the larger side receives from other clusters is cut for both of its ends'.
        small, large = sides.split(members)
        crossing = _rows(sides.to_large, small) * (1 - large)
        cut = crossing.sum(axis=2) + (large * crossing.sum(axis=1, keepdims=True)).sum(axis=2)
    return _share(cut, members @ degrees)[:, :num_clusters].sum(axis=1)


def _rows(product: Callable[[Array], Array], x: Array) -> Array:
    """The product with each of the rows of x [X, K, M]."""
    return product(x.reshape(-1, x.shape[2])).reshape(*x.shape[:2], -1)


@jax.custom_jvp
def _share(part: Array, whole: Array) -> Array:
    """Quotient of the two, 0 where the whole is 0.

    With a rule of its own for the derivative: JAX's divides by the whole's square, which leaves float32 beyond 1e19.
    """
    return _divide(part, whole)


@_share.defjvp
def _share_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    share = _divide(*primals)
    return share, _divide(tangents[0] - share * tangents[1], primals[1])


def _divide(part: Array, whole: Array) -> Array:
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)
