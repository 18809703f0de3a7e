"""How many networks or samples are computed at once where the caller leaves it open, as `metric.group_sizes` says."""

import math
from collections.abc import Sequence

from modularity_jax.metric.group_sizes import on_cpu, room

# Samples of one pass of evaluation: memory does not grow with the data.
EVALUATED_AT_ONCE = 10_000
# Beyond these an accelerator has enough to do.
MOST_NETWORKS = 128
MOST_SAMPLES = 10_000


def networks_at_once(shapes: Sequence[tuple[int, ...]], num_networks: int, num_devices: int) -> int:
    """Networks under one vmap in training.

    Args:
      shapes: of a network's kernels.
      num_networks: that are trained.
      num_devices: that share them.
    """
    if on_cpu():
        return 1
    # Weights, gradients, updates, two moments each, before and after a step, and a mask; three layers of activations.
    weights, widest = sum(map(math.prod, shapes)), max(map(max, shapes))
    each = 40 * weights + 12 * EVALUATED_AT_ONCE * widest
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
        return 500
    each = 12 * num_clusters * max(widths)
    return max(1, min(MOST_SAMPLES // num_devices, room() // each))
