"""A model of a block's weights in which all structure is that of its neurons' strengths, pruning included.

Between neurons of scales s_i and t_j a magnitude exceeds x, in units of the least one that is left, with probability

    exp(-h(x^k / (s_i t_j))),  h(v) = v + .6 v^2,

which for k = 1 is a Gaussian weight's to 4%, for other k a lighter or heavier tail. What falls below 1 is pruned: a
weight is left with probability exp(-h(1 / (s_i t_j))), and of those left h(x^k / (s_i t_j)) - h(1 / (s_i t_j)) is
exponential whatever the scales: residuals that may change places.

Where a weight had to exceed a threshold, places with the same numbers of weights are not equally likely: strong neurons
meet strong ones less often than their numbers of weights let expect. The model gives the odds.
"""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import divide, full_precision

Array = Any  # NumPy's or JAX's

# Of the square in h.
SQUARE = 0.6
# Newton's steps of rows, columns and shape in turn; a step changes no logarithm by more than 1.
NUM_STEPS = 12
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
    effects: tuple[Array, Array]  # rows and columns, less what is noise in them: of which the odds of places are made


def fit(xp: ModuleType, block: Array) -> tuple[Model, Array]:
    """The likeliest model of a block [a, b] and the residuals [a, b], above 0 where there is a weight."""
    kept = block > 0
    most = xp.maximum(block.max(), xp.finfo(block.dtype).tiny)
    least = xp.maximum(xp.where(kept, block, most).min() * 0.999, most * SMALLEST)
    units = xp.where(kept, xp.maximum(block / least, 1), 1)
    logs, known = xp.log(units), kept.any(axis=1)[:, None] & kept.any(axis=0)[None, :]
    typical = logs.sum() / xp.maximum(kept.sum(), 1).astype(block.dtype)
    start = xp.full_like(block[:, 0], typical), xp.zeros_like(block[0]), xp.ones_like(block[0, 0])
    rows, columns, shape = _repeated(xp, lambda state: _step(xp, state, logs, kept, known), start)
    rate = xp.exp(-rows)[:, None] * xp.exp(-columns)[None, :]
    residuals = xp.where(kept, xp.maximum(_hazard(xp.exp(shape * logs) * rate) - _hazard(rate), 1e-30), 0)
    slopes = _slopes(xp, rows[:, None] + columns[None, :], shape, logs, kept, known)
    effects = _shrunk(xp, rows, slopes[1].sum(axis=1)), _shrunk(xp, columns, slopes[1].sum(axis=0))
    beyond = units - 1
    return Model(rows, columns, shape, least, beyond.sum(axis=1), beyond.sum(axis=0), effects), residuals


def log_odds(log_scale: Array) -> Array:
    """Logarithm of the odds that a weight of this scale is left."""
    hazard = _hazard(jnp.exp(-log_scale))
    return -hazard - jnp.log(-jnp.expm1(-hazard))


def widened(model: Model) -> Model:
    """The model with which residuals that have changed places become weights.

    A fit leaves residuals too even, and strengths that are restored even them once more. By how much was measured, on
    blocks of 40 x 40 without a zero: half of what as many degrees of freedom would let expect.
    """
    freedom = 1 / model.rows.size + 1 / model.columns.size
    return model._replace(shape=model.shape / (1 + freedom / 4))


@full_precision
def with_strengths(model: Model, residuals: Array) -> Array:
    """Weights [a, b] with these residuals whose rows and columns have the strengths of the model's block."""
    rate = jnp.exp(-model.rows)[:, None] * jnp.exp(-model.columns)[None, :]
    kept, hazard = residuals > 0, residuals + _hazard(rate)
    value = 2 * hazard / (1 + jnp.sqrt(1 + 4 * SQUARE * hazard))  # whose hazard it is
    beyond = jnp.where(kept, (value / rate) ** (1 / model.shape) - 1, 0)

    def scaled(_: Array, factors: tuple[Array, Array]) -> tuple[Array, Array]:
        rows = divide(model.outgoing, beyond @ factors[1])
        return rows, divide(model.incoming, rows @ beyond)

    start = jnp.ones_like(model.rows), jnp.ones_like(model.columns)
    rows, columns = jax.lax.fori_loop(0, NUM_SCALINGS, scaled, start)
    return model.least * jnp.where(kept, 1 + rows[:, None] * beyond * columns[None, :], 0)


def _shrunk(xp: ModuleType, found: Array, information: Array) -> Array:
    """Logarithms of scales, nearer to their mean by the share of their variance that their information lets expect."""
    known = information > 1e-3
    count = xp.maximum(known.sum(), 1).astype(found.dtype)
    mean = xp.where(known, found, 0).sum() / count
    variance = xp.where(known, (found - mean) ** 2, 0).sum() / count
    noise = xp.where(known, 1 / xp.where(known, information, 1), 0).sum() / count
    share = xp.clip(1 - noise / xp.maximum(variance, 1e-9), 0, 1)
    return mean + share * (found - mean)


def _step(xp: ModuleType, state: Any, logs: Array, kept: Array, known: Array) -> Any:
    """Newton's steps of the log-likelihood, in turn of rows, columns and the shape."""
    rows, columns, shape = state
    for axis in (1, 0):
        slopes = _slopes(xp, rows[:, None] + columns[None, :], shape, logs, kept, known)
        first, second = (x.sum(axis=axis) for x in slopes)
        step = xp.clip(first / (second + 1e-9), -1, 1)
        rows, columns = (rows + step, columns) if axis == 1 else (rows, columns + step)
    value = xp.exp(xp.minimum(shape * logs - rows[:, None] - columns[None, :], 40))
    first, second = _of_values(value)
    count = kept.sum()
    slope = count / shape - xp.where(kept, logs * first, 0).sum()
    curvature = count / shape**2 + xp.where(kept, logs**2 * second, 0).sum() + 1e-9
    return rows, columns, xp.clip(shape + xp.clip(slope / curvature, -0.3, 0.3), 0.3, 4)


def _slopes(xp: ModuleType, scale: Array, shape: Array, logs: Array, kept: Array, known: Array) -> tuple[Array, Array]:
    """First and, nearly, negative second derivatives of each entry's log-likelihood by the logarithm of its scale."""
    rate, value = xp.exp(xp.clip(-scale, -40, 40)), xp.exp(xp.minimum(shape * logs - scale, 40))
    gone = xp.maximum(-xp.expm1(-_hazard(rate)), 1e-30)
    pull, odds = rate + 2 * SQUARE * rate**2, xp.exp(-_hazard(rate)) / gone
    first, second = _of_values(value)
    first = xp.where(kept, first, -pull * odds)
    second = xp.where(kept, second, odds * (pull**2 / gone - rate - 4 * SQUARE * rate**2))
    return xp.where(known, first, 0), xp.where(known, second, 0)


def _of_values(value: Array) -> tuple[Array, Array]:
    """The same derivatives where there is a weight, of x^k / (s t)."""
    twice = 2 * SQUARE * value
    return value * (1 + twice) - (1 + 2 * twice) / (1 + twice), value * (1 + 2 * twice)


def _hazard(value: Array) -> Array:
    return value + SQUARE * value**2


def _repeated(xp: ModuleType, step: Any, state: Any) -> Any:
    if xp is jnp:
        return jax.lax.fori_loop(0, NUM_STEPS, lambda _, own: step(own), state)
    for _ in range(NUM_STEPS):
        state = step(state)
    return state
