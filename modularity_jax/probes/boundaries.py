"""Do the boundaries between modules matter: are units of one module more alike in what they are and do?

On the host and in float64: features come in any number and width.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.metric.combining import combine_trials
from modularity_jax.probes.submodules import deal_parts, draw_orders

Array = jax.Array


class BoundaryTest(NamedTuple):
    """M features of units against R permutations of their modules."""

    names: tuple[str, ...]  #: [M], of the features
    observed: np.ndarray  #: [M], mean similarity of units within modules less that between them
    controls: np.ndarray  #: [R, M], all features under the same permutations
    p_value: np.ndarray  #: [M], of each feature by itself, share of the controls at least as large, itself included
    p_adjusted: np.ndarray  #: [M], for all features together by step-down max-T


def boundary_test(
    labels: ArrayLike,
    features: Mapping[str, ArrayLike],
    key: Array,
    *,
    num_shuffles: int = 999,
    similarity: str = "cosine",
) -> BoundaryTest:
    """Are units of one module more alike in their features than units of different modules?

    T = mean similarity of all pairs within modules - that of all pairs between them, against T with the modules' labels
    permuted among the units, so that their sizes stay; after Tanner et al. 2023. The features may be the weights that a
    unit receives or sends, its `task_variance`, its column of the Jacobian, what its lesion costs each class. A feature
    that the modules were made from, or that tells the same, is no evidence.

    Args:
      labels: module of each unit, [N] integers, concrete; units with a negative one are left out.
      features: by name, real numbers [N, F] or [N], concrete.
      key: typed PRNG key, consumed.
      num_shuffles: R.
      similarity: of two units' features: "cosine", of the angle between them, both less the mean over units; or
        "distance", minus the Euclidean one.

    Raises:
      ValueError: if labels are no integers [N] or do not have two modules, one of them of several units, there is no
        feature, one has another number of units, or is not finite, num_shuffles is no whole number or below
        1, the similarity is unknown, or key is not one key.
    """
    checks.check_count("num_shuffles", num_shuffles, 1)
    checks.check_choice("similarity", similarity, tuple(SIMILARITIES))
    given = np.asarray(checks.as_integers("labels", labels))
    live, modules = _live_modules(given)
    if not features:
        raise ValueError("features must hold at least one array, got none")
    rows = [_as_rows(f"features[{name!r}]", own, len(given))[live] for name, own in features.items()]
    trials = _permuted(modules, checks.as_key(key), int(num_shuffles))
    values = np.stack([_contrasts(SIMILARITIES[similarity](own), trials) for own in rows], axis=1)
    found = combine_trials(values, higher=True)
    return BoundaryTest(tuple(features), values[0], values[1:], found.p_value, found.p_adjusted)


def task_variance(states: ArrayLike, tasks: ArrayLike) -> np.ndarray:
    """How much each unit varies in each task, [N, tasks], as a share of the task in which it does most.

    The variance over a task's trials, which are its conditions, at each step; its mean over steps; divided by the
    largest of the unit's (Yang et al. 2019). A unit that never varies has 0.

    Args:
      states: [trials, steps, N] real numbers, concrete, without noise: the mean over the repetitions of a condition.
      tasks: of each trial, [trials] integers; columns are in their order.

    Raises:
      ValueError: if states are not [trials, steps, N] or not finite, or tasks are no integers [trials], or one of them
        has a single trial.
    """
    given, of_trials = np.asarray(checks.as_numbers("states", states)), checks.as_integers("tasks", tasks)
    checks.check_finite("states", given)
    if given.ndim != 3 or not given.size:
        raise ValueError(f"states must have shape [trials, steps, N], got {given.shape}")
    if of_trials.shape != given.shape[:1]:
        raise ValueError(f"tasks must have shape ({len(given)},), one per trial, got {of_trials.shape}")
    known, sizes = np.unique(np.asarray(of_trials), return_counts=True)
    if sizes.min() < 2:
        raise ValueError(f"tasks must have at least 2 trials each, got 1 of task {known[sizes.argmin()]}")
    found = [given[of_trials == task].var(axis=0, dtype=np.float64).mean(axis=0) for task in known]
    variances = np.stack(found, axis=1)
    return _shares(variances, variances.max(axis=1, keepdims=True))


def _cosines(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    scaled = _shares(centred, np.linalg.norm(centred, axis=1, keepdims=True))
    return scaled @ scaled.T


def _nearness(rows: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist  # here, because it takes long to import

    found: np.ndarray = -cdist(rows, rows)
    return found


#: Of features [N, F], how alike each two units are, [N, N]; see `boundary_test`.
SIMILARITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"cosine": _cosines, "distance": _nearness}


def _contrasts(similarity: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """T [R + 1] of labels [R + 1, N]."""
    pairs, members = similarity - np.diag(np.diag(similarity)), np.eye(trials.max() + 1)
    sizes = np.bincount(trials[0])
    num_within = (sizes * (sizes - 1)).sum()
    num_between = trials.shape[1] * (trials.shape[1] - 1) - num_within
    within = np.array([((members[:, own] @ pairs) * members[:, own]).sum() for own in trials])
    contrasts: np.ndarray = within / num_within - (pairs.sum() - within) / num_between
    return contrasts


def _permuted(modules: np.ndarray, key: Array, count: int) -> np.ndarray:
    """Labels [count + 1, N], first as they are, then permuted."""
    parts = deal_parts([modules], int(modules.max()) + 1)
    (orders,) = draw_orders([modules], parts, key, range(count + 1), with_rest=False)
    trials = np.empty((count + 1, modules.size), int)
    np.put_along_axis(trials, orders.whole[:, : modules.size], np.sort(modules)[None], axis=1)
    return trials


def _live_modules(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The units that have a module, and the numbers of their modules from 0 on."""
    if labels.ndim != 1:
        raise ValueError(f"labels must have shape [N], got {labels.shape}")
    live = np.flatnonzero(labels >= 0)
    _, modules, sizes = np.unique(labels[live], return_inverse=True, return_counts=True)
    if len(sizes) < 2 or sizes.max() < 2:
        raise ValueError(f"labels must have two modules, one of them of several units, got sizes {sizes.tolist()}")
    return live, modules


def _as_rows(name: str, feature: ArrayLike, num_units: int) -> np.ndarray:
    rows = np.asarray(checks.as_numbers(name, feature), np.float64)
    checks.check_finite(name, rows)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or len(rows) != num_units or not rows.shape[1]:
        raise ValueError(f"{name} must have shape ({num_units}, F), one row per unit, got {np.shape(feature)}")
    return rows


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
