"""Corrections of p-values for testing many things on one network."""

import jax
import jax.numpy as jnp

Array = jax.Array

# Test statistics, in standard deviations, that differ by less than this count as tied: float32 rounding does.
TIE_TOLERANCE = 1e-4

# Values that vary by less than this share of their mean do not vary.
FLAT = 1e-6


def westfall_young(observed: Array, controls: Array) -> Array:
    """Lower-tail p-values [M] of values [M] against shared controls [R, M], by step-down max-T.

    Westfall and Young 1993, algorithm 4.1: with T = (mean - value) / sd over a hypothesis' R + 1 values (the observed
    one included, so that all R + 1 are exchangeable), the most extreme T is compared with each control's largest T of
    all hypotheses, the next one with the largest of those left, and so on. The family-wise error is controlled under
    whatever dependence the controls share. No p falls below 1 / (R + 1).
    """
    values = jnp.concatenate([observed[None], controls])
    mean, std = values.mean(axis=0), values.std(axis=0)
    flat = std <= FLAT * jnp.abs(mean)
    statistics = jnp.where(flat[None], 0, (mean[None] - values) / jnp.where(flat, 1, std)[None])
    order = jnp.argsort(-statistics[0], stable=True)
    ranked = statistics[:, order]
    largest_left = jax.lax.cummax(ranked[1:], axis=1, reverse=True)
    above = (largest_left >= ranked[:1] - TIE_TOLERANCE).sum(axis=0)
    adjusted = jax.lax.cummax((1 + above) / (1 + controls.shape[0]))
    return jnp.zeros_like(adjusted).at[order].set(adjusted)


def holm(p_values: Array) -> Array:
    """Holm's (1979) step-down p-values [M] of p-values [M]; valid under any dependence."""
    order = jnp.argsort(p_values, stable=True)
    factors = p_values.size - jnp.arange(p_values.size)
    adjusted = jnp.minimum(jax.lax.cummax(factors * p_values[order]), 1)
    return jnp.zeros_like(adjusted).at[order].set(adjusted)
