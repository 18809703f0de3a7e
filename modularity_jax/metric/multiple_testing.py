"""Corrections of p-values for testing many things on one network.

On the host and in float64: how many things there are differs from network to network, and JAX would compile each.
"""

import numpy as np

# Test statistics, in standard deviations, that differ by less than this count as tied: float32 rounding does.
TIE_TOLERANCE = 1e-4

# Values that vary by less than this share of their mean do not vary.
FLAT = 1e-6

# P-values are quotients of whole numbers: one that equals its limit may lie above it by rounding.
ROUNDING = 1 + 1e-9


def westfall_young(observed: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Lower-tail p-values [M] of values [M] against shared controls [R, M], by step-down max-T.

    Westfall and Young 1993, algorithm 4.1: with T = (mean - value) / sd over a hypothesis' R + 1 values (the observed
    one included, so that all R + 1 are exchangeable), the most extreme T is compared with each control's largest T of
    all hypotheses, the next one with the largest of those left, and so on. The family-wise error is controlled under
    whatever dependence the controls share. No p falls below 1 / (R + 1). What is NaN is never the most extreme, and
    where the observed value is, so is its p; each hypothesis needs some value.
    """
    values = np.concatenate([observed[None], controls]).astype(np.float64)
    mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    flat = std <= FLAT * np.abs(mean)
    statistics = np.where(flat, 0, (mean - values) / np.where(flat, 1, std))
    statistics[np.isnan(values)] = -np.inf
    order = np.argsort(-statistics[0], kind="stable")
    ranked = statistics[:, order]
    largest_left = np.maximum.accumulate(ranked[1:, ::-1], axis=1)[:, ::-1]
    above = (largest_left >= ranked[0] - TIE_TOLERANCE).sum(axis=0)
    adjusted = np.empty(len(observed))
    adjusted[order] = np.maximum.accumulate((1 + above) / (1 + len(controls)))
    return np.where(np.isnan(observed), np.nan, adjusted)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) step-down p-values [M] of p-values [M]; valid under any dependence."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return adjusted


def benjamini_hochberg(p_values: np.ndarray, alpha: float = 0.05) -> float | None:
    """The largest p-value that is significant at a false discovery rate of alpha; None where none is.

    Of m p-values, NaN left out, the largest p_(i), the i-th smallest, that is at most i alpha / m (Benjamini and
    Hochberg 1995): all up to it are rejected.
    """
    ordered = np.sort(p_values[~np.isnan(p_values)])
    passing = ordered[ordered <= ROUNDING * alpha * np.arange(1, ordered.size + 1) / ordered.size]
    return float(passing[-1]) if passing.size else None
