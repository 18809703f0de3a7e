"""The VGG network of 2103.03386 for CIFAR-10, with batch norms behind its ReLUs and pools, as Flax (linen) layers."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from modularity_jax.graphs.conv import flattened, norm_folded_into_next
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.readers import graph_of
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models.cnn import by_products, image_shape
from modularity_jax.nets.models.mlp import Dropout, Silence, layer_name, recorded, silenced

Array = Any  # JAX's, or its shape

# Convolutions before each 2 x 2 max pool, two hidden dense layers after them.
BLOCKS = (2, 2, 3, 3, 3)
NUM_CONVOLUTIONS = sum(BLOCKS)
# Keras's, which the study used.
EPSILON, MOMENTUM = 1e-3, 0.99


class VGG(nn.Module):
    """3 x 3 convolutions, each with ReLU, a pool at a block's end, and a batch norm; two dense layers; the logits.

    The first dense layer has a batch norm, too. Dropout as the study has it, relative to the rate (.5): 60% of it after
    the first convolution, 80% after the others that end no block, all of it after the last pool and the first dense
    layer.

    Attributes:
      widths: values of an image, channels of each convolution, units of the two dense layers, classes.
      dropout_rate: share of activations that are dropped in training, at most.
    """

    widths: Sequence[int]
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False, silence: Silence = None) -> Array:
        """Logits [B, classes] of images [B, h * w * c]; silent units have 0 before their norm."""
        x = x.reshape(-1, *image_shape(x.shape[-1]))
        own: dict[str, Any] = {"kernel_init": nn.initializers.glorot_uniform()}
        ends = {sum(BLOCKS[: block + 1]) - 1 for block in range(len(BLOCKS))}
        for layer, width in enumerate(self.widths[1:-1]):
            name = layer_name(layer)
            if layer < NUM_CONVOLUTIONS:
                x = nn.Conv(width, (3, 3), conv_general_dilated=by_products, name=name, **own)(x)
            else:
                x = nn.Dense(width, name=name, **own)(x.reshape(x.shape[0], -1))
            x = silenced(recorded(self, layer, x, nn.relu(x)), silence, layer)
            x = nn.max_pool(x, (2, 2), (2, 2)) if layer in ends else x
            if layer <= NUM_CONVOLUTIONS:
                norm = nn.BatchNorm(not train, momentum=MOMENTUM, epsilon=EPSILON, name=norm_name(layer))
                x = norm(x)
            x = Dropout(self.dropout_rate * _share_dropped(layer, ends))(x, train)
        return nn.Dense(self.widths[-1], name=layer_name(len(self.widths) - 2), **own)(x)


def vgg(config: ModelConfig) -> VGG:
    """Of the settings.

    Raises:
      ValueError: if model.widths are not those of 13 convolutions and two dense layers, or no image of 32 x 32 or more.
    """
    if len(config.widths) != NUM_CONVOLUTIONS + 4:
        raise ValueError(
            f"model.widths of a vgg must be values of an image, {NUM_CONVOLUTIONS} channels, two dense layers and "
            f"classes, got {config.widths}"
        )
    if (side := image_shape(config.widths[0])[0]) < 2 ** len(BLOCKS):
        raise ValueError(f"model.widths of a vgg must begin with an image of 32 x 32 or more, got {side} x {side}")
    return VGG(config.widths, config.dropout_rate)


def graph(params: Params) -> Graph:
    """Of all kernels, each with the norm before it folded in, which stands behind the ReLU; sums over positions."""
    count = sum(name.startswith("layer_") for name in params)
    kernels, channels = [], 0
    for layer in range(count):
        kernel = params[layer_name(layer)]["kernel"]
        if kernel.ndim == 2 and channels and kernel.shape[0] != channels:
            kernel = flattened(kernel, channels)
        if (norm := norm_name(layer - 1)) in params:
            variance = params["batch_stats"][norm]["var"]
            kernel = norm_folded_into_next(kernel, params[norm]["scale"], variance, epsilon=EPSILON)
        kernels.append(kernel)
        channels = kernel.shape[-1]
    return graph_of([jnp.abs(kernel).sum(axis=0) if kernel.ndim == 3 else kernel for kernel in kernels])


def norm_name(layer: int) -> str:
    """Of the batch norm behind a layer."""
    return f"norm_{layer:02d}"


def _share_dropped(layer: int, ends: set[int]) -> float:
    if layer == NUM_CONVOLUTIONS - 1 or layer == NUM_CONVOLUTIONS:
        return 1.0
    if layer > NUM_CONVOLUTIONS or layer in ends:
        return 0.0
    return 0.8 if layer else 0.6
