"""The small convolutional network of 2103.03386, as Flax (linen) layers."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from modularity_jax.graphs.conv import channel_norms
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.readers import graph_of
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.kernels import Params, kernels_of
from modularity_jax.nets.models.mlp import Dropout, Silence, layer_name, recorded, silenced

Array = Any  # JAX's, or its shape

CHANNELS = (1, 3, 2)  # of images, the first that makes a square of them


class CNN(nn.Module):
    """3 x 3 convolutions with ReLU, all but the first followed by a 2 x 2 max pool, a dense layer, the logits.

    Glorot-uniform kernels, zero biases. Dropout as the study has it: half of the rate after each convolution (behind
    its pool), all of it after the dense layer.

    Attributes:
      widths: values of an image, channels of each convolution, units of the dense layer, classes.
      dropout_rate: share of the dense layer's activations that are dropped in training.
    """

    widths: Sequence[int]
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False, silence: Silence = None) -> Array:
        """Logits [B, classes] of images [B, h * w * c], channels last; silent channels and units give 0."""
        x = x.reshape(-1, *image_shape(x.shape[-1]))
        init = nn.initializers.glorot_uniform()
        for layer, width in enumerate(self.widths[1:-2]):
            own = {"kernel_init": init, "conv_general_dilated": by_products, "name": layer_name(layer)}
            x = nn.Conv(width, (3, 3), **own)(x)
            x = silenced(recorded(self, layer, x, nn.relu(x)), silence, layer)
            x = nn.max_pool(x, (2, 2), (2, 2)) if layer else x
            x = Dropout(self.dropout_rate / 2)(x, train)
        x = x.reshape(x.shape[0], -1)
        layer = len(self.widths) - 3
        x = nn.Dense(self.widths[-2], kernel_init=init, name=layer_name(layer))(x)
        x = silenced(recorded(self, layer, x, nn.relu(x)), silence, layer)
        x = Dropout(self.dropout_rate)(x, train)
        return nn.Dense(self.widths[-1], kernel_init=init, name=layer_name(layer + 1))(x)


def by_products(x: Array, kernel: Array, *_: Any, **__: Any) -> Array:
    """A convolution of stride 1 that keeps the size, [B, h, w, c_out], as a product for each place of the kernel.

    XLA's own takes 30 times as long on CPU cores where a gradient's is part of a loop (18.9 s a step of 64 images and
    64 channels, 0.7 s so), and on GPUs the convolutions of networks side by side are one in groups.
    """
    (height, width), (rows, columns) = x.shape[1:3], kernel.shape[:2]
    around = jnp.pad(x, [(0, 0), ((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2), (0, 0)])
    places = itertools.product(range(rows), range(columns))
    parts = [around[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in places]
    return sum(parts[1:], start=parts[0])


def cnn(config: ModelConfig) -> CNN:
    """Of the settings.

    Raises:
      ValueError: if model.widths have no convolution, are no image, or leave no pixel behind the pools.
    """
    if len(config.widths) < 4:
        raise ValueError(
            f"model.widths of a cnn must be values of an image, channels, units and classes, got {config.widths}"
        )
    side = image_shape(config.widths[0])[0]
    if side < 2 ** (pools := len(config.widths) - 4):
        raise ValueError(f"model.widths must have pools for {side} x {side} pixels at most, got {pools} of them")
    return CNN(config.widths, config.dropout_rate)


def image_shape(size: int) -> tuple[int, int, int]:
    """Height, width and channels of a square image of so many values.

    Raises:
      ValueError: if it is none of 1, 2 or 3 channels.
    """
    for channels in CHANNELS:
        side = math.isqrt(size // channels)
        if side**2 * channels == size:
            return side, side, channels
    raise ValueError(f"model.widths must begin with the values of a square image of 1 to 3 channels, got {size}")


def graph(params: Params) -> Graph:
    """Of all kernels: channels, units and classes; a kernel weighs the sum of its magnitudes over its positions."""
    return graph_of([*kernels_of(params).values()])


def published_graph(params: Params) -> LayeredGraph:
    """Of the convolutions but the first, each weighing the largest column sum, as 2103.03386 has it."""
    kernels = [kernel for kernel in kernels_of(params).values() if kernel.ndim == 4]
    return LayeredGraph.from_weights([channel_norms(kernel, "max_column") for kernel in kernels[1:]])
