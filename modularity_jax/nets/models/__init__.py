"""The architectures by name, and networks as pure functions of their parameters."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.protocol import Graph
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.kernels import Params, kernels_of
from modularity_jax.nets.models.mlp import MLP
from modularity_jax.plug_points import entry

Array = jax.Array


class Architecture(NamedTuple):
    """An architecture.

    Attributes:
      module: of the settings, the Flax module; called with flat inputs [B, widths[0]] and `train`, it gives logits
        [B, widths[-1]]. What it calls a kernel is pruned and penalised.
      graph: of a network's parameters.
      lesions: whether it is a ReLU perceptron of Dense layers, which lesions damage.
    """

    module: Callable[[ModelConfig], nn.Module]
    graph: Callable[[Params], Graph]
    lesions: bool = False


#: The architectures that `model.name` takes, by name.
MODELS: dict[str, Architecture] = {
    "mlp": Architecture(lambda config: MLP(config.widths, config.dropout_rate), LayeredGraph.from_params, lesions=True),
}


def architecture_of(config: ModelConfig) -> Architecture:
    """An entry of `MODELS`, or by its dotted name one from elsewhere."""
    return entry("model.name", config.name, MODELS)


def init_params(model: nn.Module, num_inputs: int, key: Array) -> Params:
    """Fresh parameters, such as `{"layer_00": {"kernel": [d_0, d_1], "bias": [d_1]}, ...}`."""
    params: Params = model.init(key, jax.numpy.zeros((1, num_inputs)))["params"]
    return params


def apply(model: nn.Module, params: Params, x: Array, *, dropout_key: Array | None = None) -> Array:
    """Logits [B, C]; with a dropout_key as in training, without one as in evaluation."""
    if dropout_key is None:
        return model.apply({"params": params}, x)
    rngs: dict[str, Any] = {"dropout": dropout_key}
    return model.apply({"params": params}, x, train=True, rngs=rngs)


@functools.cache
def kernel_shapes(config: ModelConfig) -> list[tuple[int, ...]]:
    """Of the network's kernels, in the order of `kernels_of`."""
    return [kernel.shape for kernel in kernels_of(_shapes(config)).values()]


def kernel_sizes(config: ModelConfig) -> list[int]:
    """Number of entries of each kernel."""
    return [math.prod(shape) for shape in kernel_shapes(config)]


@functools.cache
def graph_shape(config: ModelConfig) -> Graph:
    """The network's graph with shapes for arrays: how large it is is known before it is trained."""
    return jax.eval_shape(architecture_of(config).graph, _shapes(config))


def _shapes(config: ModelConfig) -> Params:
    model = architecture_of(config).module(config)
    shapes: Params = jax.eval_shape(lambda: init_params(model, config.widths[0], jax.random.key(0)))
    return shapes
