"""From accuracies of damaged networks to p-values and to the study's words for them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modularity_jax.metric.multiple_testing import ROUNDING, holm, westfall_young
from modularity_jax.metric.statistics import TIE_TOLERANCE, in_units

CORRECTIONS = ("max_t", "holm")
TIES = ("counted", "strict")
TAXONOMY = (
    "complete",
    "small",
    "important",
    "prunable",
    "least important",
    "significant but not different",
    "different but not significant",
    "other",
)

# The study's bounds: a sub-module of so many units is small; a loss of a hundredth of accuracy is a difference.
SMALL = 12
DIFFERENCE = 0.01

# Of the corrected p-values.
ALPHA = 0.05


class Tests(NamedTuple):
    """M values against their controls; p-values and z are nan where a control could not differ."""

    control_mean: np.ndarray  # [M]
    control_std: np.ndarray  # [M], ddof 0
    z_score: np.ndarray  # [M]
    p_value: np.ndarray  # [M], lower tail
    p_adjusted: np.ndarray  # [M], for all M together


def test_all(observed: np.ndarray, controls: np.ndarray, testable: np.ndarray, *, ties: str, correction: str) -> Tests:
    """Tests of values [M] against controls [R, M]; `testable` [M] marks those that a control can change.

    Ties "counted" give p = (1 + #{control <= observed}) / (R + 1); "strict" is the study's, which makes p minimal where
    a lesion changes nothing, and is for comparison with its tables. The correction "max_t" is Westfall and Young's.
    """
    found = Tests(controls.mean(axis=0), controls.std(axis=0), *(np.full(len(observed), np.nan) for _ in range(3)))
    if not testable.any():
        return found
    observed, controls, slack = observed[testable], controls[:, testable], TIE_TOLERANCE * np.abs(observed[testable])
    p_value = found.p_value[testable] = p_values(observed, controls, ties=ties)
    found.p_adjusted[testable] = holm(p_value) if correction == "holm" else westfall_young(observed, controls)
    found.z_score[testable] = in_units(observed - controls.mean(axis=0), controls.std(axis=0), slack, np)
    return found


def p_values(observed: np.ndarray, controls: np.ndarray, *, ties: str) -> np.ndarray:
    """Lower-tail p [M] of values [M] against controls [R, M], as `metric.statistics.compare` has it, or the study's.

    On the host: the number of values differs from network to network, and JAX would compile each.
    """
    slack = TIE_TOLERANCE * np.abs(observed)
    limit = observed - slack if ties == "strict" else observed + slack
    below = controls < limit if ties == "strict" else controls <= limit
    return (1 + below.sum(axis=0)) / (1 + len(controls))


def at_floor(p_value: np.ndarray, num_shuffles: int) -> np.ndarray:
    """Where p is the smallest that so many controls can show; never where it is nan."""
    return p_value <= ROUNDING / (num_shuffles + 1)


def classify(
    num_units: np.ndarray, share: np.ndarray, diff: np.ndarray, p_value: np.ndarray, significant: np.ndarray
) -> Sequence[str]:
    """The study's taxonomy of sub-modules (2103.03386, first match), arrays [M].

    A share of 1 is a whole layer; diff is accuracy when damaged minus undamaged; p_value is not corrected; significant
    is the study's p at its floor, or a corrected p at most 0.05.
    """
    never = p_value >= 1 / ROUNDING
    rules = [
        share == 1,
        num_units <= SMALL,
        significant & (diff <= -DIFFERENCE),
        never & (diff > -DIFFERENCE),
        never,
        significant,
        diff < -DIFFERENCE,
        np.full(len(diff), True),
    ]
    return [TAXONOMY[index] for index in np.argmax(rules, axis=0)]
