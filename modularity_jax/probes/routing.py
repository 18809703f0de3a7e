"""How well a router gives rules, or tasks, modules of their own (Mittal, Bengio and Lajoie 2022).

On the host: an assignment is small, and the matching of rules and modules is SciPy's.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.probes.submodules import permuted_labels
from modularity_jax.probes.verdicts import p_values

Array = jax.Array

# Distributions of rules over which the adaptation is a mean, and as many mirror images; the paper draws 100.
NUM_DISTRIBUTIONS = 1024

# By which probabilities in float32 may miss a sum of 1.
_ROUNDING = 1e-4


class RoutingScores(NamedTuple):
    """Scores of an assignment, NumPy; lower is better, 0 is a module for each rule."""

    collapse_average: np.ndarray  #: [...], 0 where all modules are used alike, 1 where one alone is
    collapse_worst: np.ndarray  #: [...], of the module that is used least: 1 where one is never used
    alignment: np.ndarray  #: [...], distance from the nearest assignment of rules to modules of their own
    inverse_mutual_information: np.ndarray  #: [...], 1 less what the module tells of the rule: 1 where nothing
    adaptation: np.ndarray  #: [...], how far the modules' use is from the rules' where some of these are rare


class RoutingTest(NamedTuple):
    """Scores of a router against those with its samples' rules shuffled."""

    assignment: np.ndarray  #: [R, M]
    scores: RoutingScores  #: []
    controls: RoutingScores  #: [P], of shuffled rules
    p_value: RoutingScores  #: [], lower tail; nan of the two of collapse, which do not ask which rule a sample has


def routing_scores(assignment: ArrayLike) -> RoutingScores:
    """Collapse and specialisation of a router (Mittal et al. 2022, section 5).

    With A_rm = p(module m | rule r), p(m) = mean_r A_rm and as many modules as rules, M = R:

    - collapse_average = M / (M - 1) sum_m max(0, 1/M - p(m)),
    - collapse_worst = 1 - M min_m p(m),
    - alignment = min_P sum |A - P| / (2 R) over permutations P,
    - inverse_mutual_information = 1 - I(m; r) / log R, of rules that are equally likely,
    - adaptation = E_p sum |sort(p) - sort(p A)| over distributions p ~ Dirichlet(1) of rules, as a mean over 2,048
      points (Sobol's and their mirror images, to within .003).

    Uniform gates have 0, 0, (R - 1) / R, 1 and 2 (1 - 1/R)^R; a module for each rule has five times 0; one module
    alone 1, 1, (R - 1) / R, 1 and 2 (1 - H_R / R), H_R the harmonic number. The authors' code halves the adaptation
    and leaves I in nats, without log R.

    Where M differs from R, min(R, M) rules are matched with modules of their own, alignment is 1 - the mean of their
    A_rm, I is divided by log min(R, M), and what is sorted is filled up with zeros. With fewer modules than rules
    adaptation is never 0.

    Args:
      assignment: p(module | rule), [..., R, M]; of gates see `gate_assignment`.

    Raises:
      ValueError: if there are fewer than two rules or modules, or a row is no distribution.
    """
    given = np.asarray(checks.as_numbers("assignment", assignment), np.float64)
    if given.ndim < 2 or min(given.shape[-2:]) < 2:
        raise ValueError(f"assignment must have shape [..., R, M] with at least 2 rules and modules, got {given.shape}")
    check_distributions("assignment", given)
    return _scores(given)


def gate_assignment(gates: ArrayLike, tasks: ArrayLike) -> np.ndarray:
    """The assignment p(module | rule) [..., R, M] of a router: its mean gates over the samples of each rule.

    Args:
      gates: probabilities of the modules, [..., n, M].
      tasks: rule of each sample, [n] integers; rows of the assignment are the rules that there are, in order.

    Raises:
      ValueError: if a sample's gates are no distribution, or tasks are not integers, one a sample.
    """
    given, places = _samples(gates, tasks)
    return _assignment(given, places)


