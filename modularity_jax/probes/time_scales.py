"""How long a module of a recurrent network keeps what it holds."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.activations import deviations
from modularity_jax.graphs.numerics import divide, full_precision
from modularity_jax.programs import program

Array = jax.Array


def time_scales(activity: ArrayLike, labels: ArrayLike, *, num_clusters: int) -> Array:
    """The lag at which each module's autocorrelation halves, in steps.

    A module's autocorrelation is the mean of its units' own, a unit's c(lag) / c(0) with c(lag) = mean over trials and
    over all t of (x_t - m)(x_{t + lag} - m), m the unit's mean. Between the last lag above 1/2 and the next one it is
    taken as a line.

    Args:
      activity: of units at each step, [T, N], or of trials [n, T, N].
      labels: module of each unit, [N] in -1..K - 1; -1 is of none.
      num_clusters: K, static.

    Returns:
      [K]; infinite where it does not halve within half of the steps, NaN of a module whose units are constant, or that
      has none.

    Raises:
      ValueError: if activity is not finite or has another shape or fewer than two steps, or labels do not fit it.
    """
    given = jnp.asarray(checks.as_numbers("activity", activity), jnp.result_type(float))
    checks.check_finite("activity", given)
    if given.ndim not in (2, 3) or given.shape[-2] < 2 or not given.size:
        raise ValueError(f"activity must have shape [T, N] or [n, T, N] with at least 2 steps, got {given.shape}")
    checks.check_count("num_clusters", num_clusters, 1)
    own = checks.as_integers("labels", labels)
    checks.check_clusters(own, num_clusters, given.shape[-1])
    return _time_scales(given.reshape(-1, *given.shape[-2:]), jnp.asarray(own), int(num_clusters))


@functools.partial(program, static_argnums=2)
@full_precision
def _time_scales(activity: Array, labels: Array, num_clusters: int) -> Array:
    steps, units = activity.shape[1:]
    centred = jax.vmap(deviations, 1, 1)(activity.reshape(-1, units)).reshape(activity.shape)
    # Padded to twice the length, so that the end does not meet the beginning.
    power = (jnp.abs(jnp.fft.rfft(centred, 2 * steps, axis=1)) ** 2).sum(axis=0)
    lags = steps // 2 + 1
    pairs = steps - jnp.arange(lags, dtype=activity.dtype)
    covariance = jnp.fft.irfft(power, axis=0)[:lags] / pairs[:, None]
    moves = (centred != 0).any(axis=(0, 1))
    member = (labels[:, None] == jnp.arange(num_clusters, dtype=labels.dtype)[None, :]) & moves[:, None]
    correlation = divide(covariance, covariance[:1]) @ member.astype(activity.dtype)
    count = member.sum(axis=0)
    return jnp.where(count > 0, jax.vmap(_halved, 1)(divide(correlation, count[None].astype(activity.dtype))), jnp.nan)


def _halved(correlation: Array) -> Array:
    """Where a line through the values [L] from 1 on first is at 1/2."""
    below = correlation <= 0.5
    after = jnp.maximum(below.argmax(), 1)
    first, second = correlation[after - 1], correlation[after]
    return jnp.where(below.any(), after - 1 + (first - 0.5) / (first - second), jnp.inf)
