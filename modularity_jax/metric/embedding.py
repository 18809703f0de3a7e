"""Spectral embedding: leading eigenvectors of the normalised adjacency D^-1/2 A D^-1/2, rows scaled by D^-1/2.

Shi and Malik 2000, section 3, in the form that scikit-learn's SpectralClustering uses with a precomputed affinity.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric.graph import Graph, LayeredGraph
from modularity_jax.metric.krylov import EXTRA, leading_eigenpairs

Array = jax.Array

SOLVERS = ("auto", "eigh", "krylov")

# Up to this size "auto" forms the operator's matrix and solves it whole.
DENSE_SIZE = 128

# Largest residual of an eigenvector that counts as converged.
TOLERANCE = 1e-5


class Embedding(NamedTuple):
    """Spectral embedding of a graph's N vertices in K dimensions."""

    points: Array  # [N, K], D^-1/2 u; zero on isolated vertices
    eigenvalues: Array  # [K], of the normalised adjacency, descending, at most 1; the Laplacian's are 1 minus these
    lower_bound: Array  # [], K - sum of the eigenvalues: no partition into K parts has a lower n-cut
    converged: Array  # [] bool


class _Problem(NamedTuple):
    """A symmetric operator with spectrum in [0, 1] whose leading eigenvectors are lifted to the graph's."""

    operator: Callable[[Array], Array]  # [M, B] -> [M, B]
    live: Array  # [M] bool, False where a vertex is isolated
    dtype: jnp.dtype
    lift: Callable[[Array], tuple[Array, Array]]  # vectors [M, K] -> (vectors [N, K], eigenvalues [K])


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
        takes the first for M up to 128.
    """
    degrees = graph.degrees()
    scale = jnp.where(degrees > 0, jax.lax.rsqrt(jnp.where(degrees > 0, degrees, 1)), 0)
    problem = _bipartite_problem(graph, scale) if isinstance(graph, LayeredGraph) else _general_problem(graph, scale)
    size = problem.live.size
    dense = solver == "eigh" or (solver == "auto" and size <= max(DENSE_SIZE, 2 * (num_clusters + EXTRA)))
    solve = _solve_dense if dense else _solve_krylov
    vectors, converged = solve(problem, key, min(num_clusters, size))
    vectors, eigenvalues = problem.lift(vectors)
    missing = num_clusters - eigenvalues.size  # a side of fewer than K vertices: what is left of the spectrum is <= 0
    vectors = jnp.pad(vectors, ((0, 0), (0, missing)))
    eigenvalues = jnp.pad(jnp.minimum(eigenvalues, 1), (0, missing))
    return Embedding(scale[:, None] * vectors, eigenvalues, num_clusters - eigenvalues.sum(), converged)


def _bipartite_problem(graph: LayeredGraph, scale: Array) -> _Problem:
    """B^T B on whichever of the even and the odd layers has fewer neurons."""
    scales = graph.split(scale)
    layers = range(len(graph.widths))
    small, large = sorted((layers[0::2], layers[1::2]), key=lambda side: sum(graph.widths[i] for i in side))

    def parts(x: Array, side: range) -> dict[int, Array]:
        ends = list(itertools.accumulate(graph.widths[i] for i in side))
        return dict(zip(side, jnp.split(x, ends[:-1]), strict=True))

    def cross(x: Array, source: range, target: range) -> Array:
        """Product of an off-diagonal block of the normalised adjacency with x, [M_source, B] -> [M_target, B]."""
        scaled = {i: part * scales[i][:, None] for i, part in parts(x, source).items()}
        return jnp.concatenate([graph.into_layer(i, scaled) * scales[i][:, None] for i in target])

    def lift(vectors: Array) -> tuple[Array, Array]:
        image = cross(vectors, small, large)
        sigma = jnp.linalg.norm(image, axis=0)
        blocks = parts(vectors, small) | parts(image / jnp.where(sigma > 0, sigma, 1)[None, :], large)
        return jnp.concatenate([blocks[i] for i in layers]) * 0.5**0.5, sigma

    live = jnp.concatenate([scales[i] > 0 for i in small])
    return _Problem(lambda x: cross(cross(x, small, large), large, small), live, scale.dtype, lift)


def _general_problem(graph: Graph, scale: Array) -> _Problem:
    """(D^-1/2 A D^-1/2 + I) / 2 on the connected vertices: shifted, so that the leading eigenvalues are the largest."""
    live = scale > 0

    def adjacency(x: Array) -> Array:
        return scale[:, None] * graph.matvec(scale[:, None] * x)

    def lift(vectors: Array) -> tuple[Array, Array]:
        return vectors, (vectors * adjacency(vectors)).sum(axis=0)

    return _Problem(lambda x: jnp.where(live[:, None], adjacency(x) + x, 0) / 2, live, scale.dtype, lift)


def _solve_dense(problem: _Problem, key: Array, num_pairs: int) -> tuple[Array, Array]:
    """Leading eigenvectors [M, K] by a full decomposition."""
    del key
    matrix = problem.operator(jnp.eye(problem.live.size, dtype=problem.dtype))
    _, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    return vectors[:, ::-1][:, :num_pairs], jnp.asarray(True)


def _solve_krylov(problem: _Problem, key: Array, num_pairs: int) -> tuple[Array, Array]:
    """Leading eigenvectors [M, K] by products only; the random start is zero on isolated vertices."""
    block = min(num_pairs + EXTRA, problem.live.size)
    start = jnp.where(problem.live[:, None], jax.random.normal(key, (problem.live.size, block), problem.dtype), 0)
    pairs = leading_eigenpairs(problem.operator, start, num_pairs=num_pairs, tolerance=TOLERANCE)
    return pairs.vectors, pairs.converged
