"""What the lesion tests ask of a network, whatever it computes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.probes.submodules import Orders, Parts

Array = jax.Array
Metric = Callable[[Array, Array], Array]
Sums = tuple[np.ndarray, np.ndarray]  # undamaged [..., C], damaged [..., T, M, C] or [..., T, M, M, C], of T trials


class DrawnLesions(NamedTuple):
    """Lesions of a kind in some trials."""

    kind: str  # "single", "joint" or "conditional"
    labels: Sequence[np.ndarray]  # of each hidden group, [d]
    parts: tuple[Parts, ...]
    orders: tuple[Orders, ...]  # of the trials
    num_trials: int
    per_call: int  # trials of one call at most
    capacity: tuple[int, ...]  # [M'] or [M', M'], with room for M sub-modules


class DamagedNetwork(Protocol):
    """A network whose units can be silenced."""

    widths: tuple[int, ...]  # of its groups of units, the inputs first and the outputs last

    def samples(self, x: ArrayLike) -> tuple[np.ndarray, int]:
        """Its inputs as an array [n, ...], and the number of its outputs."""

    def samples_at_once(self, num_clusters: int, num_devices: int) -> int:
        """Samples of a batch where the caller leaves it open."""

    def sums(self, drawn: DrawnLesions, batches: tuple[np.ndarray, ...], metric: Metric, mesh: Mesh | None) -> Sums:
        """Sums of the metric over each of C classes, batch after batch, [batches, ...].

        Args:
          drawn: which units are silent; results lie at [t, a] or [t, a, b], of the trial and the sub-modules' numbers.
          batches: samples [batches, B, ...], their labels [batches, B, ...] and membership of the classes [..., C].
          metric: of each sample.
          mesh: whose devices share the batches.
        """


def sums_by_class(metric: Metric, logits: Array, y: Array, members: Array) -> Array:
    """Sums [C] of the metric of logits [B, C'], labels [B, ...]; members [B, C]."""
    values = metric(logits, y)
    if values.shape != y.shape[:1]:
        raise ValueError(f"metric must give one value per sample, {y.shape[:1]} of them, got {values.shape}")
    return values.astype(members.dtype) @ members
