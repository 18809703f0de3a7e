"""Masks of all kernels of a network by one bisection, for accelerators.

There every pass over a small kernel costs as much as the launch of a program, and a loop whose end depends on values as
much as the way to the host and back. So here all kernels go through the same few passes, whose number is fixed.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_ROW = 512  # entries that one sum runs over


class _Rows(NamedTuple):
    """The magnitudes of all kernels, each in rows of its own."""

    bits: Array  # [R, _ROW] uint32, which order as the magnitudes do; 0 behind a kernel's last entry
    owner: np.ndarray  # [R] int32, the kernel of each row
    before: np.ndarray  # [R] uint32, entries of that kernel in the rows before


def masks_at_once(kernels: Sequence[Array], counts: Array) -> list[Array]:
    """For each of L kernels what `pruning.magnitude_mask` gives, bit for bit; counts [L] int32."""
    rows = _in_rows(kernels)
    num_kernels = len(kernels)
    threshold = _largest(32, num_kernels, lambda trial: _count(rows, rows.bits >= _of_rows(rows, trial)) >= counts)
    above, tied = (test(rows.bits, _of_rows(rows, threshold)) for test in (jnp.greater, jnp.equal))
    needed = counts - _count(rows, above)
    index = rows.before[:, None] + np.arange(_ROW, dtype=np.uint32)[None]
    index_bits = max(kernel.size for kernel in kernels).bit_length()
    # The largest index with fewer than `needed` tied entries before it is the last one that is kept.
    last = _largest(
        index_bits, num_kernels, lambda trial: _count(rows, tied & (index < _of_rows(rows, trial))) < needed
    )
    kept = above | (tied & (index <= _of_rows(rows, last)) & (_of_rows(rows, needed) > 0))
    parts = jnp.split(kept, np.flatnonzero(np.diff(rows.owner)) + 1)
    return [part.ravel()[: k.size].reshape(k.shape) for part, k in zip(parts, kernels, strict=True)]


def _in_rows(kernels: Sequence[Array]) -> _Rows:
    bits, owners, before = [], [], []
    for number, kernel in enumerate(kernels):
        height = -(-kernel.size // _ROW)
        flat = jax.lax.bitcast_convert_type(jnp.abs(kernel).astype(jnp.float32), jnp.uint32).ravel()
        bits.append(jnp.pad(flat, (0, height * _ROW - kernel.size)).reshape(height, _ROW))
        owners.append(np.full(height, number, np.int32))
        before.append(_ROW * np.arange(height, dtype=np.uint32))
    return _Rows(jnp.concatenate(bits), np.concatenate(owners), np.concatenate(before))


def _largest(num_bits: int, num_kernels: int, holds: Callable[[Array], Array]) -> Array:
    """For each kernel the largest uint32 below 2^num_bits that holds, [L]; what holds also does for all below, and 0.

    Two bits at a time: of the three trials of a pass as many hold as the next digit says.
    """
    num_digits = -(-num_bits // 2)

    def next_digit(step: Array, found: Array) -> Array:
        shift = (2 * (num_digits - 1 - step)).astype(jnp.uint32)
        trials = [found | (jnp.uint32(digit) << shift) for digit in (1, 2, 3)]
        digit = sum((holds(trial).astype(jnp.uint32) for trial in trials), jnp.zeros(num_kernels, jnp.uint32))
        return found | (digit << shift)

    return jax.lax.fori_loop(0, num_digits, next_digit, jnp.zeros(num_kernels, jnp.uint32))


def _of_rows(rows: _Rows, values: Array) -> Array:
    """A value of each kernel [L] as one of each of its rows [R, 1]."""
    return values[rows.owner][:, None]


def _count(rows: _Rows, marked: Array) -> Array:
    """Number of marked entries [R, _ROW] of each kernel, [L] int32."""
    in_rows = marked.sum(axis=1, dtype=jnp.int32)
    own = rows.owner[None] == np.arange(rows.owner[-1] + 1, dtype=np.int32)[:, None]
    return jnp.where(own, in_rows[None], 0).sum(axis=1, dtype=jnp.int32)
