"""Single and double lesion tests of one network."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.probes import verdicts
from modularity_jax.probes.any_network import Apply
from modularity_jax.probes.labels import accuracy
from modularity_jax.probes.measure import Keep, LesionSettings, Measured, Metric, keep_nothing, measure
from modularity_jax.probes.submodules import SubModules

Array = jax.Array

KINDS = ("joint", "conditional")


class LesionTest(NamedTuple):
    """Each of M sub-modules damaged alone; NumPy arrays. Accuracy is the metric's mean where another is given."""

    submodules: SubModules  #: layer, cluster, num_units and share of each, [M]
    undamaged: float  #: accuracy of the whole network
    undamaged_by_class: np.ndarray  #: [C]
    accuracy: np.ndarray  #: [M], with the sub-module damaged
    accuracy_by_class: np.ndarray  #: [M, C]
    diff: np.ndarray  #: [M], accuracy - undamaged
    control_accuracy: np.ndarray  #: [R, M]
    control_accuracy_by_class: np.ndarray  #: [R, M, C]
    control_mean: np.ndarray  #: [M]
    control_std: np.ndarray  #: [M]
    z_score: np.ndarray  #: [M]
    p_value: np.ndarray  #: [M], lower tail; nan for a whole layer, which no control can change
    p_adjusted: np.ndarray  #: [M], for all sub-modules of the network
    taxonomy: Sequence[str]  #: M of `TAXONOMY`, from p_value as in the study
    taxonomy_adjusted: Sequence[str]  #: M, significant where p_adjusted <= 0.05
    class_sizes: np.ndarray  #: [C], samples of each class


class DoubleLesionTest(NamedTuple):
    """P pairs of sub-modules damaged together; NumPy arrays."""

    submodules: SubModules  #: all M of the network, to which `first` and `second` point
    undamaged: float  #: accuracy of the whole network
    first: np.ndarray  #: [P] int, number of the sub-module a
    second: np.ndarray  #: [P] int, and of b
    accuracy: np.ndarray  #: [P], with both damaged
    diff: np.ndarray  #: [P], accuracy - undamaged
    score: np.ndarray  #: [P], diff of a joint test; s(a|b) = diff(a and b) - diff(b) of a conditional one
    control_accuracy: np.ndarray  #: [R, P]
    control_mean: np.ndarray  #: [P]
    control_std: np.ndarray  #: [P]
    z_score: np.ndarray  #: [P]
    p_value: np.ndarray  #: [P], lower tail; nan where no control can differ
    p_adjusted: np.ndarray  #: [P], for all pairs of the network
    important: np.ndarray  #: [P] bool, p_value at its floor and score <= -0.01
    important_adjusted: np.ndarray  #: [P] bool, p_adjusted <= 0.05 and score <= -0.01


def lesion_test(
    params: Mapping[str, Any],
    labels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    key: Array,
    *,
    num_clusters: int,
    num_shuffles: int = 100,
    metric: Metric = accuracy,
    undamaged: float | None = None,
    ties: str = "counted",
    correction: str = "max_t",
    samples_per_batch: int | None = None,
    mesh: Mesh | None = None,
    keep: Keep = keep_nothing,
    apply: Apply | None = None,
    widths: Sequence[int] | None = None,
) -> LesionTest:
    """Damage each sub-module, the units of one cluster in one hidden layer, and compare with random sets of its size.

    Damaged units have the activation 0 (incoming weights and bias zeroed; 2003.04881, section 5). A control permutes
    the labels among the layer's units that have one.

    Args:
      params: Flax params pytree of the Dense layers of a ReLU perceptron, as `LayeredGraph.from_params` takes; whatever
        else it holds is refused. Which activations the network has cannot be told from it: state `undamaged`. Of any
        other network see `apply`.
      labels: cluster of each vertex, [N] in -1..K - 1, inputs and outputs included, as `cluster` gives them; -1
        (isolated) units belong to no sub-module. Concrete, not traced.
      x, y: samples [n, d_0] and their classes [n]. With a metric of your own, y is anything with one entry per sample,
        targets [n, t] too; sums by class are then those of whole numbers from 0 on, or of strings, and else there is
        one class.
      key: typed PRNG key, consumed; a control depends on it, the layer and the control's number.
      num_clusters, num_shuffles: K, and R controls of each sub-module.
      metric: of each example, (logits [B, C], labels [B]) -> [B]; higher is better. Strings come as the codes of their
        sorted names.
      undamaged: what you know of the whole network, its mean of the metric on x and y. Where that is not what comes out
        (to two samples, or a thousandth), params do not tell the network: an error says so.
      ties, correction: how p-values treat ties ("counted", "strict") and many tests ("max_t", "holm").
      samples_per_batch: samples that go through together; bounds the memory. None takes 125 on CPU cores and what
        fills an accelerator.
      mesh: one-axis mesh whose devices share the samples; None for the default device.
      apply: of another network than a perceptron, (params, x [B, ...], silence) -> logits [B, C]. Silence tells of each
        hidden group of units which of them are silent, [d] bool: channels, or hidden units at every step, whose
        activations it sets to 0. Params are then any pytree. Each lesion is one pass of the whole network.
      widths: with apply, the units of all groups in the order of the labels, the inputs first, the outputs last, all
        others hidden.
      keep: takes each part's first trial and what computes its sums, and gives the sums: a place to save a long test
        and to take up a saved one.

    Activations are float32 (float64 where params are and JAX has x64 enabled), as in the network itself: what would be
    below 1.2e-38 there is 0.

    Raises:
      ValueError: if params hold more than Dense layers or are not what `undamaged` says, shapes, labels or classes do
        not fit the network, labels or classes are not integers, params, x or the metric are not finite, logits could
        overflow, a count is not a whole number or too small, a choice is unknown, key is not one key, a hidden layer
        has no live unit, or every hidden layer is a single sub-module.
    """
    settings = LesionSettings(
        num_clusters, num_shuffles, metric, undamaged, ties, correction, samples_per_batch, mesh, keep, apply, widths
    )
    return _singles(measure("single", params, labels, x, y, key, settings), settings)