def routing_test(gates: ArrayLike, tasks: ArrayLike, key: Array, *, num_shuffles: int = 999) -> RoutingTest:
    """Does the router tell the rules apart? Its scores against those of as many shuffles of the samples' rules.

    p = (1 + #{shuffled score <= observed}) / (P + 1), which is uniform where gates do not depend on the rule.

    Args:
      gates, tasks: as `gate_assignment`, of one router [n, M].
      key: typed PRNG key, consumed.
      num_shuffles: P.

    Raises:
      ValueError: as `gate_assignment` and `routing_scores`, or if num_shuffles is no whole number or below 1.
    """
    checks.check_count("num_shuffles", num_shuffles, 1)
    key, (given, places) = checks.as_key(key), _samples(gates, tasks)
    if given.ndim > 2:
        raise ValueError(f"gates must have shape [n, M], got {given.shape}")
    shuffles = range(int(num_shuffles) + 1)
    found = np.stack([_assignment(given, *permuted_labels([places], key, trial)) for trial in shuffles])
    scores = np.stack(routing_scores(found), axis=1)
    p_value = p_values(scores[0], scores[1:], ties="counted")
    p_value[:2] = np.nan
    return RoutingTest(found[0], *(RoutingScores(*own) for own in (scores[0], scores[1:].T, p_value)))


def _scores(assignment: np.ndarray) -> RoutingScores:
    from scipy.optimize import linear_sum_assignment  # here, because they take long to import
    from scipy.special import rel_entr

    num_rules, num_modules = assignment.shape[-2:]
    few, use = min(num_rules, num_modules), assignment.mean(axis=-2)
    flat = assignment.reshape(-1, num_rules, num_modules)
    matched = np.array([own[linear_sum_assignment(own, maximize=True)].sum() for own in flat]) / few
    told = rel_entr(assignment, use[..., None, :]).sum(axis=-1).mean(axis=-1)
    return RoutingScores(  # nothing below 0 by rounding
        collapse_average=num_modules / (num_modules - 1) * np.maximum(0, 1 / num_modules - use).sum(axis=-1),
        collapse_worst=np.maximum(0, 1 - num_modules * use.min(axis=-1)),
        alignment=np.maximum(0, 1 - matched.reshape(assignment.shape[:-2])),
        inverse_mutual_information=np.maximum(0, 1 - told / np.log(few)),
        adaptation=np.array([_adaptation(own) for own in flat]).reshape(assignment.shape[:-2]),
    )


def _adaptation(assignment: np.ndarray) -> float:
    """Of one assignment [R, M]: with many at once each would have its use of modules for all distributions."""
    rules = _distributions(len(assignment))
    width = max(assignment.shape)

    def ranked(shares: np.ndarray) -> np.ndarray:
        return np.pad(np.sort(shares, axis=1), [(0, 0), (width - shares.shape[1], 0)])

    return float(np.abs(ranked(rules) - ranked(rules @ assignment)).sum(axis=1).mean())


@functools.cache
def _distributions(num_rules: int) -> np.ndarray:
    """Points of Dirichlet's distribution with all parameters 1, [2 `NUM_DISTRIBUTIONS`, R]."""
    from scipy.stats.qmc import Sobol

    uniform = Sobol(num_rules, scramble=False).random(NUM_DISTRIBUTIONS) + 0.5 / NUM_DISTRIBUTIONS
    # Exponential variables over their sum; with their mirror images, so that each line has the right mean.
    drawn = -np.log(np.concatenate([uniform, 1 - uniform]))
    drawn /= drawn.sum(axis=1, keepdims=True)
    return drawn


def _samples(gates: ArrayLike, tasks: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Gates [..., n, M], and the number of each sample's rule among those that there are, [n]."""
    given, labels = np.asarray(checks.as_numbers("gates", gates), np.float64), checks.as_integers("tasks", tasks)
    if given.ndim < 2 or not given.size:
        raise ValueError(f"gates must have shape [..., n, M], got {given.shape}")
    if labels.shape != given.shape[-2:-1]:
        raise ValueError(f"tasks must have shape ({given.shape[-2]},), one per sample, got {labels.shape}")
    check_distributions("gates", given)
    return given, np.unique(np.asarray(labels), return_inverse=True)[1]


def _assignment(gates: np.ndarray, places: np.ndarray) -> np.ndarray:
    shares = np.eye(places.max() + 1)[:, places] / np.bincount(places)[:, None]
    found: np.ndarray = shares @ gates
    return found


def check_distributions(name: str, values: np.ndarray) -> None:
    """Probabilities that sum to 1 along the last axis."""
    checks.check_finite(name, values)
    sums = values.sum(axis=-1)
    if values.min() < 0 or np.abs(sums - 1).max() > _ROUNDING:
        got = f"values from {values.min():.3g} on with sums from {sums.min():.4g} to {sums.max():.4g}"
        raise ValueError(f"{name} must be probabilities that sum to 1 along the last axis, got {got}")
