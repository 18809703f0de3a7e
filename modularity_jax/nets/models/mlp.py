"""The study's network: a multi-layer perceptron of Flax (linen) Dense layers."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from modularity_jax.nets.hyperparameters import is_zero

Array = jax.Array
# Of each hidden group of units, which of them are silent, [d] bool; None for no unit.
Silence = Sequence[Array] | None
# What modules call their hidden groups' values before and behind the nonlinearity, with the group's number.
BEFORE, AFTER = "before_", "after_"


class Dropout(nn.Module):
    """Flax's Dropout, whose rate may be an array, and 0 among others; the same bits.

    Attributes:
      rate: share of the values that become 0 in training, the others in proportion larger.
    """

    rate: float | Array

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """The values x, of any shape."""
        if not train or is_zero(self.rate):
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0)


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
                x = recorded(self, layer, x, nn.relu(x))
                x = Dropout(self.dropout_rate)(x, train)
        return x


def layer_name(layer: int) -> str:
    """Name of the layer between neurons of layer `layer` and `layer + 1`; zero-padded, so that it sorts in order."""
    return f"layer_{layer:02d}"


def recorded(module: nn.Module, group: int, before: Array, after: Array) -> Array:
    """A hidden group's activations [B, ..., d] behind the nonlinearity; `apply_recorded` gives both."""
    module.sow("intermediates", f"{BEFORE}{group:02d}", before)
    module.sow("intermediates", f"{AFTER}{group:02d}", after)
    return after


def silenced(x: Array, silence: Silence, group: int) -> Array:
    """Activations [..., d] of a hidden group with 0 for its silent units."""
    return x if silence is None else jnp.where(silence[group].reshape(*(1 for _ in x.shape[1:]), -1), 0, x)
