"""Masks of a network's kernels: pytrees like its params, with None for what is not masked."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def masked(params: Any, masks: Any) -> Any:
    """The params times masks of one sub-task, as `train_masks` gives them: logits, or whether a weight stays."""
    return with_masks(params, binary_masks(masks))


def binary_masks(masks: Any) -> Any:
    """Whether a weight stays: logits above 0; bools are as they were."""
    return jax.tree.map(lambda leaf: leaf if leaf.dtype == bool else leaf > 0, masks)


def drawn_masks(logits: Any, key: Array) -> Any:
    """Masks of 0 and 1 for logits of any shapes, 1 with probability sigmoid(l).

    Of s = sigmoid(l + g), g logistic, the mask is [s > 1/2] and has the derivative of s, s (1 - s): straight through.
    Its mean is that of the mean of s, not of sigmoid(l), whose derivative is larger (1/4 instead of 1/6 at l = 0).
    """
    leaves, structure = jax.tree.flatten(logits)
    keys = jax.random.split(key, len(leaves))
    soft = [
        jax.nn.sigmoid(leaf + jax.random.logistic(own, leaf.shape, leaf.dtype))
        for own, leaf in zip(keys, leaves, strict=True)
    ]
    # s + (hard - s) is exact: both differences are, near 0 and 1.
    return jax.tree.unflatten(structure, [s + jax.lax.stop_gradient((s > 0.5).astype(s.dtype) - s) for s in soft])


def with_masks(params: Any, masks: Any) -> Any:
    """The params, with the entries that masks have times those.

    Raises:
      ValueError: if their shapes differ.
    """

    def one(mask: Any, leaf: Any) -> Any:
        if mask is None:
            return leaf
        if mask.shape != leaf.shape:
            raise ValueError(f"masks must have the shapes of the params, got {mask.shape} for {leaf.shape}")
        return leaf * mask.astype(leaf.dtype)

    return jax.tree.map(one, masks, params, is_leaf=lambda mask: mask is None)


def kernels_in(params: Any, several: bool = False) -> Any:
    """The floating leaves of two or more axes, beside a leading one of several networks; None for the others."""

    def is_kernel(leaf: Any) -> bool:
        return np.ndim(leaf) >= 2 + several and jnp.issubdtype(leaf.dtype, jnp.floating)

    return jax.tree.map(lambda leaf: leaf if is_kernel(leaf) else None, params)
