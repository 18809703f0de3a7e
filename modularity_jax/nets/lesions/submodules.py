"""Sub-modules, the units of one cluster in one hidden layer, and the controls that permute them."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.metric.permutation import permuted_index, random_words
from modularity_jax.nets.lesions.network import BLOCK

Array = jax.Array


class SubModules(NamedTuple):
    """All M sub-modules of a network, layer after layer, then by cluster."""

    layer: np.ndarray  # [M] int, hidden layers are numbered from 1
    cluster: np.ndarray  # [M] int
    num_units: np.ndarray  # [M] int
    share: np.ndarray  # [M], of the layer's non-isolated units; 1 is a whole layer


class Parts(NamedTuple):
    """How one hidden layer's units are dealt to its sub-modules; all controls of a network deal them in this way."""

    present: Array  # [] int32, sub-modules of the layer
    first: Array  # [] int32, the number of the first one among the network's
    starts: Array  # [K] int32, in the layer's order of units
    sizes: Array  # [K] int32, 0 beyond those present


class Orders(NamedTuple):
    """Units of one hidden layer in the order in which the sub-modules take them, in each of T trials."""

    whole: Array  # [T, d + BLOCK] int32
    rest: Array  # [T, K, d + BLOCK] int32, without the units of sub-module k, which stays as it is


def find_submodules(labels: Sequence[np.ndarray]) -> SubModules:
    """Sub-modules of the hidden layers' labels, each [d_l] int with -1 for isolated units.

    Raises:
      ValueError: if a layer has no unit with a label, or every layer is one sub-module: nothing could be permuted.
    """
    rows = []
    for layer, own in enumerate(labels, start=1):
        clusters, sizes = np.unique(own[own >= 0], return_counts=True)
        if not clusters.size:
            raise ValueError(f"labels must have a live unit in every hidden layer, got none in layer {layer}")
        rows += [(layer, cluster, size, size / sizes.sum()) for cluster, size in zip(clusters, sizes, strict=True)]
    found = SubModules(*(np.array(column) for column in zip(*rows, strict=True)))
    if (found.share == 1).all():
        raise ValueError("labels must put at least 2 clusters into some hidden layer, got 1 in each of them")
    return found


def deal_parts(labels: Sequence[np.ndarray], num_clusters: int) -> tuple[Parts, ...]:
    """The parts of each hidden layer."""
    parts, first = [], 0
    for own in labels:
        sizes = np.unique(own[own >= 0], return_counts=True)[1]
        present = len(sizes)
        sizes = np.pad(sizes, (0, num_clusters - present))
        starts = np.cumsum(sizes) - sizes
        parts.append(Parts(*(jnp.asarray(x, jnp.int32) for x in (present, first, starts, sizes))))
        first += present
    return tuple(parts)


def draw_orders(labels: Sequence[np.ndarray], parts: Sequence[Parts], key: Array, trials: Array) -> tuple[Orders, ...]:
    """Orders of each hidden layer in the given trials [T]; trial 0 is the observed one, t >= 1 uses fold_in(key, t).

    A control permutes the labels among the layer's units that have one, so the damaged sets keep their sizes.
    """
    return tuple(
        _draw_layer(
            jnp.asarray(np.argsort(np.where(own < 0, np.iinfo(own.dtype).max, own), kind="stable"), jnp.int32),
            jnp.int32((own >= 0).sum()),
            part,
            jax.random.fold_in(key, layer),
            trials,
        )
        for layer, (own, part) in enumerate(zip(labels, parts, strict=True))
    )


@jax.jit
def _draw_layer(observed: Array, num_live: Array, parts: Parts, key: Array, trials: Array) -> Orders:
    """Orders of a layer whose live units are the first num_live of `observed` [d], sorted by sub-module."""

    def without_part(part: Array) -> tuple[Array, Array]:
        """The live units of all other sub-modules first, in the observed order; and their number."""
        place = jnp.arange(observed.size, dtype=jnp.int32)
        own = (place >= parts.starts[part]) & (place < parts.starts[part] + parts.sizes[part])
        last = own | (place >= num_live)
        return observed[jnp.argsort(last, stable=True)], num_live - parts.sizes[part]

    clusters = jnp.arange(parts.sizes.size, dtype=jnp.int32)
    rests, nums_left = jax.vmap(without_part)(clusters)

    def trial(index: Array) -> Orders:
        shuffled = functools.partial(_shuffled, jax.random.fold_in(key, index), is_observed=index == 0)
        whole = shuffled(observed, num_live, parts.sizes.size)
        return Orders(whole, jax.vmap(shuffled)(rests, nums_left, clusters))

    orders = jax.vmap(trial)(trials)
    return jax.tree.map(lambda order: jnp.pad(order, [(0, 0)] * (order.ndim - 1) + [(0, BLOCK)]), orders)


def _shuffled(key: Array, units: Array, count: Array, stream: Array | int, *, is_observed: Array) -> Array:
    """The first `count` of units [d] permuted, with a key of their own."""
    place = jnp.arange(units.size, dtype=jnp.int32)
    words = random_words(jax.random.fold_in(key, stream))
    moved = permuted_index(place, count, words, max_size=units.size)
    return units[jnp.where(is_observed | (place >= count), place, moved)]
