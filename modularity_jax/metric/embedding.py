"""Spectral embedding: leading eigenvectors of the normalised adjacency D^-1/2 A D^-1/2, rows scaled by D^-1/2.

Shi and Malik 2000, section 3, in the form that scikit-learn's SpectralClustering uses with a precomputed affinity.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric.graph import Graph, LayeredGraph
from modularity_jax.metric.krylov import DEPTH, EXTRA, leading_eigenpairs

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
    lift: Callable[[Array], tuple[Array, Array]]  # vectors [K, M] -> (vectors [K, N], eigenvalues [K])


def embed(graph: Graph, key: Array, *, num_clusters: int, solver: str = "auto") -> Embedding:
    """Embed the vertices by the num_clusters leading eigenvectors; no check, no jit (see `cluster`).

    A layered graph is bipartite, even layers against odd ones. With B the [even, odd] block of the normalised
    adjacency, the wanted eigenvectors are B's leading singular vectors stacked, so the operator is B^T B on the
    smaller side: exact, and a quarter to a third of the size. Other graphs take (D^-1/2 A D^-1/2 + I) / 2.

    Args:
      graph: anything with the protocol `Graph`.
      key: typed PRNG key for the start of the Krylov solver.
      num_clusters: K, static.
      solver: "eigh" forms the operator's [M, M] matrix and solves it whole; "krylov" needs products only; "auto"
        takes the first where M is no larger than the matrix that "krylov" has to solve whole itself.
    """
    degrees = graph.degrees()
    scale = jnp.where(degrees > 0, jax.lax.rsqrt(jnp.where(degrees > 0, degrees, 1)), 0)
    problem = _bipartite_problem(graph, scale) if isinstance(graph, LayeredGraph) else _general_problem(graph, scale)
    size = problem.live.size
    dense = solver == "eigh" or (solver == "auto" and size <= DEPTH * (num_clusters + EXTRA))
    solve = _solve_dense if dense else _solve_krylov
    vectors, converged = solve(problem, key, min(num_clusters, size))
    vectors, eigenvalues = problem.lift(vectors)
    missing = num_clusters - eigenvalues.size  # a side of fewer than K vertices: what is left of the spectrum is <= 0
    points = jnp.pad(scale[None, :] * vectors, ((0, missing), (0, 0))).T
    bound = num_clusters - eigenvalues.sum() - _shortfall(graph, scale, vectors, eigenvalues)
    eigenvalues = jnp.pad(jnp.minimum(eigenvalues, 1), (0, missing))
    return Embedding(points, eigenvalues, jnp.maximum(bound, 0), converged)


def _shortfall(graph: Graph, scale: Array, vectors: Array, values: Array) -> Array:
    """By how much the sum of the eigenvalues may lie above that of the values [K], of vectors [K, N].

    Ritz values lie below the eigenvalues, each by no more than the residual's norm (Saad 2011, theorem 4.5), plus what
    float32 rounds away of it.
    """
    residuals = scale[None, :] * graph.matvec(scale[None, :] * vectors) - values[:, None] * vectors
    return (jnp.linalg.norm(residuals, axis=1) + ROUNDING * jnp.finfo(values.dtype).eps).sum()


def _bipartite_problem(graph: LayeredGraph, scale: Array) -> _Problem:
    """B^T B on whichever of the even and the odd layers has fewer neurons."""
    scales = graph.split(scale)
    layers = range(len(graph.widths))
    small, large = sorted((layers[0::2], layers[1::2]), key=lambda side: sum(graph.widths[i] for i in side))

    def parts(x: Array, side: range) -> dict[int, Array]:
        ends = list(itertools.accumulate(graph.widths[i] for i in side))
        return dict(zip(side, jnp.split(x, ends[:-1], axis=1), strict=True))

    def cross(x: Array, source: range, target: range) -> Array:
        """Product of an off-diagonal block of the normalised adjacency with rows x, [B, M_source] -> [B, M_target]."""
        scaled = {i: part * scales[i][None, :] for i, part in parts(x, source).items()}
        return jnp.concatenate([graph.into_layer(i, scaled) * scales[i][None, :] for i in target], axis=1)

    def tolerance(values: Array) -> Array:
        # A's residual at sigma is that of B^T B over sigma; a float32 residual of B^T B cannot fall far below 1e-6.
        return TOLERANCE * jnp.sqrt(jnp.maximum(values, SMALLEST_SIGMA**2))

    def lift(vectors: Array) -> tuple[Array, Array]:
        image = cross(vectors, small, large)
        sigma = jnp.linalg.norm(image, axis=1)
        blocks = parts(vectors, small) | parts(image / jnp.where(sigma > 0, sigma, 1)[:, None], large)
        return jnp.concatenate([blocks[i] for i in layers], axis=1) * 0.5**0.5, sigma

    live = jnp.concatenate([scales[i] > 0 for i in small])
    return _Problem(lambda x: cross(cross(x, small, large), large, small), live, scale.dtype, tolerance, lift)


def _general_problem(graph: Graph, scale: Array) -> _Problem:
    """(D^-1/2 A D^-1/2 + I) / 2 on the connected vertices: shifted, so that the leading eigenvalues are the largest."""
    live = scale > 0

    def adjacency(x: Array) -> Array:
        return scale[None, :] * graph.matvec(scale[None, :] * x)

    def lift(vectors: Array) -> tuple[Array, Array]:
        return vectors, (vectors * adjacency(vectors)).sum(axis=1)

    def operator(x: Array) -> Array:
        return jnp.where(live[None, :], adjacency(x) + x, 0) / 2

    return _Problem(operator, live, scale.dtype, lambda values: jnp.full_like(values, TOLERANCE / 2), lift)


def _solve_dense(problem: _Problem, key: Array, num_pairs: int) -> tuple[Array, Array]:
    """Leading eigenvectors [K, M] by a full decomposition; isolated vertices get -1, below all that is wanted."""
    del key
    isolated = jnp.diag((~problem.live).astype(problem.dtype))
    matrix = problem.operator(jnp.eye(problem.live.size, dtype=problem.dtype)) - isolated
    _, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    return vectors[:, ::-1][:, :num_pairs].T, jnp.asarray(True)


def _solve_krylov(problem: _Problem, key: Array, num_pairs: int) -> tuple[Array, Array]:
    """Leading eigenvectors [K, M] by products only; the random start is zero on isolated vertices."""
    block = min(num_pairs + EXTRA, problem.live.size)
    start = jnp.where(problem.live[None, :], jax.random.normal(key, (block, problem.live.size), problem.dtype), 0)
    pairs = leading_eigenpairs(problem.operator, start, num_pairs=num_pairs, tolerance=problem.tolerance)
    return pairs.vectors, pairs.converged
