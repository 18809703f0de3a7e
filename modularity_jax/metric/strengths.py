"""A model of a block's weights in which all structure is that of its neurons' strengths, pruning included.

A magnitude is x = (y s_i t_j)^(1/k), in units of the least one that is left, with y from an exponential distribution:
Weibull's law of shape k around the neurons' scales. What falls below 1 is pruned. So a weight is left with probability
exp(-1 / (s_i t_j)), and of what is left (x^k - 1) / (s_i t_j) is exponential again: residuals that may change places.

Where a neuron's strength depends on which of its weights were left, places with the same numbers of weights are not
equally likely: strong neurons meet too many or too few strong ones. The model gives their odds.
"""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import full_precision

Array = Any  # NumPy's or JAX's

# Newton's steps of rows, columns and shape in turn; a step changes no logarithm by more than 1.
NUM_STEPS = 25
# Of rows and columns in turn, until both have their strengths.
NUM_SCALINGS = 40
# Weights further below the largest one count as that small: float32 has squares of no wider range.
SMALLEST = 1e-6


class Model(NamedTuple):
    """Of a block [a, b]."""

    rows: Array  # [a], log s
    columns: Array  # [b], log t
    shape: Array  # [], k
    least: Array  # [], the unit of weights
    outgoing: Array  # [a], sums of rows beyond the least of each weight, in units
    incoming: Array  # [b], sums of columns


def fit(xp: ModuleType, block: Array) -> tuple[Model, Array]:
    """The likeliest model of a block [a, b] and the residuals [a, b], above 0 where there is a weight."""
    kept = block > 0
    most = xp.maximum(block.max(), xp.finfo(block.dtype).tiny)
    least = xp.maximum(xp.where(kept, block, most).min() * 0.999, most * SMALLEST)
    units = xp.where(kept, xp.maximum(block / least, 1), 1)
    logs, known = xp.log(units), kept.any(axis=1)[:, None] & kept.any(axis=0)[None, :]
    start = xp.zeros_like(block[:, 0]), xp.zeros_like(block[0]), xp.full_like(block[0, 0], 2)
    rows, columns, shape = _repeated(xp, lambda state: _step(xp, state, logs, kept, known), start)
    scale = rows[:, None] + columns[None, :]
    residuals = xp.where(kept, xp.maximum(xp.expm1(shape * logs) * xp.exp(-scale), 1e-30), 0)
    beyond = units - 1
    return Model(rows, columns, shape, least, beyond.sum(axis=1), beyond.sum(axis=0)), residuals


def log_odds(log_scale: Array) -> Array:
    """Logarithm of the odds that a weight of this scale is left."""
    rate = jnp.exp(-log_scale)
    return -rate - jnp.log(-jnp.expm1(-rate))


@full_precision
def with_strengths(model: Model, residuals: Array) -> Array:
    """Weights [a, b] with these residuals whose rows and columns have the strengths of the model's block."""
    scale = model.rows[:, None] + model.columns[None, :]
    kept = residuals > 0
    beyond = jnp.where(kept, jnp.exp(jnp.log1p(residuals * jnp.exp(scale)) / model.shape) - 1, 0)

    def share(given: Array, found: Array) -> Array:
        return jnp.where(found > 0, given / jnp.where(found > 0, found, 1), 0)

    def scaled(_: Array, factors: tuple[Array, Array]) -> tuple[Array, Array]:
        rows = share(model.outgoing, beyond @ factors[1])
        return rows, share(model.incoming, rows @ beyond)

    start = jnp.ones_like(model.rows), jnp.ones_like(model.columns)
    rows, columns = jax.lax.fori_loop(0, NUM_SCALINGS, scaled, start)
    return model.least * jnp.where(kept, 1 + rows[:, None] * beyond * columns[None, :], 0)


def _step(xp: ModuleType, state: Any, logs: Array, kept: Array, known: Array) -> Any:
    """Newton's steps of the log-likelihood, in turn of rows, columns and the shape."""
    rows, columns, shape = state
    for axis in (1, 0):
        slopes = _slopes(xp, rows[:, None] + columns[None, :], shape, logs, kept, known)
        first, second = (x.sum(axis=axis) for x in slopes)
        step = xp.clip(first / (second + 1e-9), -1, 1)
        rows, columns = (rows + step, columns) if axis == 1 else (rows, columns + step)
    ratio = xp.where(kept, xp.exp(shape * logs - rows[:, None] - columns[None, :]), 0)
    count = kept.sum()
    first = (count / shape + (logs * (1 - ratio)).sum()) / (count / shape**2 + (ratio * logs**2).sum() + 1e-9)
    return rows, columns, xp.clip(shape + xp.clip(first, -0.3, 0.3), 0.5, 4)


def _slopes(
    xp: ModuleType, scale: Array, shape: Array, logs: Array, kept: Array, known: Array
) -> tuple[Array, Array]:
    """First and negative second derivatives of each entry's log-likelihood by the logarithm of its scale."""
    rate, ratio = xp.exp(-scale), xp.exp(xp.minimum(shape * logs - scale, 80))
    gone = xp.maximum(-xp.expm1(-rate), 1e-30)
    pull = rate * xp.exp(-rate) / gone
    first, second = xp.where(kept, ratio - 1, -pull), xp.where(kept, ratio, pull * (rate / gone - 1))
    return xp.where(known, first, 0), xp.where(known, second, 0)


def _repeated(xp: ModuleType, step: Any, state: Any) -> Any:
    if xp is jnp:
        return jax.lax.fori_loop(0, NUM_STEPS, lambda _, own: step(own), state)
    for _ in range(NUM_STEPS):
        state = step(state)
    return state
