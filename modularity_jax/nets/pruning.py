"""Magnitude pruning (Zhu and Gupta 2017): a schedule, a threshold and a mask, as three pure functions."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.nets.mlp import Params

Array = jax.Array
Masks = dict[str, Array]


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

    The threshold is found by bisection on the bits of the magnitudes, which order as the floats do, and among the
    entries equal to it, where not all are needed, by bisection on the index. That is 31 counts over the kernel, where a
    sort takes some log2(size)^2 / 2 passes with comparisons that do not vectorise.
    """
    magnitude = jnp.abs(kernel).ravel()
    bits = jax.lax.bitcast_convert_type(magnitude.astype(jnp.float32), jnp.int32)
    count = jnp.asarray(count, jnp.int32)
    # The largest threshold with at least `count` entries at or above it.
    threshold = _last_true(lambda t: (bits >= t).sum(dtype=jnp.int32) >= count, 31)
    above = bits > threshold
    tied = bits == threshold
    needed = count - above.sum(dtype=jnp.int32)
    index = jnp.arange(bits.size, dtype=jnp.int32)
    # The largest index with fewer than `needed` tied entries before it: the last one that is kept. Mostly the one entry
    # at the threshold is needed, and there is nothing to search.
    all_kept = needed >= tied.sum(dtype=jnp.int32)
    num_bits = max(1, bits.size.bit_length())
    last = _last_true(lambda i: (tied & (index < i)).sum(dtype=jnp.int32) < needed, num_bits, skip=all_kept)
    return ((above | (tied & (all_kept | (index <= last)))) & (count > 0)).reshape(kernel.shape)


def _last_true(holds: Callable[[Array], Array], num_bits: int, skip: Array | bool = False) -> Array:
    """Largest whole number of num_bits bits at which a predicate that is true up to somewhere still holds."""

    def decide(step: Array, found: Array) -> Array:
        trial = found | (jnp.int32(1) << (num_bits - 1 - step))
        return jnp.where(holds(trial), trial, found)

    return jax.lax.fori_loop(0, jnp.where(skip, 0, num_bits), decide, jnp.int32(0))


def kernel_masks(params: Params, counts: Array) -> Masks:
    """A mask per layer, by the layer's name; counts [L] in the order of the names."""
    return {name: magnitude_mask(params[name]["kernel"], counts[i]) for i, name in enumerate(sorted(params))}


def apply_masks(params: Params, masks: Masks) -> Params:
    """The parameters with pruned weights exactly 0; biases as they are."""
    return {name: layer | {"kernel": jnp.where(masks[name], layer["kernel"], 0)} for name, layer in params.items()}
