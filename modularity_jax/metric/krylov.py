"""Leading eigenpairs of a positive semi-definite operator that is known only by its products.

Restarted block Krylov with Rayleigh-Ritz (Saad, Numerical Methods for Large Eigenvalue Problems, 2011, sections 6 and
7). Nothing but matrix products touches the long axis, which suits GPU and TPU; memory is [M, DEPTH * block].
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

# Blocks in one Krylov basis, and vectors in a block beyond those that are wanted.
DEPTH = 8
EXTRA = 4
MAX_RESTARTS = 40


class Eigenpairs(NamedTuple):
    """Leading eigenpairs."""

    values: Array  # [K], descending
    vectors: Array  # [M, K], orthonormal
    converged: Array  # [] bool, whether every residual fell below the tolerance


class _State(NamedTuple):
    block: Array  # [M, block], the current Ritz vectors
    values: Array  # [block]
    residual: Array  # [], the largest among the wanted ones
    restart: Array  # []


def leading_eigenpairs(
    operator: Callable[[Array], Array],
    start: Array,
    *,
    num_pairs: int,
    tolerance: float,
    max_restarts: int = MAX_RESTARTS,
) -> Eigenpairs:
    """The num_pairs largest eigenvalues of an operator with spectrum in [0, 1].

    Args:
      operator: maps [M, B] to [M, B]; symmetric.
      start: random block [M, B] with B >= num_pairs, zero where the operator is to see nothing.
      num_pairs: K, static.
      tolerance: largest norm of operator(u) - value * u that counts as converged; an eigenvalue's error is below that
        norm, and of its square's order where the spectrum has a gap.
      max_restarts: bases built at most; where they do not suffice, `converged` is False.
    """

    def unfinished(state: _State) -> Array:
        return (state.residual > tolerance) & (state.restart < max_restarts)

    def improve(state: _State) -> _State:
        return _restart(operator, state, num_pairs)

    first = _State(start, jnp.zeros(start.shape[1], start.dtype), jnp.asarray(jnp.inf, start.dtype), jnp.asarray(0))
    final = jax.lax.while_loop(unfinished, improve, first)
    return Eigenpairs(final.values[:num_pairs], final.block[:, :num_pairs], final.residual <= tolerance)


def _restart(operator: Callable[[Array], Array], state: _State, num_pairs: int) -> _State:
    """Build one Krylov basis from the block and keep its best Ritz vectors.

    With the images of all basis vectors at hand, Ritz values and residuals cost no further product. The basis starts
    as zeros and is filled block by block in a loop, which compiles once for all depths.
    """
    size, width = state.block.shape
    empty = jnp.zeros((size, DEPTH * width), state.block.dtype)

    def extend(depth: Array, bases: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, images, latest = bases
        block = _orthonormal(latest, basis)
        image = operator(block)
        place = (0, depth * width)
        return (
            jax.lax.dynamic_update_slice(basis, block, place),
            jax.lax.dynamic_update_slice(images, image, place),
            image,
        )

    basis, images, _ = jax.lax.fori_loop(0, DEPTH, extend, (empty, empty, state.block))
    projected = basis.T @ images
    values, rotation = jnp.linalg.eigh((projected + projected.T) / 2)
    values, best = values[::-1][:width], rotation[:, ::-1][:, :width]
    vectors = basis @ best
    residual = jnp.linalg.norm(images @ best - vectors * values[None, :], axis=0)
    return _State(vectors, values, residual[:num_pairs].max(), state.restart + 1)


def _orthonormal(block: Array, basis: Array) -> Array:
    """Orthonormal columns that span what block [M, B] adds to basis [M, C]; zero columns where that lacks full rank.

    Two rounds by the eigenvectors of the small Gram matrix (Stathopoulos and Wu 2002): products only, and a direction
    that is mere rounding is dropped rather than blown up. A zero column is harmless: its Ritz value is 0, the least.
    """
    eps = jnp.finfo(block.dtype).eps

    def improve(_: Array, block: Array) -> Array:
        block = block - basis @ (basis.T @ block)
        norms = jnp.linalg.norm(block, axis=0)
        block = jnp.where(norms[None, :] > 30 * eps, block / jnp.where(norms > 30 * eps, norms, 1)[None, :], 0)
        spectrum, vectors = jnp.linalg.eigh(block.T @ block)
        kept = spectrum > 100 * eps * jnp.maximum(spectrum[-1], eps)
        return block @ (vectors * jnp.where(kept, jax.lax.rsqrt(jnp.where(kept, spectrum, 1)), 0)[None, :])

    return jax.lax.fori_loop(0, 2, improve, block)
