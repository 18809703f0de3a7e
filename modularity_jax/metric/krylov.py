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
    operator: Callable[[Array], Array], start: Array, *, num_pairs: int, tolerance: float, max_restarts: int = MAX_RESTARTS
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

    first = _State(_orthonormal(start), jnp.zeros(start.shape[1], start.dtype), jnp.asarray(jnp.inf, start.dtype), jnp.asarray(0))
    final = jax.lax.while_loop(unfinished, improve, first)
    return Eigenpairs(final.values[:num_pairs], final.block[:, :num_pairs], final.residual <= tolerance)


def _restart(operator: Callable[[Array], Array], state: _State, num_pairs: int) -> _State:
    """Build one Krylov basis from the block and keep its best Ritz vectors.

    With the images of all basis vectors at hand, Ritz values and residuals cost no further product.
    """
    basis, images = [state.block], [operator(state.block)]
    for _ in range(DEPTH - 1):
        block = _orthonormal(_project_out(images[-1], basis), basis)
        basis.append(block)
        images.append(operator(block))
    q, image = jnp.concatenate(basis, axis=1), jnp.concatenate(images, axis=1)
    projected = q.T @ image
    values, rotation = jnp.linalg.eigh((projected + projected.T) / 2)
    best = rotation[:, ::-1][:, : state.block.shape[1]]
    values = values[::-1][: state.block.shape[1]]
    vectors = q @ best
    residual = jnp.linalg.norm(image @ best - vectors * values, axis=0)
    return _State(vectors, values, residual[:num_pairs].max(), state.restart + 1)


def _project_out(block: Array, basis: list[Array]) -> Array:
    """Remove from the block [M, B] its part in the span of the basis blocks."""
    for other in basis:
        block = block - other @ (other.T @ block)
    return block


def _orthonormal(block: Array, against: list[Array] | None = None) -> Array:
    """Orthonormal columns with the block's span, and zero columns for what it lacks of full rank.

    Two rounds by the eigenvectors of the small Gram matrix (Stathopoulos and Wu 2002): products only, and a direction
    that is mere rounding is dropped rather than blown up. A zero column is harmless: its Ritz value is 0, the least.
    """
    eps = jnp.finfo(block.dtype).eps
    for _ in range(2):
        if against:
            block = _project_out(block, against)
        norms = jnp.linalg.norm(block, axis=0)
        block = jnp.where(norms > 30 * eps, block / jnp.where(norms > 30 * eps, norms, 1), 0)
        spectrum, vectors = jnp.linalg.eigh(block.T @ block)
        kept = spectrum > 100 * eps * jnp.maximum(spectrum[-1], eps)
        block = block @ (vectors * jnp.where(kept, jax.lax.rsqrt(jnp.where(kept, spectrum, 1)), 0))
    return block
