"""Recurrent networks on the rows of images: a plain one and an LSTM, as Flax (linen) cells."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.wiring import wire
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models.cnn import image_shape
from modularity_jax.nets.models.mlp import Dropout, Silence, recorded, silenced

Array = jax.Array
# What a cell calls its kernels, gate by gate: from the inputs and from the hidden units.
KERNELS = {
    nn.SimpleCell: (["i"], ["h"]),
    nn.OptimizedLSTMCell: (["ii", "if", "ig", "io"], ["hi", "hf", "hg", "ho"]),
}


class Recurrent(nn.Module):
    """A recurrent layer that reads an image row by row, and a dense layer on its last hidden units; Flax's start.

    Attributes:
      cell: the cell's class, of `KERNELS`.
      width: hidden units.
      classes: outputs.
      dropout_rate: share of the last hidden units that are dropped in training.
    """

    cell: type[nn.RNNCellBase]
    width: int
    classes: int
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False, silence: Silence = None) -> Array:
        """Logits [B, classes] of images [B, h * w * c]; silent hidden units are 0 at every step."""
        height, *_ = image_shape(x.shape[-1])
        steps = x.reshape(x.shape[0], height, -1)

        def step(cell: nn.RNNCellBase, state: Array, row: Array) -> tuple[Array, Array]:
            state, _ = cell(state, row)
            state = jax.tree.map(lambda own: silenced(own, silence, 0), state)
            return state, jax.tree.leaves(state)[-1]

        cell = self.cell(self.width, name="cell")
        start = cell.initialize_carry(jax.random.key(0), steps[:, 0].shape)
        scan = nn.scan(step, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
        _, hidden = scan(cell, jax.tree.map(jnp.zeros_like, start), steps)
        hidden = recorded(self, 0, hidden, hidden)[:, -1]
        hidden = Dropout(self.dropout_rate)(hidden, train)
        return nn.Dense(self.classes, name="readout")(hidden)


def rnn(config: ModelConfig) -> Recurrent:
    """A plain recurrent network, tanh, of the settings.

    Raises:
      ValueError: if model.widths are not values of an image, hidden units and classes.
    """
    return _recurrent(nn.SimpleCell, config)


def lstm(config: ModelConfig) -> Recurrent:
    """An LSTM of the settings; raises as `rnn`."""
    return _recurrent(nn.OptimizedLSTMCell, config)


def graph(params: Params) -> Graph:
    """Of values of a row, hidden units, each once, and classes; a kernel weighs the sum over the cell's gates."""
    cell = params["cell"]
    own = next(own for own in KERNELS.values() if own[0][0] in cell)
    inputs, hidden = (jnp.stack([cell[name]["kernel"] for name in names]) for names in own)
    readout = params["readout"]["kernel"]
    return wire([("inputs", "hidden", inputs), ("hidden", "hidden", hidden), ("hidden", "classes", readout)])


def _recurrent(cell: type[nn.RNNCellBase], config: ModelConfig) -> Recurrent:
    if len(config.widths) != 3:
        raise ValueError(
            f"model.widths of a {config.name} must be values of an image, hidden units and classes, got {config.widths}"
        )
    image_shape(config.widths[0])
    return Recurrent(cell, *config.widths[1:], config.dropout_rate)
