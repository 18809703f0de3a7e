"""Networks whose modules are planted or put together, of which a known share of the weight crosses between them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Array = jax.Array


def planted(
    key: Array, share: ArrayLike | None, *, width: int, num_kernels: int, num_modules: int, unevenness: float = 0.0
) -> tuple[Array, ...]:
    """Kernels [width, width] of Gaussian weights and total magnitude 1 each; `modules` has the labels.

    Args:
      key: typed PRNG key, consumed.
      share: of each kernel's weight between modules, in [0, 1]; may be traced. None for a network without modules.
      width, num_kernels, num_modules: static.
      unevenness: sd of the logarithm of each neuron's strength, as a factor of its weights on either side.
    """
    kernels = []
    for own in jax.random.split(key, num_kernels):
        weight_key, *ends = jax.random.split(own, 3)
        rows, columns = (jnp.exp(unevenness * jax.random.normal(end, (width,))) for end in ends)
        kernel = jax.random.normal(weight_key, (width, width)) * rows[:, None] * columns[None, :]
        labels = modules((width, width), num_modules)
        kernels.append(_crossing(kernel, labels[:width], labels[width:], share))
    return tuple(kernels)


def modules(widths: Sequence[int], num_modules: int) -> np.ndarray:
    """The modules [N] of the neurons of layers: equal parts of each, in order."""
    return np.concatenate([np.arange(width, dtype=np.int32) * num_modules // width for width in widths])


def fused(first: Sequence[Array], second: Sequence[Array], key: Array, share: ArrayLike) -> tuple[Array, ...]:
    """Two networks of one shape side by side; `modules` of the doubled widths, with two of them, has the labels.

    Args:
      first, second: kernels [a, b].
      key: typed PRNG key, consumed. Between the networks stand their own weights, permuted.
      share: of each kernel's weight between the networks, in [0, 1]; may be traced.

    Returns:
      Kernels [2 a, 2 b], each of the total magnitude that both had together.
    """
    kernels = []
    for own, w, v in zip(jax.random.split(key, len(first)), first, second, strict=True):
        above, below = (
            jax.random.permutation(k, x.ravel()).reshape(x.shape)
            for k, x in zip(jax.random.split(own), (w, v), strict=True)
        )
        kernel = jnp.block([[w, above], [below, v]])
        labels = modules(kernel.shape, 2)
        total = jnp.abs(w).sum() + jnp.abs(v).sum()
        kernels.append(total * _crossing(kernel, labels[: kernel.shape[0]], labels[kernel.shape[0] :], share))
    return tuple(kernels)


def linear_states(kernel: ArrayLike, key: Array, *, num_trials: int, num_steps: int, radius: float = 0.9) -> Array:
    """Hidden states [trials, steps, N] of a linear recurrent network, h_t = h_{t-1} W + Gaussian noise of its units.

    Of a multiple of the identity they are N independent AR(1) units.

    Args:
      kernel: [N, N], of which W is a multiple.
      key: typed PRNG key, consumed.
      num_trials, num_steps: static; as many steps come before them, and are not kept.
      radius: the largest magnitude of W's eigenvalues, below 1: the slowest mode loses its memory like radius^t.
    """
    values = np.asarray(kernel, np.float64)
    weights = jnp.asarray(values * (radius / np.abs(np.linalg.eigvals(values)).max()), jnp.result_type(float))
    noise = jax.random.normal(key, (2 * num_steps, num_trials, len(values)))

    def step(state: Array, own: Array) -> tuple[Array, Array]:
        state = state @ weights + own
        return state, state

    _, states = jax.lax.scan(step, jnp.zeros_like(noise[0]), noise)
    return states[num_steps:].swapaxes(0, 1)


def _crossing(kernel: Array, rows: np.ndarray, columns: np.ndarray, share: ArrayLike | None) -> Array:
    """The kernel [a, b] scaled to a total magnitude of 1, of which this share is between modules, given by labels."""
    if share is None:
        return kernel / jnp.abs(kernel).sum()
    crosses = rows[:, None] != columns[None, :]
    across, inside = (jnp.where(part, jnp.abs(kernel), 0).sum() for part in (crosses, ~crosses))
    return kernel * jnp.where(crosses, share / across, (1 - share) / inside)
