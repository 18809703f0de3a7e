"""Spectral clusterability: how far a graph is from falling apart, by its Laplacian's least eigenvalues; differentiable.

With D the degrees and A the weights, L = I - D^-1/2 A D^-1/2 has one eigenvalue 0 for each connected component, which
is trivial. The next K - 1 are small where the graph nearly falls into K parts.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import divide, full_precision, near_one
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.readers import graph_of
from modularity_jax.metric.beyond_trivial import SPARE, leading_vectors, ritz, units
from modularity_jax.metric.embedding import inverse_roots
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array


@outside_explicit_mesh
def spectral_clusterability(graph: Graph, *, num_clusters: int = 4, vectors: ArrayLike | None = None) -> Array:
    """Sum of the num_clusters - 1 least eigenvalues of L = I - D^-1/2 A D^-1/2 beyond the trivial ones.

    Lower is more modular. On a connected graph no partition into num_clusters parts has a lower n-cut. Differentiable
    in the weights: with x = D^-1/2 u for unit eigenvectors u held fixed, the sum is a trace,

        tr (X^T D X)^-1 X^T (D - A) X,   d/dw_mn = sign(w_mn) sum_q [(x_qm - x_qn)^2 - l_q (x_qm^2 + x_qn^2)],

    which does not depend on the basis, so that eigenvalues within the sum may coincide. First derivatives only.

    Where the graph falls apart, an eigenvalue of the sum reaches 0, becomes trivial and is left out: the value jumps up
    to the next one, and the gradient goes on to part the components. Isolated vertices have no part in it, and what a
    graph of few vertices lacks counts as 1.

    Args:
      graph: LayeredGraph, BlockGraph or SparseGraph with N vertices. Where it has two sides, as a LayeredGraph,
        eigenvalues above 1 count as 1.
      num_clusters: K, static. The papers' three eigenvalues are K = 4.
      vectors: from `spectral_vectors` of this graph, [N, at least K - 1]. Of other vectors the value is the least that
        their span allows, on a connected graph never below the exact one (Courant and Fischer). None: computed to
        convergence, which takes as long as ten or more steps of training.

    Returns:
      Scalar. The same, to rounding, whatever the scale of the weights; so is its gradient times the scale.

    Raises:
      ValueError: if num_clusters is not a whole number, below 2 or above the number of connected vertices, the graph
        has no edge, vectors have another shape or are no real numbers, or graph is no graph.
    """
    checks.check_graph(graph)
    checks.check_num_clusters(num_clusters, graph)
    if vectors is None:
        vectors = spectral_vectors(graph, num_clusters=num_clusters)
    least = num_clusters - 1
    given = checks.as_numbers("vectors", vectors)
    if len(given.shape) != 2 or given.shape[0] != graph.num_nodes or given.shape[1] < least:
        raise ValueError(
            f"vectors must have shape ({graph.num_nodes}, {least}), or more columns, got {tuple(given.shape)}"
        )
    return _clusterability(graph, jnp.asarray(given), int(num_clusters))


@outside_explicit_mesh
def spectral_vectors(
    graph: Graph, *, num_clusters: int = 4, start: ArrayLike | None = None, num_products: int = 1
) -> Array:
    """Eigenvectors for `spectral_clusterability`, and two more; exact, or one step on from those of other weights.

    Args:
      graph, num_clusters: as `spectral_clusterability`.
      start: what this function gave for nearly the same weights, as of the training step before, [N, K + 1]. None:
        computed to convergence, by block Krylov from a start of its own.
      num_products: iterations from `start`, static. Each shrinks the error of the vector to the eigenvalue l by the
        factor ((1 - l') / (1 - l))^2, where l' is the first without a vector; on graphs without two sides only by
        (2 - l') / (2 - l), so that 4 are better there.

    Returns:
      Unit eigenvectors of the least eigenvalues beyond the trivial ones in columns, [N, K + 1], zero on isolated
      vertices and where there are fewer; without a gradient.

    Raises:
      ValueError: as `spectral_clusterability`; if start has another shape, or num_products is not a whole number or
        below 1.
    """
    checks.check_graph(graph)
    checks.check_num_clusters(num_clusters, graph)
    checks.check_count("num_products", num_products, 1)
    if start is None:
        return leading_vectors(graph, None, int(num_clusters), 1)
    given, shape = checks.as_numbers("start", start), (graph.num_nodes, num_clusters - 1 + SPARE)
    if given.shape != shape:
        raise ValueError(f"start must have shape {shape}, got {given.shape}")
    return leading_vectors(graph, jnp.asarray(given), int(num_clusters), int(num_products))


def clusterability_penalty(params: Any, *, num_clusters: int = 4, vectors: ArrayLike | None = None) -> Array:
    """`spectral_clusterability` of a network as its library holds it, to be added to a loss with a weight.

    Args:
      params: anything that `graph_of` reads.
      num_clusters, vectors: as `spectral_clusterability`.

    Raises:
      ValueError: as `graph_of` and `spectral_clusterability`.
    """
    return spectral_clusterability(graph_of(params), num_clusters=num_clusters, vectors=vectors)


@functools.partial(jax.jit, static_argnums=2)
@full_precision
def _clusterability(graph: Graph, vectors: Array, num_clusters: int) -> Array:
    """The trace form over the leading Ritz vectors of what the columns [N, B] span."""
    degrees = graph.degrees()
    fixed = jax.lax.stop_gradient(degrees)
    roots = jnp.sqrt(fixed)
    rows = units(near_one(vectors.T.astype(roots.dtype)))
    # A sum, no product: XLA has other ones for a vector than for a matrix of one column.
    along = divide((rows * roots[None, :]).sum(axis=1), fixed.sum())
    rows = rows - along[:, None] * roots[None, :]
    points = jax.lax.stop_gradient(units(rows)) * inverse_roots(fixed)[None, :]
    inner, cross = (points * degrees[None, :]) @ points.T, _cross(graph, points)
    mix = jax.lax.stop_gradient(ritz(inner, cross)[: num_clusters - 1])
    kept = divide(((mix @ cross) * mix).sum(axis=1), ((mix @ inner) * mix).sum(axis=1))
    return num_clusters - 1 - kept.sum()


def _cross(graph: Graph, points: Array) -> Array:
    """X A X^T [B, B] of rows X [B, N]; each edge once where there are sides."""
    sides = graph.sides()
    if sides is None:
        return graph.matvec(points) @ points.T
    small, large = sides.split(points)
    half = sides.to_large(small) @ large.T
    return half + half.T
