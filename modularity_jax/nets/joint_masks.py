"""Masks of all kernels of a network by one search, for accelerators.

There every pass over a small kernel costs as much as the launch of a program, and a loop whose end depends on values as
much as the way to the host and back. So here all kernels go through the same few passes, whose number is fixed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_ROW = 512  # entries that one sum runs over
_DIGIT_BITS = 3  # of a threshold that one pass finds; of more its comparisons take longer than the memory
_NUM_DIGITS = 11


class _Rows(NamedTuple):
    """The magnitudes of all kernels, each in rows of its own."""

    bits: Array  # [R, _ROW] uint32, which order as the magnitudes do; 0 behind a kernel's last entry
    owner: np.ndarray  # [R] int32, the kernel of each row
    first: np.ndarray  # [L] int32, the first row of each kernel
    places: Array  # [R, _ROW] int32, of the entries in their kernel


def masks_at_once(kernels: Sequence[Array], counts: Array) -> list[Array]:
    """For each of L kernels what `pruning.magnitude_mask` gives, bit for bit; counts [L] int32."""
    rows = _in_rows(kernels)
    threshold = _threshold(rows, counts)
    above, tied = (test(rows.bits, _of_rows(rows, threshold)) for test in (jnp.greater, jnp.equal))
    kept = above | (tied & (rows.places <= _of_rows(rows, _last_tied(rows, tied, counts - _count(rows, above)))))
    parts = jnp.split(kept, rows.first[1:])
    return [part.ravel()[: k.size].reshape(k.shape) for part, k in zip(parts, kernels, strict=True)]


def _in_rows(kernels: Sequence[Array]) -> _Rows:
    bits = []
    for kernel in kernels:
        flat = jax.lax.bitcast_convert_type(jnp.abs(kernel).astype(jnp.float32), jnp.uint32).ravel()
        bits.append(jnp.pad(flat, (0, -kernel.size % _ROW)).reshape(-1, _ROW))
    heights = [part.shape[0] for part in bits]
    owner = np.repeat(np.arange(len(kernels), dtype=np.int32), heights)
    first = np.cumsum([0, *heights[:-1]], dtype=np.int32)
    before = jnp.asarray(_ROW * (np.arange(owner.size, dtype=np.int32) - first[owner]))
    return _Rows(jnp.concatenate(bits), owner, first, before[:, None] + jnp.arange(_ROW, dtype=jnp.int32)[None])


def _threshold(rows: _Rows, counts: Array) -> Array:
    """For each kernel the largest uint32 [L] with at least `counts` of its magnitudes at or above it.

    Digit by digit: of the trials of a pass as many hold as the digit says.
    """
    digits = np.arange(1, 2**_DIGIT_BITS, dtype=np.uint32)[:, None]

    def next_digit(step: Array, found: Array) -> Array:
        shift = (_DIGIT_BITS * (_NUM_DIGITS - 1 - step)).astype(jnp.uint32)
        trials = found[None] | (digits << shift)
        in_rows = [(rows.bits >= _of_rows(rows, trial)).sum(axis=1, dtype=jnp.int32) for trial in trials]
        held = _sum_of_kernels(rows, jnp.stack(in_rows)) >= counts[None]
        # At the top a digit is shorter: what is shifted out is no trial.
        digit = (held & (digits <= jnp.uint32(2**32 - 1) >> shift)).sum(axis=0, dtype=jnp.uint32)
        return found | (digit << shift)

    return jax.lax.fori_loop(0, _NUM_DIGITS, next_digit, jnp.zeros(counts.size, jnp.uint32))


def _last_tied(rows: _Rows, tied: Array, needed: Array) -> Array:
    """For each kernel the place [L] of the last of `needed` tied entries [R, _ROW]; -1 where none is needed.

    Their row is found by the rows' counts, and in that row alone they are looked at.
    """
    through = jnp.cumsum(tied.sum(axis=1, dtype=jnp.int32))  # tied entries up to the end of each row
    start = jnp.pad(through, (1, 0))[rows.first]
    short = _sum_of_kernels(rows, through - start[rows.owner] < needed[rows.owner])  # rows that end too early
    row = jnp.minimum(rows.first + short, rows.owner.size - 1)
    left = start + needed - jnp.pad(through, (1, 0))[row]
    in_row = jnp.cumsum(tied[row].astype(jnp.int32), axis=1) < left[:, None]
    return jnp.where(needed > 0, _ROW * short + in_row.sum(axis=1, dtype=jnp.int32), -1)


def _of_rows(rows: _Rows, values: Array) -> Array:
    """A value of each kernel [L] as one of each of its rows [R, 1]."""
    return values[rows.owner][:, None]


def _count(rows: _Rows, marked: Array) -> Array:
    """Number of marked entries [R, _ROW] of each kernel, [L] int32."""
    return _sum_of_kernels(rows, marked.sum(axis=1, dtype=jnp.int32))


def _sum_of_kernels(rows: _Rows, values: Array) -> Array:
    """Sum of the rows' values [..., R] over each kernel, [..., L] int32."""
    own = rows.owner[None] == np.arange(rows.first.size, dtype=np.int32)[:, None]
    return jnp.where(own, jnp.expand_dims(values, -2), 0).sum(axis=-1, dtype=jnp.int32)
