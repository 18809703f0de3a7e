"""Leading eigenpairs of a positive semi-definite operator that is known only by its products.

Block Krylov with Rayleigh-Ritz (Saad, Numerical Methods for Large Eigenvalue Problems, 2011, sections 6 and 7) and
thick restarts (Wu and Simon 2000). Nothing but matrix products touches the long axis, which suits GPU and TPU; memory
is 2 [DEPTH * block, M]. Vectors lie in rows throughout, as `Blocks.into_group` wants them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

# Blocks in a full Krylov basis, and vectors in a block beyond those that are wanted. Networks of the study's shape,
# shuffled or not, need 10 to 14 blocks, random ones of great width 20 to 40.
DEPTH = 14
EXTRA = 4
# Blocks of Ritz vectors that a restart keeps; the basis goes on from them as if nothing had been dropped.
KEPT = 6
MAX_RESTARTS = 40


class Eigenpairs(NamedTuple):
    """Leading eigenpairs."""

    values: Array  # [K], descending
    vectors: Array  # [K, M], orthonormal rows
    residuals: Array  # [K], norms of operator(u) - value * u
    converged: Array  # [] bool, whether every residual fell below its tolerance


class _State(NamedTuple):
    basis: Array  # [DEPTH * block, M], orthonormal rows as far as it is filled, then zeros; leading Ritz vectors first
    images: Array  # [DEPTH * block, M], of the basis
    following: Array  # [block, M], what the basis is extended by next
    filled: Array  # [], blocks in the basis
    values: Array  # [KEPT * block], leading Ritz values
    residuals: Array  # [KEPT * block]
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
    width = start.shape[0]

    def unfinished(state: _State) -> Array:
        return ~state.converged & (state.restart < max_restarts)

    def improve(state: _State) -> _State:
        basis, images, latest = _fill(operator, state)
        values, best = _ritz(basis, images)
        kept = best[: KEPT * width]
        vectors, vector_images = kept @ basis, kept @ images
        residuals = jnp.linalg.norm(vector_images - values[: KEPT * width, None] * vectors, axis=1)
        converged = (residuals[:num_pairs] <= tolerance(values[:num_pairs])).all()
        # What is new in the last image: all Ritz vectors' residuals lie in it.
        following = jax.lax.cond(converged, lambda *_: latest, _beyond, latest, basis)
        return _State(
            _first_rows(vectors, basis),
            _first_rows(vector_images, images),
            following,
            jnp.int32(KEPT),
            values[: KEPT * width],
            residuals,
            converged,
            state.restart + 1,
        )

    empty = jnp.zeros((DEPTH * width, start.shape[1]), start.dtype)
    nothing = jnp.zeros(KEPT * width, start.dtype)
    first = _State(empty, empty, start, jnp.int32(0), nothing, nothing, jnp.asarray(False), jnp.int32(0))
    final = jax.lax.while_loop(unfinished, improve, first)
    return Eigenpairs(final.values[:num_pairs], final.basis[:num_pairs], final.residuals[:num_pairs], final.converged)


def _fill(operator: Callable[[Array], Array], state: _State) -> tuple[Array, Array, Array]:
    """The basis and its images filled up block by block, and the last block's image; a loop, to compile once."""
    width = state.following.shape[0]

    def extend(depth: Array, bases: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, images, latest = bases
        block = _orthonormal(latest, basis)
        image = operator(block)
        first = depth * width
        return (
            jax.lax.dynamic_update_slice_in_dim(basis, block, first, 0),
            jax.lax.dynamic_update_slice_in_dim(images, image, first, 0),
            image,
        )

    return jax.lax.fori_loop(state.filled, DEPTH, extend, (state.basis, state.images, state.following))


def _ritz(basis: Array, images: Array) -> tuple[Array, Array]:
    """Ritz values [C], descending, and their vectors' coefficients [C, C] in a basis [C, M], one a row.

    With the images of all basis vectors at hand, Ritz values and residuals cost no further product. A zero row, where
    rank was lacking, gets the value -1, so that no eigenvector to the value 0 is mixed with it.
    """
    lacking = (basis**2).sum(axis=1) < 0.5
    projected = images @ basis.T - jnp.diag(lacking.astype(basis.dtype))
    values, rotation = jnp.linalg.eigh((projected + projected.T) / 2, symmetrize_input=False)
    return values[::-1], rotation[:, ::-1].T


def _first_rows(rows: Array, like: Array) -> Array:
    """Rows, and zeros below them, in the shape of `like`."""
    return jnp.zeros_like(like).at[: rows.shape[0]].set(rows)


def _beyond(block: Array, basis: Array) -> Array:
    """What block [B, M] adds to basis [C, M]; twice, as the first round's rounding is large beside a small rest."""
    rest = block - (block @ basis.T) @ basis
    return rest - (rest @ basis.T) @ basis


def _orthonormal(block: Array, basis: Array) -> Array:
    """Orthonormal rows that span what block [B, M] adds to basis [C, M]; zero rows where rank is lacking.

    Two rounds by the eigenvectors of the small Gram matrix (Stathopoulos and Wu 2002), products only. Rows are scaled
    by the norms they have after the rotation, not by the roots of the Gram matrix's eigenvalues: a direction 3000 times
    smaller than the largest, as the bulk of a wide random network's spectrum is, would drown there. What the first
    round makes of mere rounding lies within the basis, and the second drops it.
    """
    eps = jnp.finfo(block.dtype).eps

    def improve(round_index: Array, block: Array) -> Array:
        least = jnp.where(round_index == 0, 4 * eps, 0.1)
        block = scaled(block - (block @ basis.T) @ basis, least)
        _, vectors = jnp.linalg.eigh(block @ block.T, symmetrize_input=False)
        return scaled(vectors.T @ block, least)

    return jax.lax.fori_loop(0, 2, improve, block)


def scaled(rows: Array, least: Array) -> Array:
    """Rows [B, M] with norm 1; those of a norm up to `least` become 0."""
    squares = (rows**2).sum(axis=1)
    return rows * jnp.where(squares > least**2, jax.lax.rsqrt(jnp.maximum(squares, least**2)), 0)[:, None]
