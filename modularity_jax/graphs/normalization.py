"""The scale that a ReLU network's units share out freely between their two sides, settled.

A hidden unit's incoming weights and bias divided by s > 0 and its outgoing weights times s compute the same, but give
another graph. Here each hidden unit, layer after layer, gets incoming weights of size 1, so that all networks which
differ in such factors only have one graph; all scale ends up in the last kernel.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs import checks
from modularity_jax.graphs.conv import channel_norms

Array = Any  # NumPy's or JAX's

SIZES = ("mean", "l2", "l2_bias")


def normalize(
    kernels: Sequence[Array], biases: Sequence[Array | None] | None = None, *, size: str = "l2", epsilon: float = 0.0
) -> tuple[list[Array], list[Array | None]]:
    """The kernels and biases of the same network with hidden units of one size; the logits stay as they are.

    For a chain of dense and convolutional layers with ReLU (or max pools) between them and nothing else: what a batch
    norm does to scales is not known here.

    Args:
      kernels: of all layers in order, [..., units in, units out]; the rows of a dense one behind a flattened map of C
        channels may be P * C, position after position.
      biases: of all layers, [units out] or None; None for no bias at all.
      size: of the incoming weights of a hidden unit: "mean" of their magnitudes (public code of 2103.03386 and
        2110.08058, where it is off); "l2", the root of the sum of their squares (nn-clustering-pytorch, with epsilon
        1e-5); "l2_bias", sqrt((sum of squares + bias^2) / 2), to which 2103.03386 normalises while it trains with its
        penalty (nn-clustering-pytorch likewise, with epsilon 1e-3).
      epsilon: added to the sizes. With 0 the graph is the same whatever the units' factors were.

    Units of size 0 are left as they are, under "l2_bias" without their outgoing weights, which carry nothing.

    Returns:
      New kernels and biases.

    Raises:
      ValueError: if there is no kernel, their numbers differ, they do not chain, or the size is unknown.
    """
    checks.check_choice("size", size, SIZES)
    checks.check_sequence("kernels", kernels)
    made, given = list(kernels), [None] * len(kernels) if biases is None else list(biases)
    if not made or len(made) != len(given):
        raise ValueError(
            f"kernels and biases must be of one and the same number of layers, got {len(made)}, {len(given)}"
        )
    for layer in range(len(made) - 1):
        kernel, following = made[layer], made[layer + 1]
        width, rows = kernel.shape[-1], following.shape[-2]
        if rows % width:
            raise ValueError(
                f"kernels must chain: kernels[{layer}] has {width} units out, kernels[{layer + 1}] {rows} units in"
            )
        xp: Any = jnp if isinstance(kernel, jax.Array) else np
        sizes = _sizes(xp, kernel, given[layer], size) + epsilon
        divisor = xp.where(sizes > 0, sizes, 1)
        made[layer] = kernel / divisor.reshape(*(1 for _ in kernel.shape[:-1]), width)
        given[layer] = None if given[layer] is None else given[layer] / divisor
        factor = xp.tile(sizes if size == "l2_bias" else divisor, rows // width)
        made[layer + 1] = following * factor.reshape(*(1 for _ in following.shape[:-2]), rows, 1)
    return made, given


def _sizes(xp: Any, kernel: Array, bias: Array | None, size: str) -> Array:
    """Of the incoming weights of each unit, [units out]."""
    entries = kernel.reshape(-1, 1, kernel.shape[-1])
    if size == "mean":
        return abs(entries).mean(axis=(0, 1))
    if size == "l2_bias" and bias is not None:
        entries = xp.concatenate([entries, bias.reshape(1, 1, -1)])
    total = channel_norms(entries, "l2")[0]
    return total / 2**0.5 if size == "l2_bias" else total
