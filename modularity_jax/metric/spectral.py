"""Spectral clusterability: how far a graph is from falling apart, by its Laplacian's least eigenvalues; differentiable.

With D the degrees and A the weights, L = I - D^-1/2 A D^-1/2 has one eigenvalue 0 for each connected component, which
is trivial. The next K - 1 are small where the graph nearly falls into K parts.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.components import component_labels
from modularity_jax.graphs.numerics import divide, full_precision, near_one
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.readers import graph_of
from modularity_jax.graphs.sides import Sides
from modularity_jax.metric.krylov import DEPTH, leading_eigenpairs, scaled
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array

# Vectors beyond those that are asked for: an iteration's error shrinks by the gap to the first one left out.
SPARE = 2


class _Space(NamedTuple):
    """Where eigenvectors are sought: on the smaller side of a bipartite graph, else on all vertices."""

    enter: Callable[[Array], Array]  # rows [B, N] -> [B, M]
    project: Callable[[Array], Array]  # rows [B, M] without what is trivial and what is isolated
    operator: Callable[[Array], Array]  # rows [B, M] -> [B, M]; its spectrum lies in [0, 1]
    lift: Callable[[Array], Array]  # rows [B, M] -> Ritz vectors [B, N] of D^-1/2 A D^-1/2, leading ones first


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
      graph: LayeredGraph, BlockGraph or SparseGraph with N vertices. In one of two sides no eigenvalue above 1 counts.
      num_clusters: K, static. The papers' three eigenvalues are K = 4.
      vectors: from `spectral_vectors` of this graph or of nearly the same weights, [N, at least K - 1]. Whatever they
        are, the value is no lower than the exact one, up to components that fell apart since. None: they are computed
        to convergence, which takes as long as dozens of steps of training.

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
      num_products: iterations from `start`, each of which multiplies an error by (1 - l)^2 ratios of the eigenvalues
        left out and kept; static.

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
        return _vectors(graph, None, int(num_clusters), 1)
    given, shape = checks.as_numbers("start", start), (graph.num_nodes, num_clusters - 1 + SPARE)
    if given.shape != shape:
        raise ValueError(f"start must have shape {shape}, got {given.shape}")
    return _vectors(graph, jnp.asarray(given), int(num_clusters), int(num_products))


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
    rows = _units(near_one(vectors.T.astype(roots.dtype)))
    rows = rows - divide(rows @ roots, fixed.sum())[:, None] * roots[None, :]
    points = jax.lax.stop_gradient(_units(rows)) * divide(jnp.ones_like(roots), roots)[None, :]
    inner, cross = (points * degrees[None, :]) @ points.T, _cross(graph, points)
    mix = jax.lax.stop_gradient(_ritz(inner, cross)[: num_clusters - 1])
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


@functools.partial(jax.jit, static_argnums=(2, 3))
@full_precision
def _vectors(graph: Graph, start: Array | None, num_clusters: int, num_products: int) -> Array:
    space = _space(jax.lax.stop_gradient(graph))
    width, roots = num_clusters - 1 + SPARE, jnp.sqrt(graph.degrees())
    fresh = space.project(space.enter(_scattered(width, roots)))
    if start is None:
        return space.lift(_solved(space, fresh)).T

    def improve(_: int, vectors: Array) -> Array:
        rows = _units(space.project(space.enter(vectors)))
        # A direction that the network lacked for a while, as without any edge, is sought anew.
        rows = jnp.where((rows != 0).any(axis=1)[:, None], rows, fresh)
        return space.lift(_units(space.project(space.operator(rows))))

    rows = _units(near_one(jax.lax.stop_gradient(start).T.astype(roots.dtype)))
    return jax.lax.fori_loop(0, num_products, improve, rows).T


def _solved(space: _Space, start: Array) -> Array:
    """The operator's leading eigenvectors [B, M], but for what is trivial."""
    width, size = start.shape

    def operator(rows: Array) -> Array:
        return space.project(space.operator(rows))

    def tolerance(values: Array) -> Array:
        return jnp.where(jnp.arange(width) < width - SPARE, jnp.finfo(values.dtype).eps ** 0.75, jnp.inf)

    if size > DEPTH * width:
        return leading_eigenpairs(operator, start, num_pairs=width, tolerance=tolerance).vectors
    # A Krylov basis would be no smaller than the whole. What is trivial gets -1, below all that is sought.
    identity = jnp.eye(size, dtype=start.dtype)
    proper = space.project(identity)
    matrix = operator(proper) + proper - identity
    vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)[1][:, ::-1][:, :width].T
    return jnp.pad(_units(space.project(vectors)), ((0, width - vectors.shape[0]), (0, 0)))


