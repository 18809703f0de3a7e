"""Many tests as one: of a network's sub-modules, which share samples and controls, and of networks, which share none.

On the host and in float64: how many tests there are differs from network to network, and JAX would compile each.
"""

from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.metric.multiple_testing import westfall_young
from modularity_jax.metric.statistics import TIE_TOLERANCE

# Of the p-values of networks.
COMBINATIONS = ("stouffer", "irwin_hall")


class CombinedTest(NamedTuple):
    """M things of one network against controls that are drawn for all of them together; NumPy arrays.

    NaN where there is nothing to compare, and so in all p-values of a network of which nothing is tested.
    """

    p_value: np.ndarray  #: [M], of each by itself
    p_adjusted: np.ndarray  #: [M], for all M by step-down max-T
    p_network: float  #: of all M together, valid whatever their dependence
    p_fisher: float  #: the study's, which takes the M for independent; not valid, to be compared with its tables
    p_max_t: float  #: of the most extreme of them, the smallest p_adjusted
    effect: np.ndarray  #: [M], 1 where it is as in the controls, up to 2; NaN where it is not defined
    median_effect: float  #: of those that are defined
    num_tested: int  #: how many have a p-value
    num_na: int  #: how many of those that were to be tested have no effect


def combine_trials(
    values: ArrayLike,
    *,
    higher: bool = False,
    effect: ArrayLike | None = None,
    tested: ArrayLike | None = None,
) -> CombinedTest:
    """Tests of M values of a network against R controls each, one by one and all together.

    Trials 0, the network, and 1..R, the controls, are exchangeable where there is no effect, all M values of a trial
    at once: then whatever is computed of each trial in the same way is as likely to be the largest in one as in
    another, and the share of trials in which it is at least what it is in trial 0 is a valid p-value.

    - One by one: p = #{t: v_t <= v_0} / (R + 1), ties counted, which is (1 + #{controls}) / (R + 1).
    - All together: each trial has a p_tj of its own in each column j, among all R + 1 trials, and from these Fisher's
      sum over the columns of -2 ln(p_tj - 1 / (2 (R + 1))). `p_network` is that sum's share.
    - `p_fisher` reads trial 0's sum off chi-squared with 2 M degrees of freedom, as the study does (2110.08058). That
      asks for M independent tests. Here all share the samples, which makes it too small, and of a layer one sub-module
      has the units that the others lack, and ties count, which makes it too large.
    - `p_adjusted` and `p_max_t`: `westfall_young`, in standard deviations of each column over trials; of values with
      a heavy tail pass the logarithm.

    A NaN is left out, as if its column had a trial less: given how many trials of a column have a value, and that trial
    0 is one of them, these are exchangeable among themselves, so that its rank among them is uniform. For all columns
    together a trial's sum is taken over those m in which it has a value, less what trials have there on average, over
    sqrt(m): a trial is no more extreme for having more values. Trials without any count for nothing.

    Args:
      values: [R + 1, M], of the network in row 0 and of a control in each other row; NaN where not defined.
      higher: whether an effect makes values higher than the controls'; lower otherwise.
      effect: factors [M] to go with the tests; of these the median is taken.
      tested: [M] bool, those that count; all others are NaN in all that is found. None for all.

    Raises:
      ValueError: if values do not have such a shape or are infinite, or the others are no [M].
    """
    values = np.asarray(checks.as_numbers("values", values), np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"values must have shape [R + 1, M], a network and at least one control, got {values.shape}")
    if np.isinf(values).any():
        raise ValueError(f"values must be finite or nan, got {np.isinf(values).sum()} infinite ones")
    count = values.shape[1]
    wanted = np.asarray(_per_column("tested", True if tested is None else tested, count), bool)
    effect = np.where(wanted, _per_column("effect", np.nan if effect is None else effect, count), np.nan)
    found = _tests(np.where(wanted, -values if higher else values, np.nan))
    known = effect[~np.isnan(effect)]
    return CombinedTest(
        *found,
        effect=effect,
        median_effect=float(np.median(known)) if known.size else np.nan,
        num_tested=int((~np.isnan(found[0])).sum()),
        num_na=int(wanted.sum() - known.size),
    )


def _per_column(name: str, given: ArrayLike, count: int) -> np.ndarray:
    """An array [M], or one value for all of them."""
    array = np.asarray(checks.as_numbers(name, given))
    if array.shape not in ((), (count,)):
        raise ValueError(f"{name} must have shape ({count},), one per column of values, got {array.shape}")
    return np.broadcast_to(array, count)


