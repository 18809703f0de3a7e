"""Whether modules read the same of the inputs."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import divide, full_precision
from modularity_jax.programs import program

Array = jax.Array


def input_overlap(kernel: ArrayLike, labels: ArrayLike, *, num_clusters: int, rank: int | None = None) -> Array:
    """Mean squared cosine of the principal angles between what each two modules read: 0 disjoint, 1 the same.

    What a module reads are the leading singular directions, in input space, of its units' incoming weights. Whether
    modules see low-dimensional projections of their own decides how many samples they need (Boopathy et al. 2025).

    Args:
      kernel: of the first layer, [d_0, d_1].
      labels: module of each of its units, [d_1] in -1..K - 1; -1 is of none.
      num_clusters: K, static.
      rank: directions of each module at most, static; None takes all that its weights have.

    Returns:
      [K, K], of as many angles as the smaller of two spaces has dimensions; NaN of a module without weights.

    Raises:
      ValueError: if kernel is no matrix or not finite, labels do not fit it, or a count is too small.
    """
    given = jnp.asarray(checks.as_numbers("kernel", kernel), jnp.result_type(float))
    checks.check_finite("kernel", given)
    if given.ndim != 2 or not given.size:
        raise ValueError(f"kernel must have shape [d_in, d_out], got {given.shape}")
    checks.check_count("num_clusters", num_clusters, 1)
    own = checks.as_integers("labels", labels)
    checks.check_clusters(own, num_clusters, given.shape[1])
    rank = min(given.shape) if rank is None else rank
    checks.check_count("rank", rank, 1)
    return _input_overlap(given, jnp.asarray(own), int(num_clusters), int(rank))


@functools.partial(program, static_argnums=(2, 3))
@full_precision
def _input_overlap(kernel: Array, labels: Array, num_clusters: int, rank: int) -> Array:
    members = labels[None, :] == jnp.arange(num_clusters, dtype=labels.dtype)[:, None]
    directions, sizes, _ = jnp.linalg.svd(kernel[None] * members[:, None, :], full_matrices=False)
    # Directions of no size, which a module of fewer units has, are arbitrary.
    noise = max(kernel.shape) * jnp.finfo(kernel.dtype).eps * sizes[:, :1]
    kept = (sizes > noise)[:, :rank]
    spaces = directions[:, :, :rank] * kept[:, None, :]
    shared = jax.vmap(lambda a: jax.vmap(lambda b: ((a.T @ b) ** 2).sum())(spaces))(spaces)
    dimensions = kept.sum(axis=1)
    fewer = jnp.minimum(dimensions[:, None], dimensions[None, :])
    return jnp.where(fewer > 0, divide(shared, fewer.astype(shared.dtype)), jnp.nan)
