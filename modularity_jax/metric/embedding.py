"""Spectral embedding: leading eigenvectors of the normalised adjacency D^-1/2 A D^-1/2, rows scaled by D^-1/2.

Shi and Malik 2000, section 3, in the form that scikit-learn's SpectralClustering uses with a precomputed affinity.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import filled_from
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.graphs.sides import Sides
from modularity_jax.metric.krylov import DEPTH, EXTRA, Eigenpairs, leading_eigenpairs

Array = jax.Array

SOLVERS = ("auto", "eigh", "krylov")

# Largest residual |A u - value * u| of the normalised adjacency's eigenvectors that counts as converged. The error of
# an eigenvalue is of its square's order: measured against full decompositions, below 1e-6 on networks of the study.
TOLERANCE = 1e-4

# Units in the last place that an eigenvalue near 1 may be off by through rounding alone.
ROUNDING = 4

# Singular values below this are held to an absolute rather than a relative residual.
SMALLEST_SIGMA = 0.02


class Embedding(NamedTuple):
    """Spectral embedding of a graph's N vertices in K dimensions."""

    points: Array  # [N, K], D^-1/2 u; zero on isolated vertices
    # [K], of the normalised adjacency, descending, at most 1; the Laplacian's are 1 minus these. A layered graph's
    # negative ones are given as 0, which leaves the bound valid.
    eigenvalues: Array
    # [], no partition into K parts has a lower n-cut: K - sum of the eigenvalues, less what these may be too low by
    lower_bound: Array
    converged: Array  # [] bool


class _Problem(NamedTuple):
    """A symmetric operator with spectrum in [0, 1] whose leading eigenvectors are lifted to the graph's."""

    operator: Callable[[Array], Array]  # rows [B, M] -> [B, M]
    live: Array  # [M] bool, False where a vertex is isolated
    dtype: jnp.dtype
    tolerance: Callable[[Array], Array]  # eigenvalues [K] -> residuals of the operator for one of TOLERANCE in A
    # Vectors [K, M] and residuals [K] of the operator -> vectors [K, N] and eigenvalues [K] of A, and by how much these
    # may be too low [K].
    lift: Callable[[Array, Array], tuple[Array, Array, Array]]


def num_draws(graph: Adjacency, num_clusters: int) -> int:
    """Random numbers that `embed` takes."""
    size = _size(graph)
    return min(num_clusters + EXTRA, size) * size


def embed(
    graph: Adjacency, draws: Array, *, num_clusters: int, solver: str = "auto", used: Array | None = None
) -> Embedding:
    """Embed the vertices by the num_clusters leading eigenvectors; no check, no jit (see `cluster`).

    A layered graph is bipartite, even layers against odd ones. With B the block between two sides of the normalised
    adjacency, the wanted eigenvectors are B's leading singular vectors stacked, so the operator is B^T B on the
    smaller side: exact, and a quarter to a third of the size. Other graphs take (D^-1/2 A D^-1/2 + I) / 2.

    Args:
      graph: anything with the protocol `Graph`.
      draws: uniform in [0, 1), [`num_draws`], for the start of the Krylov solver.
      num_clusters: K, static.
      solver: "eigh" forms the operator's [M, M] matrix and solves it whole; "krylov" needs products only; "auto"
        takes the first where M is no larger than the matrix that "krylov" has to solve whole itself.
      used: traced number of eigenvectors, [] int32, up to K: columns and eigenvalues from there on are 0, and the lower
        bound is that of partitions into so many parts.
    """
    scale, sides = inverse_roots(graph.degrees()), graph.sides()
    problem = _general_problem(graph, scale) if sides is None else _bipartite_problem(sides, scale)
    size = problem.live.size
    dense = solver == "eigh" or (solver == "auto" and size <= DEPTH * (num_clusters + EXTRA))
    solve = _solve_dense if dense else _solve_krylov
    found = solve(problem, draws, min(num_clusters, size))
    lifted = problem.lift(found.vectors, found.residuals)
    vectors, eigenvalues, excess = (filled_from(own, used) for own in lifted)
    missing = num_clusters - eigenvalues.size  # a side of fewer than K vertices: what is left of the spectrum is <= 0
    points = jnp.pad(scale[None, :] * vectors, ((0, missing), (0, 0))).T
    # Ritz values lie below eigenvalues by no more than the residual's norm (Saad 2011, theorem 4.5), plus what is
    # rounded away of it.
    most = eigenvalues + excess + ROUNDING * jnp.finfo(eigenvalues.dtype).eps
    eigenvalues = jnp.pad(jnp.minimum(eigenvalues, 1), (0, missing))
    parts = num_clusters if used is None else used.astype(most.dtype)
    return Embedding(points, eigenvalues, jnp.maximum(parts - most.sum(), 0), found.converged)