def _tests(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """The first five of `CombinedTest`; values [R + 1, M], of which low ones are extreme."""
    p_value, p_adjusted = np.full((2, values.shape[1]), np.nan)
    defined = ~np.isnan(values)
    columns = defined.sum(axis=0) > 1
    kept = defined[:, columns].any(axis=1)
    if not kept[:1].all() or not columns.any():
        return p_value, p_adjusted, np.nan, np.nan, np.nan
    values = values[kept][:, columns]
    p = trial_p_values(values)
    halved = p - 0.5 / (~np.isnan(p)).sum(axis=0)
    scores = -2 * np.log(halved)
    sums = np.nansum(scores - np.nanmean(scores, axis=0), axis=1) / np.sqrt((~np.isnan(p)).sum(axis=1))
    p_value[columns], p_adjusted[columns] = p[0], westfall_young(values[0], values[1:])
    p_network = float((sums >= sums[0] - TIE_TOLERANCE).mean())
    return p_value, p_adjusted, p_network, fisher(halved[0][~np.isnan(p[0])]), float(np.nanmin(p_adjusted))


def trial_p_values(values: np.ndarray) -> np.ndarray:
    """Lower-tail p-values [T, M] of each of T trials among all that have a value in its column, [T, M] with NaN.

    In row 0 they are those of `metric.statistics.compare`: ties are counted, with its tolerance.
    """
    p = np.full(values.shape, np.nan)
    for own, found in zip(values.T, p.T, strict=True):
        known = own[~np.isnan(own)]
        within = known + TIE_TOLERANCE * np.abs(known)
        found[~np.isnan(own)] = np.searchsorted(np.sort(known), within, side="right") / known.size
    return p


def combine_p_values(p_values: ArrayLike, *, num_shuffles: ArrayLike, method: str = "stouffer") -> float:
    """One p-value of independent networks' [S], NaN left out; NaN where nothing is left.

    Args:
      p_values: [S], Monte Carlo ones of so many controls.
      num_shuffles: those controls, one number or [S].
      method: "stouffer", see `stouffer`, or "irwin_hall", the study's, see `irwin_hall`.

    Raises:
      ValueError: if a p-value is not above 0 and at most 1, the method is unknown, or shapes do not fit.
    """
    checks.check_choice("method", method, COMBINATIONS)
    p = np.atleast_1d(np.asarray(checks.as_numbers("p_values", p_values), np.float64))
    known = ~np.isnan(p)
    wrong = p[known & ~((p > 0) & (p <= 1))]
    if p.ndim > 1 or wrong.size:
        raise ValueError(f"p_values must be [S], above 0 and at most 1, got {wrong[0] if wrong.size else p.shape}")
    if not known.any():
        return np.nan
    counts = _per_column("num_shuffles", num_shuffles, p.size)
    return irwin_hall(p[known]) if method == "irwin_hall" else stouffer(p[known], counts[known])


def stouffer(p_values: np.ndarray, num_shuffles: np.ndarray) -> float:
    """Stouffer's combined p of Monte Carlo p-values [S] from so many shuffles [S] each.

    z = sum of Phi^-1(1 - p) / sqrt(S). A p of 1, the observed value above every control, would make z minus infinity
    and one such seed erase all others. It says no more than that p lies above R / (R + 1), so it counts as the middle
    of that step, 1 - 1 / (2 (R + 1)). Every other p stands at the upper end of its step, which makes up for it: under
    the null the combined p is at most .05, .01 or .001 no more often than that, whether 1 or 1000 shuffles and 2 or 100
    seeds (by convolution). A lone p is returned as it is.
    """
    import scipy.stats  # here, because it takes long to import

    if len(p_values) == 1:
        return float(p_values[0])
    clipped = np.minimum(p_values, 1 - 0.5 / (num_shuffles + 1))
    return float(scipy.stats.combine_pvalues(clipped, method="stouffer").pvalue)


def fisher(p_values: np.ndarray) -> float:
    """Fisher's combined p of p-values [S]: -2 sum(ln p) against chi-squared with 2 S degrees of freedom.

    Under the null a Monte Carlo p is at least as large as a uniform one, so that the combined one is too large if
    anything. A p of 1 adds nothing.
    """
    import scipy.stats

    return float(scipy.stats.combine_pvalues(p_values, method="fisher").pvalue)


def irwin_hall(p_values: np.ndarray) -> float:
    """How likely the mean of S uniform numbers is to be at most that of p-values [S] (2110.08058; Edgington 1972).

    (1 / S!) sum over j = 0..floor(s) of (-1)^j (S over j) (s - j)^S, s the p-values' sum; by SciPy's splines, since the
    terms cancel.
    """
    import scipy.stats

    return min(1.0, float(scipy.stats.irwinhall.cdf(p_values.sum(), p_values.size)))
