"""How many networks or samples are computed at once where the caller leaves it open, as `metric.group_sizes` says."""

import math
from collections.abc import Sequence

from modularity_jax.metric.group_sizes import on_cpu, room

# Samples of one pass of evaluation, and values that a layer has of them, at most: memory does not grow with the data.
EVALUATED_AT_ONCE = 10_000
VALUES_AT_ONCE = 2**26
# Beyond these an accelerator has enough to do.
MOST_NETWORKS = 128
MOST_SAMPLES = 10_000


def evaluated_at_once(widest: int) -> int:
    """Samples of one pass of evaluation; a layer has up to `widest` values of each."""
    return max(1, min(EVALUATED_AT_ONCE, VALUES_AT_ONCE // widest))


def networks_at_once(shapes: Sequence[tuple[int, ...]], num_networks: int, num_devices: int, *, widest: int = 1) -> int:
    """Networks under one vmap in training.

    Args:
      shapes: of a network's kernels.
      num_networks: that are trained.
      num_devices: that share them.
      widest: values that a layer has of a sample, if that is more than a kernel has rows or columns.
    """
    if on_cpu():
        return 1
    # Weights, gradients, updates, two moments each, before and after a step, and a mask; three layers of activations.
    values = max(widest, *map(max, shapes))
    each = 40 * sum(map(math.prod, shapes)) + 12 * evaluated_at_once(values) * values
    most = max(1, min(MOST_NETWORKS, room() // each))
    share = -(-num_networks // num_devices)
    return -(-share // -(-share // most))  # in groups of one size, so that little is padded


def samples_at_once(widths: Sequence[int], num_clusters: int, num_devices: int) -> int:
    """Samples that lesions are measured on together.

    Args:
      widths: of the network.
      num_clusters: all sub-modules of a layer are damaged at once.
      num_devices: that share the batches.
    """
    if on_cpu():
        return 125  # so that weights and activations of a layer of hundreds of units stay in the cache of a core
    each = 12 * num_clusters * max(widths)
    return max(1, min(MOST_SAMPLES // num_devices, room() // each))