def _space(graph: Graph) -> _Space:
    degrees, labels, sides = graph.degrees(), component_labels(graph), graph.sides()
    roots = jnp.sqrt(degrees)
    scale = divide(jnp.ones_like(roots), roots)
    if sides is not None:
        return _smaller_side(sides, scale, roots, labels)

    def adjacency(rows: Array) -> Array:
        return scale[None, :] * graph.matvec(scale[None, :] * rows)

    def lift(rows: Array) -> Array:
        return _ritz(rows @ rows.T, adjacency(rows) @ rows.T) @ rows

    project = functools.partial(_without_trivial, roots=roots, labels=labels, num_labels=roots.size)
    return _Space(lambda rows: rows, project, lambda rows: (adjacency(rows) + rows) / 2, lift)


def _smaller_side(sides: Sides, scale: Array, roots: Array, labels: Array) -> _Space:
    """With B the block of D^-1/2 A D^-1/2 between the sides, B^T B has its eigenvalues' squares (see `embed`)."""
    small, large = sides.split(scale)

    def to_large(rows: Array) -> Array:
        return sides.to_large(rows * small[None, :]) * large[None, :]

    def operator(rows: Array) -> Array:
        return sides.to_small(to_large(rows) * large[None, :]) * small[None, :]

    def lift(rows: Array) -> Array:
        images = to_large(rows)
        mix = _ritz(rows @ rows.T, images @ images.T)
        return sides.join(mix @ rows, _units(mix @ images)) * 0.5**0.5

    own, numbers = sides.split(roots)[0], sides.split(labels)[0]
    project = functools.partial(_without_trivial, roots=own, labels=numbers, num_labels=roots.size)
    return _Space(lambda rows: sides.split(rows)[0], project, operator, lift)


def _without_trivial(rows: Array, *, roots: Array, labels: Array, num_labels: int) -> Array:
    """Rows [B, M] less what the components' vectors D^1/2 1 hold of them, and 0 on isolated vertices."""
    parts = jax.ops.segment_sum((rows * roots[None, :]).T, labels, num_segments=num_labels)
    volumes = jax.ops.segment_sum(roots**2, labels, num_segments=num_labels)
    shares = divide(parts, volumes[:, None])[labels].T
    return jnp.where(roots > 0, rows - shares * roots[None, :], 0)


def _ritz(inner: Array, cross: Array) -> Array:
    """Leading Ritz vectors' coefficients [B, B], one a row, in rows X: of X X^T and X operator(X)^T.

    What the rows lack of full rank is missing at the end, as zeros.
    """
    squares, basis = jnp.linalg.eigh(inner)
    held = squares > 8 * squares.size * jnp.finfo(squares.dtype).eps * squares[-1]
    whitened = basis.T * jnp.where(held, jax.lax.rsqrt(jnp.where(held, squares, 1)), 0)[:, None]
    projected = whitened @ cross @ whitened.T - 2 * jnp.diag(~held).astype(squares.dtype)
    return jnp.linalg.eigh((projected + projected.T) / 2)[1][:, ::-1].T @ whitened


def _units(rows: Array) -> Array:
    """Rows [B, M] of norm 1; 0 what is but rounding of such rows."""
    return scaled(rows, jnp.asarray(16 * jnp.finfo(rows.dtype).eps, rows.dtype))


def _scattered(count: int, like: Array) -> Array:
    """Rows [count, N] of numbers in [-1, 1) without a pattern, the same everywhere: a hash of their places."""
    places = jnp.arange(count * like.size, dtype=jnp.uint32).reshape(count, -1) * jnp.uint32(0x9E3779B9)
    mixed = (places ^ (places >> 16)) * jnp.uint32(0x85EBCA6B)
    return ((mixed ^ (mixed >> 13)) >> 8).astype(like.dtype) * 2.0**-23 - 1