def double_lesion_test(
    params: Mapping[str, Any],
    labels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    key: Array,
    *,
    kind: str,
    num_clusters: int,
    num_shuffles: int = 50,
    metric: Metric = accuracy,
    undamaged: float | None = None,
    ties: str = "counted",
    correction: str = "max_t",
    samples_per_batch: int | None = None,
    mesh: Mesh | None = None,
    keep: Keep = keep_nothing,
    apply: Apply | None = None,
    widths: Sequence[int] | None = None,
) -> DoubleLesionTest:
    """Damage two sub-modules at once.

    kind="joint": all P = M (M + 1) / 2 unordered pairs, a sub-module with itself included, as in the study; a control
    permutes the labels of every hidden layer. kind="conditional": all P = M (M - 1) ordered pairs, a given b: does a
    matter where b is damaged already? A control leaves b as it is and permutes the labels of a's layer, without b's
    units where they share it. The other arguments and the errors are those of `lesion_test`.
    """
    settings = LesionSettings(
        num_clusters, num_shuffles, metric, undamaged, ties, correction, samples_per_batch, mesh, keep, apply, widths
    )
    checks.check_choice("kind", kind, KINDS)
    return _pairs(measure(kind, params, labels, x, y, key, settings), settings, conditional=kind == "conditional")


def _singles(measured: Measured, settings: LesionSettings) -> LesionTest:
    """The tests of sub-modules damaged alone."""
    modules, sizes = measured.submodules, measured.class_sizes
    by_class = measured.damaged / np.maximum(sizes, 1)
    overall = measured.damaged.sum(axis=-1) / sizes.sum()
    undamaged = float(measured.undamaged.sum() / sizes.sum())
    diff = overall[0] - undamaged
    tests = verdicts.test_all(
        overall[0], overall[1:], modules.share < 1, ties=settings.ties, correction=settings.correction
    )
    significant = verdicts.at_floor(tests.p_value, len(overall) - 1), tests.p_adjusted <= verdicts.ALPHA
    raw, adjusted = (
        verdicts.classify(modules.num_units, modules.share, diff, tests.p_value, those) for those in significant
    )
    whole_by_class = measured.undamaged / np.maximum(sizes, 1)
    measured_values = undamaged, whole_by_class, overall[0], by_class[0], diff, overall[1:], by_class[1:]
    return LesionTest(modules, *measured_values, *tests, raw, adjusted, sizes)


def _pairs(measured: Measured, settings: LesionSettings, *, conditional: bool) -> DoubleLesionTest:
    """The tests of pairs [P], and where the test is conditional, of what damaging the first adds to the second."""
    modules, total = measured.submodules, measured.class_sizes.sum()
    count = len(modules.layer)
    first, second = np.nonzero(~np.eye(count, dtype=bool)) if conditional else np.triu_indices(count)
    accuracies = measured.damaged.sum(axis=-1) / total
    overall = accuracies[:, first, second]
    undamaged = float(measured.undamaged.sum() / total)
    diff = overall[0] - undamaged
    score = overall[0] - accuracies[0].diagonal()[second] if conditional else diff
    testable = _can_differ(modules, first, second, conditional=conditional)
    tests = verdicts.test_all(overall[0], overall[1:], testable, ties=settings.ties, correction=settings.correction)
    different = score <= -verdicts.DIFFERENCE
    important = verdicts.at_floor(tests.p_value, len(overall) - 1) & different
    adjusted = (tests.p_adjusted <= verdicts.ALPHA) & different
    return DoubleLesionTest(
        modules, undamaged, first, second, overall[0], diff, score, overall[1:], *tests, important, adjusted
    )


def _can_differ(modules: SubModules, first: np.ndarray, second: np.ndarray, *, conditional: bool) -> np.ndarray:
    """Whether a control of a pair can damage other units than the pair [P]: not where all that it moves is damaged."""
    share_a, share_b = modules.share[first], modules.share[second]
    beside = (modules.layer[first] == modules.layer[second]) & (first != second)
    full = share_a + share_b > 1 - 1e-9  # of two sub-modules of a layer: they are all of it
    return np.where(beside, ~full, (share_a < 1) | (not conditional) & (share_b < 1))
