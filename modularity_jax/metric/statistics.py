"""Monte Carlo statistics of one observed value against its controls."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc

Array = jax.Array

# Values that differ by less than this share of the observed one count as tied: float32 sums in another order do.
TIE_TOLERANCE = 1e-6

CONFIDENCE = 0.95


class Statistics(NamedTuple):
    """One observed value against R controls. A p-value never falls below 1 / (R + 1).

    Controls that are NaN have no value to compare and are left out, as if there were fewer; where all are, or the
    observed value is NaN, so is everything but their number.
    """

    num_left_out: Array  # [] int32, controls that are NaN

    mean: Array  # [], of the controls
    std: Array  # [], ddof 0, as the papers print it
    z_score: Array  # [], (observed - mean) / std; infinite where the controls do not vary and the observed differs
    p_value: Array  # [], of the tail that is more modular
    p_opposite: Array  # [], of the other one
    p_two_sided: Array  # [], twice the smaller tail, at most 1
    p_interval: Array  # [2], Clopper-Pearson interval at 95% of that tail's probability
    effect_size: Array  # [], (median - observed) / MAD, or its negative: positive where the observed is more modular


def compare(observed: Any, controls: Any, *, higher: bool = False) -> Statistics:
    """Statistics of an observed value [] against controls [R], on the host where both are NumPy's.

    p = (1 + #{controls at least as modular}) / (R + 1), ties counted (Phipson and Smyth 2010; North et al. 2002); lower
    values are more modular, or higher ones.
    """
    xp: Any = np if isinstance(observed, np.ndarray | np.generic) and isinstance(controls, np.ndarray) else jnp
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of statistics of no control
        return Statistics(*(xp.asarray(value) for value in _compare(observed, controls, higher, xp)))


def _compare(observed: Any, controls: Any, higher: bool, xp: Any) -> Statistics:
    kind = controls.dtype
    slack = TIE_TOLERANCE * xp.abs(observed)
    left_out = xp.isnan(controls)
    count = (~left_out).sum(dtype=xp.int32)
    below = (controls <= observed + slack).sum(dtype=xp.int32)
    above = (controls >= observed - slack).sum(dtype=xp.int32)
    better, worse = (above, below) if higher else (below, above)
    known = (count > 0) & ~xp.isnan(observed)
    p_value, p_opposite = (xp.where(known, (1 + tail) / (count + 1), xp.nan).astype(kind) for tail in (better, worse))
    mean, std, median = xp.nanmean(controls), xp.nanstd(controls), xp.nanmedian(controls)
    return Statistics(
        num_left_out=left_out.sum(dtype=xp.int32),
        mean=mean,
        std=std,
        z_score=in_units(observed - mean, std, slack, xp),
        p_value=p_value,
        p_opposite=p_opposite,
        p_two_sided=xp.minimum(1, 2 * xp.minimum(p_value, p_opposite)),
        p_interval=xp.where(known, clopper_pearson(better, count, xp=xp), xp.nan).astype(kind),
        effect_size=(-1 if higher else 1)
        * in_units(median - observed, xp.nanmedian(xp.abs(controls - median)), slack, xp),
    )


def clopper_pearson(successes: Any, trials: Any, confidence: float = CONFIDENCE, xp: Any = jnp) -> Any:
    """Exact binomial confidence interval [2] for a probability (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    hits, misses = (xp.asarray(count, jnp.result_type(float)) for count in (successes, trials - successes))
    quantile: Any = _beta_quantile
    if xp is np:
        from scipy.special import betaincinv  # here, because it takes long to import

        quantile = betaincinv
    low = quantile(xp.maximum(hits, 1e-3), misses + 1, tail)
    high = quantile(hits + 1, xp.maximum(misses, 1e-3), 1 - tail)
    return xp.stack([xp.where(hits == 0, 0, low), xp.where(misses == 0, 1, high)])


def _beta_quantile(a: Array, b: Array, probability: float) -> Array:
    """Quantile of the beta distribution by bisection: JAX has betainc, not its inverse."""

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        beyond = betainc(a, b, middle) > probability
        return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

    low, high = jax.lax.fori_loop(0, 40, halve, (jnp.zeros_like(a), jnp.ones_like(a)))
    return (low + high) / 2


def in_units(difference: Any, unit: Any, slack: Any, xp: Any) -> Any:
    """The difference over the unit; where that is no more than rounding, 0 or a signed infinity."""
    flat = unit <= slack
    extreme = xp.where(xp.abs(difference) <= slack, 0, xp.copysign(xp.inf, difference))
    return xp.where(flat, extreme, difference / xp.where(flat, 1, unit)).astype(unit.dtype)
