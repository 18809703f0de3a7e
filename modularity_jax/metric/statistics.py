"""Monte Carlo statistics of one observed value against its controls."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
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
    p_value: Array  # [], lower tail
    p_upper: Array  # [], upper tail
    p_two_sided: Array  # [], twice the smaller tail, at most 1
    p_interval: Array  # [2], Clopper-Pearson interval at 95% of the lower tail's probability
    effect_size: Array  # [], (median - observed) / MAD, positive where the observed value is lower


def compare(observed: Array, controls: Array) -> Statistics:
    """Statistics of an observed value [] against controls [R].

    p = (1 + #{controls <= observed}) / (R + 1), ties counted (Phipson and Smyth 2010; North et al. 2002).
    """
    slack = TIE_TOLERANCE * jnp.abs(observed)
    left_out = jnp.isnan(controls)
    count = (~left_out).sum(dtype=jnp.int32)
    below = (controls <= observed + slack).sum(dtype=jnp.int32)
    above = (controls >= observed - slack).sum(dtype=jnp.int32)
    known = (count > 0) & ~jnp.isnan(observed)
    p_value, p_upper = (jnp.where(known, (1 + tail) / (count + 1), jnp.nan) for tail in (below, above))
    mean, std, median = jnp.nanmean(controls), jnp.nanstd(controls), jnp.nanmedian(controls)
    return Statistics(
        num_left_out=left_out.sum(dtype=jnp.int32),
        mean=mean,
        std=std,
        z_score=_in_units(observed - mean, std, slack),
        p_value=p_value,
        p_upper=p_upper,
        p_two_sided=jnp.minimum(1, 2 * jnp.minimum(p_value, p_upper)),
        p_interval=jnp.where(known, clopper_pearson(below, count), jnp.nan),
        effect_size=_in_units(median - observed, jnp.nanmedian(jnp.abs(controls - median)), slack),
    )


def clopper_pearson(successes: Array, trials: Array | int, confidence: float = CONFIDENCE) -> Array:
    """Exact binomial confidence interval [2] for a probability (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    hits, misses = (jnp.asarray(count, jnp.result_type(float)) for count in (successes, trials - successes))
    low = _beta_quantile(tail, hits, misses + 1)
    high = _beta_quantile(1 - tail, hits + 1, misses)
    return jnp.stack([jnp.where(hits == 0, 0, low), jnp.where(misses == 0, 1, high)])


def _beta_quantile(probability: float, a: Array, b: Array) -> Array:
    """Quantile of the beta distribution by bisection: JAX has betainc, not its inverse. Nonsense where a or b is 0."""
    a, b = jnp.maximum(a, 1e-3), jnp.maximum(b, 1e-3)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        beyond = betainc(a, b, middle) > probability
        return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

    low, high = jax.lax.fori_loop(0, 40, halve, (jnp.zeros_like(a), jnp.ones_like(a)))
    return (low + high) / 2


def _in_units(difference: Array, unit: Array, slack: Array) -> Array:
    """The difference over the unit; where that is no more than rounding, 0 or a signed infinity."""
    flat = unit <= slack
    extreme = jnp.where(jnp.abs(difference) <= slack, 0, jnp.sign(difference) * jnp.inf)
    return jnp.where(flat, extreme, difference / jnp.where(flat, 1, unit))
