"""Magnitude pruning (Zhu and Gupta 2017): a schedule, a threshold and a mask, as three pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.nets.config import PruneConfig
from modularity_jax.nets.joint_masks import masks_at_once
from modularity_jax.nets.kernels import Params, kernels_of, with_kernels

Array = jax.Array
Masks = dict[str, Array]


class MaskPlan(NamedTuple):
    """The masks of one epoch, as U stretches of steps; U depends on the steps of an epoch and the frequency alone.

    The networks of a sweep have them at the same steps, with counts [S, U, L] of their own.
    """

    ends: np.ndarray  # [U] int32, steps of the epoch done when the stretch ends; the epoch's last one from some u on
    due: np.ndarray  # [U] bool, whether new masks come then
    counts: np.ndarray  # [U, L] int32, weights that they keep; L kernels


class PhasePlan(NamedTuple):
    """The masks of a phase; None throughout where it does not prune."""

    first: np.ndarray | None  # [L] int32, weights that the masks before the first step keep
    epochs: tuple[MaskPlan | None, ...]  # with the same U


def without_masks(epochs: int) -> PhasePlan:
    """The plan of a phase that does not prune."""
    return PhasePlan(None, (None,) * epochs)


def plan_masks(prune: PruneConfig, sizes: Sequence[int], steps_per_epoch: int) -> PhasePlan:
    """When the masks of a pruning phase come, and how much they keep; sizes [L] are the kernels'.

    They come before the first step, every prune.frequency steps and after the last: in an epoch ceil(steps / frequency)
    times at most, and one stretch more where its end lies between two. What an epoch needs less of does nothing.
    """
    num_steps = steps_per_epoch * prune.epochs
    if not num_steps:
        return without_masks(0)
    steps = np.append(np.arange(0, num_steps, prune.frequency), num_steps)
    sparsity = sparsity_at(steps, num_steps=num_steps, initial=prune.initial_sparsity, final=prune.final_sparsity)
    counts = num_kept(sparsity, sizes)
    starts = range(0, num_steps, steps_per_epoch)
    return PhasePlan(counts[0], tuple(_plan_epoch(prune, steps, counts, start, steps_per_epoch) for start in starts))


def side_by_side(plans: Sequence[PhasePlan]) -> PhasePlan:
    """The plans of S networks as one, with counts of their own: first [S, L], in each epoch [S, U, L].

    Raises:
      ValueError: if they differ in the steps of their masks.
    """
    epochs: list[MaskPlan | None] = []
    for masks in zip(*(plan.epochs for plan in plans), strict=True):
        own = [mask for mask in masks if mask is not None]
        if any(mask is not own[0] and not np.array_equal(own[0][:2], mask[:2]) for mask in own):
            raise ValueError("networks in one program must have their masks at the same steps")
        epochs.append(own[0]._replace(counts=np.stack([mask.counts for mask in own])) if own else None)
    firsts = [plan.first for plan in plans if plan.first is not None]
    return PhasePlan(np.stack(firsts) if firsts else None, tuple(epochs))


def _plan_epoch(
    prune: PruneConfig, steps: np.ndarray, counts: np.ndarray, start: int, steps_per_epoch: int
) -> MaskPlan:
    """The masks, which come after `steps` of the phase [M] and keep counts [M, L], that come in one of its epochs."""
    mine = np.flatnonzero((steps > start) & (steps <= start + steps_per_epoch))
    length = -(-steps_per_epoch // prune.frequency) + 1
    filling = length - mine.size
    ends = np.pad(steps[mine] - start, (0, filling), constant_values=steps_per_epoch)
    return MaskPlan(ends.astype(np.int32), np.arange(length) < mine.size, np.pad(counts[mine], ((0, filling), (0, 0))))


def sparsity_at(step: int | np.ndarray, *, num_steps: int, initial: float, final: float) -> np.ndarray:
    """Share of weights that are 0 at a step: s_f + (s_0 - s_f)(1 - t/T)^3, and s_f from T on (their equation 1)."""
    left = 1 - np.minimum(np.asarray(step, np.float64) / num_steps, 1)
    return final + (initial - final) * left**3


def num_kept(sparsity: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """How many weights each kernel keeps, round((1 - s) * size); sparsity [U] and sizes [L] give [U, L] int32.

    In float64 on the host, so that the count is the same everywhere.
    """
    return np.rint((1 - np.asarray(sparsity)[:, None]) * np.asarray(sizes)[None, :]).astype(np.int32)


def magnitude_mask(kernel: Array, count: Array | int) -> Array:
    """Mask of the `count` entries with the largest magnitude, ties won by the lower index; bool of kernel's shape.

    The threshold is found by bisection on the bits of the magnitudes, which order as the floats do, until it parts the
    entries as asked: some 20 counts over the kernel, where a sort takes log2(size)^2 / 2 passes with comparisons that
    do not vectorise. Among entries equal to it, where not all are needed, a bisection on the index decides.
    """
    bits = jax.lax.bitcast_convert_type(jnp.abs(kernel).astype(jnp.float32), jnp.int32).ravel()
    count = jnp.asarray(count, jnp.int32)
    threshold, kept = _threshold(bits, count)
    mask = jax.lax.cond(kept == count, lambda: bits >= threshold, lambda: _break_ties(bits, threshold, count))
    return mask.reshape(kernel.shape)


def _threshold(bits: Array, count: Array) -> tuple[Array, Array]:
    """A threshold with exactly `count` of bits [M] at or above it, else the largest with more; and their number."""

    def undecided(state: tuple[Array, Array, Array]) -> Array:
        low, high, kept = state
        return (kept != count) & (high - low > 1)

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, kept = state
        trial = low + (high - low) // 2
        found = _count(bits >= trial)
        enough = found >= count
        return jnp.where(enough, trial, low), jnp.where(enough, high, trial), jnp.where(enough, found, kept)

    start = jnp.int32(0), jnp.int32(jnp.iinfo(jnp.int32).max), jnp.int32(bits.size)
    low, _, kept = jax.lax.while_loop(undecided, halve, start)
    return low, kept


def _break_ties(bits: Array, threshold: Array, count: Array) -> Array:
    """Mask [M] of the entries above the threshold and the first of those at it, `count` in all."""
    above, tied = bits > threshold, bits == threshold
    needed = count - _count(above)
    index = jnp.arange(bits.size, dtype=jnp.int32)
    num_bits = max(1, bits.size.bit_length())

    def decide(step: Array, last: Array) -> Array:
        trial = last | (jnp.int32(1) << (num_bits - 1 - step))
        return jnp.where(_count(tied & (index < trial)) < needed, trial, last)

    # The largest index with fewer than `needed` tied entries before it is the last one that is kept.
    last = jax.lax.fori_loop(0, num_bits, decide, jnp.int32(0))
    return above | (tied & (index <= last))


def _count(marked: Array) -> Array:
    """Number of True entries [M], int32; floats add up faster on a CPU and count exactly up to 2^24."""
    exact = marked.size <= 2**24
    return marked.sum(dtype=jnp.float32 if exact else jnp.int32).astype(jnp.int32)


def kernel_masks(params: Params, counts: Array) -> Masks:
    """A mask per kernel, by its layer's path; counts [L] in the order of the paths.

    The same bits on every platform, one kernel after another on CPU cores and all at once elsewhere.
    """
    kernels = kernels_of(params)
    masks = jax.lax.platform_dependent([*kernels.values()], counts, cpu=_masks_in_turn, default=masks_at_once)
    return dict(zip(kernels, masks, strict=True))


def _masks_in_turn(kernels: Sequence[Array], counts: Array) -> list[Array]:
    return [magnitude_mask(kernel, counts[index]) for index, kernel in enumerate(kernels)]


def apply_masks(params: Params, masks: Masks) -> Params:
    """The parameters with pruned weights exactly 0; biases as they are."""
    kept = {name: jnp.where(masks[name], kernel, 0) for name, kernel in kernels_of(params).items()}
    return with_kernels(params, kept)
