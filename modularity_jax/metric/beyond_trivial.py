"""Leading eigenvectors of D^-1/2 A D^-1/2 beyond the trivial ones, which are D^1/2 on each connected component.

They are followed from step to step of a training by subspace iteration (Saad, Numerical Methods for Large Eigenvalue
Problems, 2011, section 5). With one product a step the error of the penalty's gradient on networks of the study is up
to 6% while the eigenvalues lie close to the rest, below 1% after 20 steps of Adam, and below .1% from some 50 on.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.components import component_labels
from modularity_jax.graphs.numerics import divide, full_precision, near_one
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.sides import Sides
from modularity_jax.metric.embedding import across, inverse_roots
from modularity_jax.metric.krylov import DEPTH, leading_eigenpairs, scaled

Array = jax.Array

# Vectors beyond those that are asked for: an iteration's error shrinks by the gap to the first one left out.
SPARE = 2


class _Space(NamedTuple):
    """Where eigenvectors are sought: on the smaller side of a bipartite graph, else on all vertices."""

    enter: Callable[[Array], Array]  # rows [B, N] -> [B, M]
    project: Callable[[Array], Array]  # rows [B, M] without what is trivial and what is isolated
    operator: Callable[[Array], Array]  # rows [B, M] -> [B, M]; its spectrum lies in [0, 1]
    lift: Callable[[Array], Array]  # rows [B, M] -> Ritz vectors [B, N] of D^-1/2 A D^-1/2, leading ones first


@functools.partial(jax.jit, static_argnums=(2, 3))
@full_precision
def leading_vectors(graph: Graph, start: Array | None, num_clusters: int, num_products: int) -> Array:
    """What `spectral_vectors` gives, [N, num_clusters - 1 + SPARE]; no check."""
    space = _space(jax.lax.stop_gradient(graph))
    width, roots = num_clusters - 1 + SPARE, jnp.sqrt(graph.degrees())
    fresh = space.enter(_scattered(width, roots))
    if start is None:
        return space.lift(_solved(space, space.project(fresh))).T

    def improve(_: int, vectors: Array) -> Array:
        rows = space.enter(vectors)
        # A direction that the network lacked for a while, as without any edge, is sought anew.
        rows = jnp.where((rows != 0).any(axis=1)[:, None], rows, fresh)
        return space.lift(units(space.project(space.operator(rows))))

    rows = units(near_one(jax.lax.stop_gradient(start).T.astype(roots.dtype)))
    return jax.lax.fori_loop(0, num_products, improve, rows).T


def _solved(space: _Space, start: Array) -> Array:
    """The operator's leading eigenvectors [B, M], but for what is trivial."""
    width, size = start.shape

    def operator(rows: Array) -> Array:
        return space.project(space.operator(rows))

    def tolerance(values: Array) -> Array:
        # The spare ones may be as they are.
        return jnp.where(jnp.arange(width) < width - SPARE, jnp.finfo(values.dtype).eps ** 0.75, 1)

    if size > DEPTH * width:
        return leading_eigenpairs(operator, start, num_pairs=width, tolerance=tolerance).vectors
    # A Krylov basis would be no smaller than the whole. What is trivial gets -1, below all that is sought.
    identity = jnp.eye(size, dtype=start.dtype)
    proper = space.project(identity)
    matrix = operator(proper) + proper - identity
    vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)[1][:, ::-1][:, :width].T
    return jnp.pad(units(space.project(vectors)), ((0, width - vectors.shape[0]), (0, 0)))


def _space(graph: Graph) -> _Space:
    degrees, labels, sides = graph.degrees(), component_labels(graph), graph.sides()
    roots, scale = jnp.sqrt(degrees), inverse_roots(degrees)
    if sides is not None:
        return _smaller_side(sides, scale, roots, labels)

    def adjacency(rows: Array) -> Array:
        return scale[None, :] * graph.matvec(scale[None, :] * rows)

    def lift(rows: Array) -> Array:
        return ritz(rows @ rows.T, adjacency(rows) @ rows.T) @ rows

    project = functools.partial(_without_trivial, roots=roots, labels=labels, num_labels=roots.size)
    return _Space(lambda rows: rows, project, lambda rows: (adjacency(rows) + rows) / 2, lift)


def _smaller_side(sides: Sides, scale: Array, roots: Array, labels: Array) -> _Space:
    """With B the block of D^-1/2 A D^-1/2 between the sides, B^T B has its eigenvalues' squares (see `embed`)."""
    to_large, to_small = across(sides, scale)

    def lift(rows: Array) -> Array:
        images = to_large(rows)
        mix = ritz(rows @ rows.T, images @ images.T)
        return sides.join(mix @ rows, units(mix @ images)) * 0.5**0.5

    own, numbers = sides.split(roots)[0], sides.split(labels)[0]
    project = functools.partial(_without_trivial, roots=own, labels=numbers, num_labels=roots.size)
    return _Space(lambda rows: sides.split(rows)[0], project, lambda rows: to_small(to_large(rows)), lift)


def _without_trivial(rows: Array, *, roots: Array, labels: Array, num_labels: int) -> Array:
    """Rows [B, M] less what the components' vectors D^1/2 1 hold of them, and 0 on isolated vertices."""
    parts = jax.ops.segment_sum((rows * roots[None, :]).T, labels, num_segments=num_labels)
    volumes = jax.ops.segment_sum(roots**2, labels, num_segments=num_labels)
    shares = divide(parts, volumes[:, None])[labels].T
    return jnp.where(roots > 0, rows - shares * roots[None, :], 0)


def ritz(inner: Array, cross: Array) -> Array:
    """Leading Ritz vectors' coefficients [B, B], one a row, in rows X: of X X^T and X operator(X)^T.

    What the rows lack of full rank is missing at the end, as zeros.
    """
    squares, basis = jnp.linalg.eigh(inner)
    held = squares > 8 * squares.size * jnp.finfo(squares.dtype).eps * squares[-1]
    whitened = basis.T * jnp.where(held, jax.lax.rsqrt(jnp.where(held, squares, 1)), 0)[:, None]
    projected = whitened @ cross @ whitened.T - 2 * jnp.diag(~held).astype(squares.dtype)
    return jnp.linalg.eigh((projected + projected.T) / 2)[1][:, ::-1].T @ whitened


def units(rows: Array) -> Array:
    """Rows [B, M] of norm 1; 0 what is but rounding of such rows."""
    return scaled(rows, jnp.asarray(16 * jnp.finfo(rows.dtype).eps, rows.dtype))


def _scattered(count: int, like: Array) -> Array:
    """Rows [count, N] of numbers in [-1, 1) without a pattern, the same everywhere: a hash of their places."""
    places = jnp.arange(count * like.size, dtype=jnp.uint32).reshape(count, -1) * jnp.uint32(0x9E3779B9)
    mixed = (places ^ (places >> 16)) * jnp.uint32(0x85EBCA6B)
    return ((mixed ^ (mixed >> 13)) >> 8).astype(like.dtype) * 2.0**-23 - 1
