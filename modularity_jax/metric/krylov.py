"""Leading eigenpairs of a positive semi-definite operator that is known only by its products.

Restarted block Krylov with Rayleigh-Ritz (Saad, Numerical Methods for Large Eigenvalue Problems, 2011, sections 6 and
7). Nothing but matrix products touches the long axis, which suits GPU and TPU; memory is 2 [DEPTH * block, M]. Vectors
lie in rows throughout, as `LayeredGraph.into_layer` wants them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

# Blocks in one Krylov basis, and vectors in a block beyond those that are wanted. Networks of the study's shape,
# shuffled or not, need 10 to 14 blocks; a second, shorter basis costs more than the blocks that it saves.
DEPTH = 14
EXTRA = 4
MAX_RESTARTS = 40


class Eigenpairs(NamedTuple):
    """Leading eigenpairs."""

    values: Array  # [K], descending
    vectors: Array  # [K, M], orthonormal rows
    converged: Array  # [] bool, whether every residual fell below its tolerance


class _State(NamedTuple):
    block: Array  # [block, M], the current Ritz vectors
    values: Array  # [block]
    converged: Array  # [] bool
    restart: Array  # []


def leading_eigenpairs(
    operator: Callable[[Array], Array],
    start: Array,
    *,
    num_pairs: int,
    tolerance: Callable[[Array], Array],
    max_restarts: int = MAX_RESTARTS,
) -> Eigenpairs:
    """The num_pairs largest eigenvalues of an operator with spectrum in [0, 1].

    Args:
      operator: maps rows [B, M] to [B, M]; symmetric.
      start: random block [B, M] with B >= num_pairs, zero where the operator is to see nothing.
      num_pairs: K, static.
      tolerance: from the eigenvalues [K], the largest norm of operator(u) - value * u that counts as converged. An
        eigenvalue's error is below that norm, and of its square's order where the spectrum has a gap.
      max_restarts: bases built at most; where they do not suffice, `converged` is False.
    """

    def unfinished(state: _State) -> Array:
        return ~state.converged & (state.restart < max_restarts)

    def improve(state: _State) -> _State:
        vectors, values, residuals = _rayleigh_ritz(operator, state.block)
        converged = (residuals[:num_pairs] <= tolerance(values[:num_pairs])).all()
        return _State(vectors, values, converged, state.restart + 1)

    first = _State(start, jnp.zeros(start.shape[0], start.dtype), jnp.asarray(False), jnp.asarray(0))
    final = jax.lax.while_loop(unfinished, improve, first)
    return Eigenpairs(final.values[:num_pairs], final.block[:num_pairs], final.converged)


def _rayleigh_ritz(operator: Callable[[Array], Array], start: Array) -> tuple[Array, Array, Array]:
    """Best Ritz vectors [B, M] of one Krylov basis on a block [B, M], their values [B] and residual norms [B].

    With the images of all basis vectors at hand, Ritz values and residuals cost no further product. The basis starts
    as zeros and is filled block by block in a loop, which compiles once for all depths.
    """
    width, size = start.shape
    empty = jnp.zeros((DEPTH * width, size), start.dtype)

    def extend(depth: Array, bases: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, images, latest = bases
        block = _orthonormal(latest, basis)
        image = operator(block)
        place = (depth * width, 0)
        return (
            jax.lax.dynamic_update_slice(basis, block, place),
            jax.lax.dynamic_update_slice(images, image, place),
            image,
        )

    basis, images, _ = jax.lax.fori_loop(0, DEPTH, extend, (empty, empty, start))
    projected = images @ basis.T
    values, rotation = jnp.linalg.eigh((projected + projected.T) / 2)
    values, best = values[::-1][:width], rotation[:, ::-1][:, :width].T
    vectors = best @ basis
    return vectors, values, jnp.linalg.norm(best @ images - values[:, None] * vectors, axis=1)


def _orthonormal(block: Array, basis: Array) -> Array:
    """Orthonormal rows that span what block [B, M] adds to basis [C, M]; zero rows where that lacks full rank.

    Two rounds by the eigenvectors of the small Gram matrix (Stathopoulos and Wu 2002): products only, and a direction
    that is mere rounding is dropped rather than blown up. A zero row is harmless: its Ritz value is 0, the least.
    """
    eps = jnp.finfo(block.dtype).eps

    def improve(_: Array, block: Array) -> Array:
        block = block - (block @ basis.T) @ basis
        norms = jnp.linalg.norm(block, axis=1)
        block = jnp.where(norms[:, None] > 30 * eps, block / jnp.where(norms > 30 * eps, norms, 1)[:, None], 0)
        spectrum, vectors = jnp.linalg.eigh(block @ block.T)
        kept = spectrum > 100 * eps * jnp.maximum(spectrum[-1], eps)
        return (vectors * jnp.where(kept, jax.lax.rsqrt(jnp.where(kept, spectrum, 1)), 0)[None, :]).T @ block

    return jax.lax.fori_loop(0, 2, improve, block)
