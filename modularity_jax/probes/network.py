"""A ReLU perceptron in the layout of the lesion tests: a unit is a row, a sample a column.

So the activations of a sub-module's units are rows, each one run of memory, and gathering them costs little.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.params import layers_in_order

Array = jax.Array

# Units whose contribution is taken away by one product.
BLOCK = 32


class Layer(NamedTuple):
    """Weights between two layers of units."""

    kernel: Array  # [d_in, d_out], whose rows are gathered
    transposed: Array  # [d_out, d_in], which multiplies
    bias: Array  # [d_out, 1]

    def __call__(self, activations: Array) -> Array:
        """Pre-activations [d_out, B] of activations [d_in, B]."""
        return self.transposed @ activations + self.bias


def network_from_params(params: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The layers of a Flax params pytree of Dense layers; a layer without a bias has none.

    Raises:
      ValueError: as `modularity_jax.LayeredGraph.from_params`, and if a bias does not have its kernel's width, is not
        finite or not of real numbers.
    """
    made = []
    for name, layer in layers_in_order(params):
        kernel = as_floats(f"params[{name!r}]['kernel']", layer["kernel"])
        if kernel.ndim != 2:
            raise ValueError(f"params[{name!r}]['kernel'] must have shape [d_in, d_out], got {kernel.shape}")
        width, bias = kernel.shape[1], layer.get("bias")
        bias = as_floats(f"params[{name!r}]['bias']", np.zeros(width, kernel.dtype) if bias is None else bias)
        if bias.shape != (width,):
            raise ValueError(f"params[{name!r}]['bias'] must have shape ({width},), got {bias.shape}")
        # Turned around on the host: here a copy, there a program for each shape.
        made.append(Layer(kernel, *jax.device_put((np.asarray(kernel).T.copy(), np.asarray(bias)[:, None]))))
    return tuple(made)


def without(layer: Layer, activations: Array, full: Array, order: Array, start: Array, size: Array) -> Array:
    """Pre-activations [d_out, B] of the next layer with some units silent: the full ones less what those contribute.

    Of the layer from the units [d, B] to the next; full is layer(activations), [d_out, B]. Silent are
    order[start:start + size], of an order [d + BLOCK].
    """

    def take(index: Array, rest: Array) -> Array:
        first = start + index * BLOCK
        units = jax.lax.dynamic_slice_in_dim(order, first, BLOCK)
        chosen = first + jnp.arange(BLOCK, dtype=jnp.int32) < start + size
        kernel = jnp.where(chosen[:, None], layer.kernel[units], 0)
        return rest - jax.lax.dot_general(kernel, activations[units], (((0,), (0,)), ((), ())))

    return jax.lax.fori_loop(0, (size + BLOCK - 1) // BLOCK, take, full)


def without_masked(layer: Layer, activations: Array, full: Array, order: Array, start: Array, size: Array) -> Array:
    """What `without` gives by one product over all units, whatever the number of silent ones is."""
    place = jnp.arange(activations.shape[0], dtype=jnp.int32)
    silent = jnp.zeros(place.size, bool).at[order[: place.size]].set((place >= start) & (place < start + size))
    return full - layer.transposed @ jnp.where(silent[:, None], activations, 0)


def finish(layers: Sequence[Layer], pre_activations: Array) -> Array:
    """Logits [C, B] by the remaining layers."""
    for layer in layers:
        pre_activations = layer(jax.nn.relu(pre_activations))
    return pre_activations
