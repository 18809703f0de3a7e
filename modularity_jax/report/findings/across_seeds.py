"""What all seeds of a run say together: combined p-values, and effects with the spread over seeds as their error.

Networks of different seeds share neither weights nor controls: their p-values are independent. The combined p speaks of
these networks, the intervals over seeds of others of the kind.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from modularity_jax.metric.combining import fisher, stouffer
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.multiple_testing import FLAT
from modularity_jax.report.findings.significance import is_significant
from modularity_jax.report.frames import KEYS

CONFIDENCE = 0.95
# A bootstrap interval stays within the range of the values. With 4 or fewer the level that `_bootstrap` asks for lies
# beyond the rarest resample (the smallest value n times, of probability n^-n), so that it would be that range.
MIN_SEEDS = 5
# Resamples of few seeds have sds near 0, and Cohen's d is a ratio to one: at 5 seeds most intervals have no end, at 8
# between 86% and 97% hold the true d (simulated, normal, d from 0 to 8).
MIN_SEEDS_COHENS_D = 8

_NO_INTERVAL = math.nan, math.nan

ACROSS_COLUMNS = (  # of across_seeds.csv
    *KEYS, "num_seeds", "num_shuffles", "num_significant", "num_upper", "num_at_floor",
    "share_significant", "share_low", "share_high", "p_stouffer", "p_fisher", "p_stouffer_upper",
    "difference", "difference_low", "difference_high", "percent", "percent_low", "percent_high",
    "effect_size", "effect_size_low", "effect_size_high", "cohens_d", "cohens_d_low", "cohens_d_high",
)  # fmt: skip


def combine(tests: pd.DataFrame) -> dict[str, float]:
    """What the seeds of one comparison, a row of `Run.tests` each, say together; nan where a number is not defined.

    - share_significant with its exact binomial interval share_low, share_high at 95%, SciPy's, in float64.
    - p_stouffer, p_fisher (lower tail), p_stouffer_upper: see `stouffer` and `fisher`. p_floor is Stouffer's p of seeds
      that all have the smallest p which their shuffles can show.
    - difference, the mean over seeds of n-cut minus its controls' mean, and percent, the same in percent of that mean
      (nan where one is 0): negative where more modular, with bootstrap intervals over seeds, see `_bootstrap`.
    - effect_size, the median over seeds of (controls' median - n-cut) / MAD: the median, because a seed's own may be
      infinite (MAD 0) and leaving it out would drop the largest. Its interval is that of order statistics
      (`scipy.stats.quantile_test`), exact and without resampling, from 6 seeds on.
    - cohens_d = (mean over seeds of the controls' means - mean over seeds of the values) / sqrt((s_1^2 + s_2^2) / 2),
      d_s of the trainings: s_1 and s_2 are the sds over seeds (ddof 1) of the controls' means and of the n-cuts, not
      the sd of a seed's controls, which `z_score` uses. Bootstrap interval from 8 seeds on, seeds resampled in pairs.

    Raises ValueError if a p-value is not in (0, 1].
    """
    for name in ("p_value", "p_opposite"):
        wrong = tests.loc[~tests[name].between(0, 1, inclusive="right"), name]
        if not wrong.empty:
            raise ValueError(f"{name} must be above 0 and at most 1, got {wrong.iloc[0]:g}")
    columns = ("observed", "shuffled_mean", "num_shuffles", "effect_size", "p_value", "p_opposite")
    ncut, shuffled, num_shuffles, effects, p_value, p_opposite = (tests[name].to_numpy(np.float64) for name in columns)
    difference = ncut - shuffled
    percent = 100 * difference / shuffled if shuffled.all() else np.full(len(tests), math.nan)
    significant = int(is_significant(p_value).sum())
    share = scipy.stats.binomtest(significant, len(tests)).proportion_ci(CONFIDENCE, method="exact")
    towards_modular = (shuffled, ncut) if measure_of(tests["measure"].iloc[0]).higher else (ncut, shuffled)
    cohens_d = _cohens_d(*towards_modular) if len(tests) > 1 else math.nan
    finite_d = cohens_d if np.isfinite(cohens_d) else math.nan
    found = {
        "share_significant": significant / len(tests),
        "share_low": float(share.low),
        "share_high": float(share.high),
        "p_stouffer": stouffer(p_value, num_shuffles),
        "p_fisher": fisher(p_value),
        "p_stouffer_upper": stouffer(p_opposite, num_shuffles),
        "p_floor": stouffer(1 / (num_shuffles + 1), num_shuffles),
    }
    for name, (value, low, high) in {
        "difference": (difference.mean(), *_bootstrap(np.mean, difference)),
        "percent": (percent.mean(), *_bootstrap(np.mean, percent)),
        "effect_size": _median(effects),
        "cohens_d": (finite_d, *_bootstrap(_cohens_d, *towards_modular, min_seeds=MIN_SEEDS_COHENS_D)),
    }.items():
        found |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def _cohens_d(ncut: np.ndarray, shuffled: np.ndarray, axis: int = -1) -> np.ndarray:
    """Cohen's d over seeds along an axis; a signed infinity, or nan, where neither sample varies."""
    pooled = np.sqrt((ncut.var(axis, ddof=1) + shuffled.var(axis, ddof=1)) / 2)
    below = shuffled.mean(axis) - ncut.mean(axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return below / np.where(pooled <= FLAT * np.abs(shuffled.mean(axis)), 0.0, pooled)


def _bootstrap(statistic: Callable[..., Any], *samples: np.ndarray, min_seeds: int = MIN_SEEDS) -> tuple[float, float]:
    """BCa bootstrap interval of a statistic over seeds, samples [S] resampled together; nan of few or missing values.

    Few values spread less than what they were drawn from, so the plain interval at 95% holds the mean of a normal
    distribution in 83% of samples of 5 and 91% of 10. As Hesterberg (2015, The American Statistician 69, 371-386)
    does, the level is raised so that a normal sample's interval is as wide as Student's: each tail is
    Phi(-sqrt(n / (n - 1)) t), t the quantile of n - 1 degrees of freedom. Then it is 91% of 5, 95% of 8 and more.
    """
    count = len(samples[0])
    varying = any(sample.std() > FLAT * abs(sample.mean()) for sample in samples)  # of missing values none is
    if count < min_seeds or not varying:
        return _NO_INTERVAL
    quantile = scipy.stats.t.isf((1 - CONFIDENCE) / 2, count - 1)
    tail = scipy.stats.norm.sf(math.sqrt(count / (count - 1)) * quantile)
    # Where resamples have no statistic the ends are nan.
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        ends = scipy.stats.bootstrap(
            samples,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=9999,
            confidence_level=1 - 2 * tail,
            rng=np.random.default_rng(0),  # the file is the same, byte for byte
        ).confidence_interval
    return (ends.low, ends.high) if np.isfinite(ends).all() else _NO_INTERVAL


def _median(values: np.ndarray) -> tuple[float, float, float]:
    """The median of values [S], infinite ones included, and its interval."""
    with np.errstate(invalid="ignore"):
        median = float(np.median(values))
    if math.isnan(median):  # a value is missing, or it lies between minus and plus infinity
        return median, *_NO_INTERVAL
    return median, *scipy.stats.quantile_test(values, q=median).confidence_interval(CONFIDENCE)