def inverse_roots(degrees: Array) -> Array:
    """D^-1/2, [N], 0 on isolated vertices."""
    return jnp.where(degrees > 0, jax.lax.rsqrt(jnp.where(degrees > 0, degrees, 1)), 0)


def across(sides: Sides, scale: Array) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """Products with the block between the sides of D^-1/2 A D^-1/2: to the larger side, and to the smaller one."""
    small, large = sides.split(scale)

    def to_large(x: Array) -> Array:
        return sides.to_large(x * small[None, :]) * large[None, :]

    def to_small(x: Array) -> Array:
        return sides.to_small(x * large[None, :]) * small[None, :]

    return to_large, to_small


def _size(graph: Adjacency) -> int:
    """Vertices of the smaller side, or all."""
    sides = graph.sides()
    return graph.num_nodes if sides is None else sides.num_small


def _bipartite_problem(sides: Sides, scale: Array) -> _Problem:
    """B^T B on the smaller side."""
    to_large, to_small = across(sides, scale)

    def tolerance(values: Array) -> Array:
        # A's residual at sigma is that of B^T B over sigma; a float32 residual of B^T B cannot fall far below 1e-6.
        return TOLERANCE * jnp.sqrt(jnp.maximum(values, SMALLEST_SIGMA**2))

    def lift(vectors: Array, residuals: Array) -> tuple[Array, Array, Array]:
        image = to_large(vectors)
        sigma = jnp.linalg.norm(image, axis=1)
        divisor = jnp.where(sigma > 0, sigma, 1)
        joined = sides.join(vectors, image / divisor[:, None]) * 0.5**0.5
        # An eigenvalue of B^T B lies within the residual of sigma^2, and the one of A by the root of that.
        excess = residuals / jnp.maximum(sigma + jnp.sqrt(sigma**2 + residuals), jnp.finfo(sigma.dtype).tiny)
        return joined, sigma, excess

    return _Problem(lambda x: to_small(to_large(x)), sides.split(scale)[0] > 0, scale.dtype, tolerance, lift)


def _general_problem(graph: Adjacency, scale: Array) -> _Problem:
    """(D^-1/2 A D^-1/2 + I) / 2 on the connected vertices: shifted, so that the leading eigenvalues are the largest."""
    live = scale > 0

    def adjacency(x: Array) -> Array:
        return scale[None, :] * graph.matvec(scale[None, :] * x)

    def lift(vectors: Array, residuals: Array) -> tuple[Array, Array, Array]:
        return vectors, (vectors * adjacency(vectors)).sum(axis=1), 2 * residuals

    def operator(x: Array) -> Array:
        return jnp.where(live[None, :], adjacency(x) + x, 0) / 2

    return _Problem(operator, live, scale.dtype, lambda values: jnp.full_like(values, TOLERANCE / 2), lift)


def _solve_dense(problem: _Problem, draws: Array, num_pairs: int) -> Eigenpairs:
    """Leading eigenvectors [K, M] by a full decomposition; isolated vertices get -1, below all that is wanted."""
    del draws
    isolated = jnp.diag((~problem.live).astype(problem.dtype))
    matrix = problem.operator(jnp.eye(problem.live.size, dtype=problem.dtype)) - isolated
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    values, vectors = values[::-1][:num_pairs], vectors[:, ::-1][:, :num_pairs].T
    residuals = jnp.linalg.norm(vectors @ matrix - values[:, None] * vectors, axis=1)
    return Eigenpairs(values, vectors, residuals, jnp.asarray(True))


def _solve_krylov(problem: _Problem, draws: Array, num_pairs: int) -> Eigenpairs:
    """Leading eigenvectors [K, M] by products only; the random start is zero on isolated vertices."""
    start = jnp.where(problem.live[None, :], 2 * draws.reshape(-1, problem.live.size) - 1, 0)
    return leading_eigenpairs(problem.operator, start, num_pairs=num_pairs, tolerance=problem.tolerance)
