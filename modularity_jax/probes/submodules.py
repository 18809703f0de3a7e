"""Sub-modules, the units of one cluster in one hidden layer, and the controls that permute them.

Controls are drawn on the host: some thousand short permutations are a matter of milliseconds there, while a program
that draws them takes seconds to compile.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from modularity_jax.probes.network import BLOCK

Array = Any  # of NumPy on the host, of JAX in the program that is given it

# Sub-modules of fewer units, or of more of their layer, are not tested for what they do: the bounds of 2110.08058.
MIN_UNITS = 2
MAX_SHARE = 0.99

_UNMOVED = 2**63  # above all random words, which have 63 bits


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
    # [T, K, d + BLOCK] int32, without the units of sub-module k, which stays as it is; None where no test reads it.
    rest: Array


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


def within_bounds(submodules: SubModules) -> np.ndarray:
    """Whether each is of a size that is tested for importance and coherence, [M] bool."""
    return (submodules.num_units >= MIN_UNITS) & (submodules.share <= MAX_SHARE)


def deal_parts(labels: Sequence[np.ndarray], num_clusters: int) -> tuple[Parts, ...]:
    """The parts of each hidden layer."""
    parts, first = [], 0
    for own in labels:
        found = np.unique(own[own >= 0], return_counts=True)[1]
        sizes = np.pad(found, (0, num_clusters - found.size))
        own_parts = found.size, first, np.cumsum(sizes) - sizes, sizes
        parts.append(Parts(*(np.asarray(values, np.int32) for values in own_parts)))
        first += found.size
    return tuple(parts)


def observed_order(labels: np.ndarray) -> np.ndarray:
    """Units of one hidden layer sorted by sub-module, those without a label last, [d + BLOCK] int32."""
    order = np.argsort(np.where(labels < 0, np.iinfo(labels.dtype).max, labels), kind="stable")
    return np.pad(order, (0, BLOCK)).astype(np.int32)


def draw_orders(
    labels: Sequence[np.ndarray], parts: Sequence[Parts], key: jax.Array, trials: Sequence[int], *, with_rest: bool
) -> tuple[Orders, ...]:
    """Orders of each hidden layer in the given trials; trial 0 is the observed one.

    A control permutes the labels among the layer's units that have one, so the damaged sets keep their sizes. Its
    permutations depend on the key, the layer, the trial and the sub-module that stays, and on nothing else.
    """
    words = np.asarray(jax.random.key_data(key)).astype(np.uint64)
    seed = np.array([words[0] << np.uint64(32) | words[1], 0], np.uint64)
    return tuple(
        _draw_layer(own, part, seed, layer, trials, with_rest)
        for layer, (own, part) in enumerate(zip(labels, parts, strict=True))
    )


def permuted_labels(labels: Sequence[np.ndarray], key: jax.Array, trial: int) -> list[np.ndarray]:
    """Labels [d] of each layer, permuted among its units that have one, as a control's are; in trial 0 as they are."""
    parts = deal_parts(labels, 1 + max(int(own.max()) for own in labels))
    orders = draw_orders(labels, parts, key, [trial], with_rest=False)
    found = [np.full_like(own, -1) for own in labels]
    for own, order, to in zip(labels, orders, found, strict=True):
        live = np.sort(own[own >= 0])
        to[order.whole[0, : live.size]] = live
    return found


def _draw_layer(
    labels: np.ndarray, parts: Parts, seed: np.ndarray, layer: int, trials: Sequence[int], with_rest: bool
) -> Orders:
    observed, num_live, place = observed_order(labels)[: labels.size], (labels >= 0).sum(), np.arange(labels.size)
    starts, sizes = np.asarray(parts.starts)[:, None], np.asarray(parts.sizes)[:, None]
    last = (place >= starts) & (place < starts + sizes) | (place >= num_live)
    # A row for the whole layer and one for each sub-module that stays; the first `counts` units of a row are permuted.
    units = np.concatenate([observed[None], observed[np.argsort(last, axis=1, kind="stable")]])
    counts = np.concatenate([[[num_live]], num_live - sizes])
    if not with_rest:
        units, counts = units[:1], counts[:1]
    words = np.stack([_random_words(seed, layer, trial, units.shape) for trial in trials])
    ranks = np.argsort(np.where(place < counts, words, _UNMOVED + place.astype(np.uint64)), axis=-1, kind="stable")
    orders = np.take_along_axis(np.broadcast_to(units, ranks.shape), ranks, axis=-1)
    orders = np.pad(orders, ((0, 0), (0, 0), (0, BLOCK)))
    return Orders(orders[:, 0], orders[:, 1:] if with_rest else None)


def _random_words(seed: np.ndarray, layer: int, trial: int, shape: tuple[int, ...]) -> np.ndarray:
    """Words of 63 bits whose order is a permutation; ascending ones in trial 0.

    Philox (Salmon et al. 2011) is a function of its key and a counter, which layer and trial have a range of.
    """
    if not trial:
        return np.broadcast_to(np.arange(shape[-1], dtype=np.uint64), shape)
    philox = np.random.Philox(key=seed, counter=np.array([0, 0, trial, layer], np.uint64))
    words: np.ndarray = philox.random_raw(int(np.prod(shape))).reshape(shape)
    return words >> np.uint64(1)
