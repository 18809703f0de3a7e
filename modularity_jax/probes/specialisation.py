"""Local specialisation: does a network need its sub-modules more than random units, and for some classes more?"""

from typing import NamedTuple

import numpy as np

from modularity_jax.graphs import checks
from modularity_jax.metric.combining import CombinedTest, combine_trials
from modularity_jax.probes.lesion_test import LesionTest
from modularity_jax.probes.submodules import SubModules, within_bounds

# Changes below this many images are none; not 1, because accuracies may have been kept in float32.
ONE_IMAGE = 0.999


class Specialisation(NamedTuple):
    """What the M sub-modules of a network do, from lesions of each and of R controls; NumPy arrays."""

    submodules: SubModules  #: layer, cluster, num_units and share of each, [M]
    tested: np.ndarray  #: [M] bool, of at least 2 units and at most .99 of the layer's; the others have no p-values
    change: (
        np.ndarray
    )  #: [R + 1, M], what damage changes the mean accuracy of classes by; row 0 as found, then controls
    spread: np.ndarray  #: [R + 1, M], largest less least change of a class, over |change|; NaN of hardly any change
    importance: CombinedTest  #: is the change more of a loss than the controls'?
    coherence: CombinedTest  #: is the spread larger?


def specialisation(test: LesionTest, *, num_shuffles: int | None = None) -> Specialisation:
    """Importance and coherence of a network's sub-modules (2110.08058), each alone and all together.

    With change_c the accuracy on class c when damaged minus that of the whole network, and m its mean over classes:

    - importance: m, lower than in the controls. Effect 2 m / (m + r), r the controls' mean; not defined unless both are
      losses of an image or more.
    - coherence: the spread (max_c change_c - min_c change_c) / |m|, higher than in the controls. Not defined where |m|
      is less than one image of all samples: there a quotient of two roundings would decide. Effect 2 s / (s + r), s the
      spread and r the controls' mean one.

    An effect of 1 is none, 2 the most there is. The test is that of `combine_trials`: a control permutes the labels of
    all layers together, so that under the null, labels at random within each layer, it is as good as the network
    itself, for all sub-modules at once. Ties count, and what is not defined is left out. The study counts strictly, and
    a spread that is not defined as the largest of all, so that sub-modules which do nothing have its smallest p. Its
    spread varies most where the mean is least: the test of coherence takes logarithms, which changes no p_value.

    Args:
      test: what `lesion_test` found.
      num_shuffles: so many of its controls, the first ones, which are the same in a test with more; None for all.

    Classes without samples are left out; of less than two, coherence is not defined.

    Raises:
      ValueError: if the test has fewer controls, or num_shuffles is no whole number of at least 1.
    """
    most = len(test.control_accuracy)
    if num_shuffles is not None:
        checks.check_count("num_shuffles", num_shuffles, 1)
        if num_shuffles > most:
            raise ValueError(f"num_shuffles must be at most that of the test, {most}, got {num_shuffles}")
    present, tested = test.class_sizes > 0, within_bounds(test.submodules)
    by_class = np.concatenate([test.accuracy_by_class[None], test.control_accuracy_by_class[:num_shuffles]])
    changes = (by_class.astype(np.float64) - test.undamaged_by_class)[:, :, present]
    change, accuracy = changes.mean(axis=-1), by_class[:, :, present].mean(axis=-1)
    image = ONE_IMAGE / test.class_sizes.sum()
    defined = (np.abs(change) >= image) & (present.sum() > 1)
    spread = np.where(defined, np.ptp(changes, axis=-1) / np.where(defined, np.abs(change), 1), np.nan)
    others = change[1:].mean(axis=0)
    lost = (change[0] <= -image) & (others <= -image)
    effect = np.where(lost, effect_factor(change[0], np.where(lost, others, 1)), np.nan)
    wide = effect_factor(spread[0], mean_of_controls(spread))
    return Specialisation(
        test.submodules,
        tested,
        change,
        spread,
        importance=combine_trials(accuracy, effect=effect, tested=tested),
        coherence=combine_trials(np.log1p(spread), higher=True, effect=wide, tested=tested),
    )


def effect_factor(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """2 own / (own + others), of one sign: 1 where they are equal, 2 where the others are 0, NaN where both are."""
    total = own + others
    return np.where(total == 0, np.nan, 2 * own / np.where(total == 0, 1, total))


def mean_of_controls(values: np.ndarray) -> np.ndarray:
    """Mean [M] of those controls in [R + 1, M] that have a value; NaN where none has."""
    count = (~np.isnan(values[1:])).sum(axis=0)
    return np.where(count > 0, np.nansum(values[1:], axis=0) / np.maximum(count, 1), np.nan)
