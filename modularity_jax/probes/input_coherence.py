"""Input coherence: are the samples that excite a sub-module most of few classes?"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.metric.combining import CombinedTest, combine_trials
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.probes.labels import sample_labels
from modularity_jax.probes.specialisation import effect_factor, mean_of_controls
from modularity_jax.probes.submodules import (
    Orders,
    Parts,
    SubModules,
    deal_parts,
    draw_orders,
    find_submodules,
    within_bounds,
)
from modularity_jax.programs import program

Array = jax.Array

# Trials of one call of the program, whatever their number is; fewer where they would hold more excitations than these.
MAX_TRIALS = 16
MAX_EXCITATIONS = 2**26


class InputCoherence(NamedTuple):
    """Which samples excite the M sub-modules of a network, and R controls of each; NumPy arrays."""

    submodules: SubModules  #: layer, cluster, num_units and share of each, [M]
    tested: np.ndarray  #: [M] bool, of at least 2 units and at most .99 of the layer's; the others have no p-values
    top_samples: np.ndarray  #: [M, T] int, the T samples that excite each most, the first of all first
    entropy: np.ndarray  #: [R + 1, M], bits, of the classes of these; row 0 as found, then the controls
    coherence: CombinedTest  #: is the entropy lower than the controls'?


@outside_explicit_mesh
def input_coherence(
    activations: Sequence[ArrayLike],
    labels: ArrayLike,
    y: ArrayLike,
    key: Array,
    *,
    num_clusters: int,
    num_shuffles: int = 199,
    num_top: int = 100,
) -> InputCoherence:
    """Entropy of the classes of the samples that excite each sub-module most, against random sets of its size.

    A sample excites a set of units by the sum of their |activation|. Of the `num_top` samples that do so most, ties in
    the order of the samples, entropy = -sum over classes of f log2 f, f the class' share: 0 bits where all are of one
    class. Controls permute the labels within each layer, as those of `lesion_test` do, and with its key and labels they
    are the same; so is the test of all sub-modules together, `combine_trials`. The effect is 2 r / (r + h), of the
    entropy h and the controls' mean r: 1 is none, 2 the most.

    Args:
      activations: of the units of each hidden layer, [n, d_l] each; before or after the activation function.
      labels: cluster of each of these units, [sum of d_l], -1 for isolated ones; of a perceptron's labels [N] those of
        its hidden layers, `labels[d_0:-d_L]`.
      y: the samples' classes [n], whole numbers from 0 on or strings.
      key: typed PRNG key, consumed; see `lesion_test`.
      num_clusters, num_shuffles: K, and R controls of each sub-module.
      num_top: samples whose classes are looked at.

    Raises:
      ValueError: if shapes, labels or classes do not fit, activations are not finite, a count is not a whole number or
        is too small, there are fewer than num_top samples, key is not one key, a hidden layer has no live unit, or
        every one is a single sub-module.
    """
    for name, value, least in (
        ("num_clusters", num_clusters, 2),
        ("num_shuffles", num_shuffles, 1),
        ("num_top", num_top, 1),
    ):
        checks.check_count(name, value, least)
    key, layers = checks.as_key(key), _layers(activations, int(num_top))
    hidden = _hidden_labels(labels, layers, int(num_clusters))
    classes = _classes(y, len(layers[0]))
    modules, parts = find_submodules(hidden), deal_parts(hidden, int(num_clusters))
    per_call = max(1, min(MAX_TRIALS, MAX_EXCITATIONS // (len(classes) * int(num_clusters))))
    tops = []
    for start in range(0, int(num_shuffles) + 1, per_call):
        trials = range(start, min(start + per_call, int(num_shuffles) + 1))
        orders = draw_orders(hidden, parts, key, trials, with_rest=False)
        found = map(functools.partial(_top_samples, per_call=per_call, num_top=int(num_top)), layers, orders, parts)
        tops.append(np.concatenate([*found], axis=1))
    top = np.concatenate(tops)
    entropy, tested = _entropy(classes[top]), within_bounds(modules)
    effect = effect_factor(mean_of_controls(entropy), entropy[0])
    return InputCoherence(modules, tested, top[0], entropy, combine_trials(entropy, effect=effect, tested=tested))


def _top_samples(activations: Array, orders: Orders, parts: Parts, per_call: int, num_top: int) -> np.ndarray:
    """The samples that excite most the sub-modules present in a layer, [T, present, num_top], in each of T trials."""
    width, num_clusters = activations.shape[1], parts.sizes.size
    place = np.repeat(np.arange(num_clusters + 1), [*parts.sizes, width - parts.sizes.sum()])
    owner = np.full((per_call, width), num_clusters)  # of no sub-module, as are the trials that fill a call
    np.put_along_axis(owner[: len(orders.whole)], orders.whole[:, :width], place[None], axis=1)
    found = _most_excited(activations, jax.device_put(owner.astype(np.int32)), num_clusters, num_top)
    return np.asarray(found)[: len(orders.whole), : parts.present]


@functools.partial(program, static_argnums=(2, 3))
@full_precision
def _most_excited(activations: Array, owner: Array, num_clusters: int, num_top: int) -> Array:
    """Samples [T, K, num_top] of activations [n, d] with the largest sums over the units of each owner [T, d] < K."""
    members = owner[:, None, :] == jnp.arange(num_clusters, dtype=owner.dtype)[None, :, None]
    members = members.reshape(-1, owner.shape[1]).astype(activations.dtype)
    _, top = jax.lax.top_k(members @ jnp.abs(activations).T, num_top)
    return top.reshape(-1, num_clusters, num_top)


def _entropy(classes: np.ndarray) -> np.ndarray:
    """Bits [...] of the classes [..., num_top]."""
    rows = classes.reshape(-1, classes.shape[-1])
    count = int(rows.max()) + 1
    places = rows + count * np.arange(len(rows))[:, None]
    shares = np.bincount(places.ravel(), minlength=count * len(rows)).reshape(-1, count) / classes.shape[-1]
    bits = (shares * np.log2(np.where(shares > 0, 1 / np.where(shares > 0, shares, 1), 1))).sum(axis=1)
    return bits.reshape(classes.shape[:-1])


def _layers(activations: Sequence[ArrayLike], num_top: int) -> list[Array]:
    """Activations of each hidden layer, checked."""
    checks.check_sequence("activations", activations)
    layers = [as_floats(f"activations[{index}]", values) for index, values in enumerate(activations)]
    if not layers:
        raise ValueError("activations must hold at least one hidden layer, got none")
    for index, layer in enumerate(layers):
        if layer.ndim != 2 or 0 in layer.shape or len(layer) != len(layers[0]):
            raise ValueError(
                f"activations[{index}] must have shape [n, d], with the n of the others, got {layer.shape}"
            )
    if num_top > len(layers[0]):
        raise ValueError(f"num_top must be at most the number of samples, {len(layers[0])}, got {num_top}")
    return layers


def _hidden_labels(labels: ArrayLike, layers: Sequence[Array], num_clusters: int) -> list[np.ndarray]:
    """Labels of each layer, checked."""
    labels, widths = np.asarray(checks.as_integers("labels", labels)), [layer.shape[1] for layer in layers]
    if labels.shape != (sum(widths),):
        hint = "of labels of all layers pass labels[d_0:-d_L], those of the hidden ones"
        raise ValueError(f"labels must have shape ({sum(widths)},), one per column, got {labels.shape}; {hint}")
    checks.check_clusters(labels, num_clusters, sum(widths))
    return np.split(labels, np.cumsum(widths)[:-1])


def _classes(y: ArrayLike, count: int) -> np.ndarray:
    """Classes 0..C - 1 of the samples, [n]."""
    _, members = sample_labels(y, count, 1, needs_classes=False)
    if members.shape[1] < 2:
        raise ValueError("y must be two classes or more, as whole numbers from 0 on or as strings, got none")
    return members.argmax(axis=1)
