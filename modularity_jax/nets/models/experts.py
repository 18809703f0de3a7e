"""A mixture of experts, perceptrons side by side of which each gives an output and a score (Mittal et al. 2022)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.wiring import wire
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models.mlp import Dropout, Silence

Array = jax.Array

_GATES = "gates"


class ExpertLayer(nn.Module):
    """A dense layer of each of M experts.

    Attributes:
      width: of one expert.
    """

    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Outputs [B, M, width] of the experts' own inputs [B, M, d]; kernel [M, d, width]."""
        start, shape = nn.initializers.glorot_uniform(batch_axis=(0,)), (*x.shape[1:], self.width)
        kernel = self.param("kernel", start, shape)
        bias = self.param("bias", nn.initializers.zeros, (shape[0], self.width))
        return jnp.einsum("bmi,mio->bmo", x, kernel) + bias[None]


class Experts(nn.Module):
    """Experts' logits, weighed by the softmax of their scores; an expert sees all inputs and has ReLU units.

    Attributes:
      widths: inputs, hidden units of all experts together, layer after layer, experts, classes.
      by_inputs: the last M inputs are the weights, instead of the scores: the one-hot rule of `data.rules`.
      dropout_rate: share of hidden activations dropped in training.
    """

    widths: Sequence[int]
    by_inputs: bool = False
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(self, x: Array, *, train: bool = False, silence: Silence = None) -> Array:
        """Logits [B, C] of inputs [B, d_0]; silent are units of each expert, in the order of the graph's groups."""
        count, own = self.widths[-2], x[:, None].repeat(self.widths[-2], axis=1)
        for layer, width in enumerate(self.widths[1:-2]):
            own = nn.relu(ExpertLayer(width // count, name=f"experts_{layer:02d}")(own))
            if silence is not None:
                own = jnp.where(jnp.stack(silence[layer * count : (layer + 1) * count])[None], 0, own)
            own = Dropout(self.dropout_rate)(own, train)
        gates = x[:, -count:] if self.by_inputs else nn.softmax(ExpertLayer(1, name="scores")(own)[..., 0])
        self.sow("intermediates", _GATES, gates)
        return (gates[..., None] * ExpertLayer(self.widths[-1], name="outputs")(own)).sum(axis=1)


def experts(config: ModelConfig) -> Experts:
    """A mixture that learns to route, of the settings.

    Raises:
      ValueError: if model.widths are not inputs, hidden units of all experts, two experts or more, and classes, or
        experts cannot share the hidden units.
    """
    return _experts(config, by_inputs=False)


def routed_experts(config: ModelConfig) -> Experts:
    """One that the last inputs route, as many as there are experts, such as a one-hot rule; raises as `experts`."""
    if len(config.widths) > 1 and config.widths[0] < config.widths[-2]:
        raise ValueError(f"model.widths of {config.name} must begin with an input for each expert, got {config.widths}")
    return _experts(config, by_inputs=True)


def gate_probabilities(module: Experts, params: Params, x: Array) -> Array:
    """The weights [B, M] of the experts on inputs [B, d_0]."""
    _, made = module.apply({"params": params}, x, mutable=["intermediates"])
    (gates,) = made["intermediates"][_GATES]
    return gates


def graph(params: Params) -> Graph:
    """Of inputs, the hidden units of each expert, layer after layer, and classes.

    Scores are no edges: like an attention's queries and keys they choose who is heard, and add to nobody's sum.
    """
    names = sorted(name for name in params if name.startswith("experts_"))
    kernels = [params[name]["kernel"] for name in (*names, "outputs")]

    def group(layer: int, expert: int) -> str:
        ends = {0: "inputs", len(kernels): "classes"}
        return ends.get(layer, f"expert {expert}, layer {layer}")

    return wire(
        [
            (group(layer, expert), group(layer + 1, expert), kernel[expert])
            for layer, kernel in enumerate(kernels)
            for expert in range(len(kernel))
        ]
    )


def _experts(config: ModelConfig, *, by_inputs: bool) -> Experts:
    *hidden, count, _ = config.widths[1:] if len(config.widths) > 3 else (1, 0, 0)
    if count < 2 or any(width % count for width in hidden):
        raise ValueError(
            f"model.widths of {config.name} must be inputs, hidden units that the experts share equally, experts (2 or "
            f"more) and classes, got {config.widths}"
        )
    return Experts(config.widths, by_inputs, config.dropout_rate)
