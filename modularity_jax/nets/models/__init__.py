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
from modularity_jax.nets.models import cnn, experts, given, recurrent, vgg
from modularity_jax.nets.models.mlp import AFTER, BEFORE, MLP, Silence
from modularity_jax.plug_points import entry

Array = jax.Array


# Flax's name for running averages, which batches change and not gradients.
RUNNING = "batch_stats"


class Architecture(NamedTuple):
    """An architecture.

    Attributes:
      module: of the settings, the Flax module; called with flat inputs [B, widths[0]] and `train`, it gives logits
        [B, widths[-1]]. What it calls a kernel is pruned and penalised.
      graph: of a network's parameters.
      is_perceptron: whether it is a ReLU perceptron of Dense layers, whose lesions take a short way.
      takes_silence: whether the module takes `silence`: for each hidden group of units, the graph's groups but the
        first and the last, which of them have the activation 0, [d] bool.
      is_chain: whether it is layers in the order of their paths with ReLU and max pools between them, and nothing else.
    """

    module: Callable[[ModelConfig], nn.Module]
    graph: Callable[[Params], Graph]
    is_perceptron: bool = False
    takes_silence: bool = False
    is_chain: bool = False


#: The architectures that `model.name` takes, by name.
MODELS: dict[str, Architecture] = {
    "mlp": Architecture(
        lambda config: MLP(config.widths, config.dropout_rate),
        LayeredGraph.from_params,
        is_perceptron=True,
        is_chain=True,
    ),
    "cnn": Architecture(cnn.cnn, cnn.graph, takes_silence=True, is_chain=True),
    "vgg": Architecture(vgg.vgg, vgg.graph, takes_silence=True),
    "rnn": Architecture(recurrent.rnn, recurrent.graph, takes_silence=True),
    "lstm": Architecture(recurrent.lstm, recurrent.graph, takes_silence=True),
    "experts": Architecture(experts.experts, experts.graph, takes_silence=True),
    "routed_experts": Architecture(experts.routed_experts, experts.graph, takes_silence=True),
    "given": Architecture(lambda config: given.Given(config.wiring, config.widths), given.graph),
}


def architecture_of(config: ModelConfig) -> Architecture:
    """An entry of `MODELS`, or by its dotted name one from elsewhere."""
    return entry("model.name", config.name, MODELS)


def can_be_damaged(config: ModelConfig) -> bool:
    """Whether lesions silence its units."""
    architecture = architecture_of(config)
    return architecture.is_perceptron or architecture.takes_silence


def init_params(model: nn.Module, num_inputs: int, key: Array) -> Params:
    """Fresh parameters, such as `{"layer_00": {"kernel": [d_0, d_1], "bias": [d_1]}, ...}`.

    Running averages of batch norms stand beside them, under `RUNNING`.
    """
    made = model.init(key, jax.numpy.zeros((1, num_inputs)))
    return {**made["params"], **_running(made)}


def apply(model: nn.Module, params: Params, x: Array) -> Array:
    """Logits [B, C] in evaluation."""
    return model.apply(variables(params), x)


def apply_in_training(model: nn.Module, params: Params, x: Array, dropout_key: Array | None) -> tuple[Array, Params]:
    """Logits [B, C], and what running averages become; a key where something is dropped."""
    rngs: dict[str, Any] = {} if dropout_key is None else {"dropout": dropout_key}
    logits, changed = model.apply(variables(params), x, train=True, rngs=rngs, mutable=[RUNNING])
    return logits, _running(changed)


def variables(params: Params) -> dict[str, Params]:
    """Parameters as Flax's collections: running averages stand apart."""
    trained = {name: own for name, own in params.items() if name != RUNNING}
    return {"params": trained, **_running(params)}


def _running(collections: Params) -> Params:
    return {RUNNING: collections[RUNNING]} if RUNNING in collections else {}


@functools.cache
def apply_silenced(config: ModelConfig) -> Callable[[Params, Array, Silence], Array]:
    """Logits [B, C] of params, inputs and silent units, see `Architecture`; the same function for the same settings."""
    model = architecture_of(config).module(config)
    return lambda params, x, silence: model.apply(variables(params), x, silence=silence)


def lesion_arguments(config: ModelConfig) -> dict[str, Any]:
    """What `lesion_test` takes beside the parameters of a network that is no perceptron; see `can_be_damaged`."""
    if architecture_of(config).is_perceptron:
        return {}
    graph: Any = graph_shape(config)  # with groups, or there is nothing to silence
    return {"apply": apply_silenced(config), "widths": graph.wiring.widths}


@functools.cache
def apply_recorded(config: ModelConfig, *, before: bool) -> Callable[[Params, Array], tuple[Array, ...]]:
    """Activations [B, ..., d] of each hidden group of units, before or behind the nonlinearity, of params and inputs.

    The same function for the same settings.

    Raises:
      ValueError: if the architecture's module does not tell them, see `mlp.recorded`.
    """
    model = architecture_of(config).module(config)

    def run(params: Params, x: Array) -> tuple[Array, ...]:
        _, kept = model.apply(variables(params), x, mutable=["intermediates"])
        start = BEFORE if before else AFTER
        found = kept.get("intermediates", {})
        return tuple(found[name][0] for name in sorted(found) if name.startswith(start))

    if not jax.eval_shape(run, _shapes(config), jax.ShapeDtypeStruct((1, config.widths[0]), jax.numpy.float32)):
        raise ValueError(f"model.name={config.name} does not tell its units' activations")
    return run


@functools.cache
def widest(model: nn.Module, num_inputs: int) -> int:
    """The most values that a layer, or the input, has of one sample."""

    def run(key: Array) -> Any:
        x = jax.numpy.zeros((1, num_inputs))
        made = variables(init_params(model, num_inputs, key))
        return model.apply(made, x, capture_intermediates=True, mutable=["intermediates"])[1]

    layers = jax.tree.leaves(jax.eval_shape(run, jax.random.key(0)))
    return max(num_inputs, *(math.prod(layer.shape) for layer in layers))


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
