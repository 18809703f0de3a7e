"""The study's network as pure functions: a multi-layer perceptron of Flax (linen) Dense layers."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

Array = jax.Array
Params = dict[str, dict[str, Array]]


class MLP(nn.Module):
    """ReLU perceptron: Glorot-uniform kernels, zero biases, dropout after each hidden layer, none on the input.

    Attributes:
      widths: neurons of layers 0..L, inputs and classes included.
      dropout_rate: share of hidden activations dropped in training.
    """

    widths: Sequence[int]
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """Logits [B, d_L] of inputs [B, d_0]."""
        last = len(self.widths) - 2
        for layer, width in enumerate(self.widths[1:]):
            x = nn.Dense(width, kernel_init=nn.initializers.glorot_uniform(), name=layer_name(layer))(x)
            if layer < last:
                x = nn.relu(x)
                x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        return x


def layer_name(layer: int) -> str:
    """Name of the layer between neurons of layer `layer` and `layer + 1`; zero-padded, so that it sorts in order."""
    return f"layer_{layer:02d}"


def init_params(model: MLP, key: Array) -> Params:
    """Fresh parameters `{"layer_00": {"kernel": [d_0, d_1], "bias": [d_1]}, ...}`."""
    blank = jax.numpy.zeros((1, model.widths[0]))
    return model.init(key, blank)["params"]


def apply(model: MLP, params: Params, x: Array, *, dropout_key: Array | None = None) -> Array:
    """Logits [B, d_L]; with a dropout_key as in training, without one as in evaluation."""
    if dropout_key is None:
        return model.apply({"params": params}, x)
    rngs: dict[str, Any] = {"dropout": dropout_key}
    return model.apply({"params": params}, x, train=True, rngs=rngs)


def kernel_sizes(widths: Sequence[int]) -> list[int]:
    """Number of entries of each kernel of a network of these widths."""
    return [a * b for a, b in zip(widths, widths[1:], strict=False)]


def num_weights(widths: Sequence[int]) -> int:
    """Number of kernel entries of a network of these widths."""
    return sum(kernel_sizes(widths))
