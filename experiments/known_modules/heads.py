"""Perceptrons that answer several questions, trained by the cross-entropy of one.

The logit of a class, which numbers the answers to all questions (see `data.known.Known`), is the sum of its answers'
outputs. The softmax of such sums is the product of the questions' own, and its cross-entropy the sum of theirs.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models import Architecture
from modularity_jax.nets.models.mlp import MLP

Array = jax.Array
# The output for an answer that is none of those to come.
IMPOSSIBLE = -1e9


def answers(num_answers: Sequence[int]) -> np.ndarray:
    """The answers [C, questions] that each class stands for."""
    return np.stack(np.unravel_index(np.arange(np.prod(num_answers)), tuple(num_answers)), axis=1)


def readout(num_answers: Sequence[int]) -> np.ndarray:
    """Which outputs add to each class, [o, C] of 0 and 1: one says yes, or one for each of several answers."""
    given = answers(num_answers)
    rows = [
        given[:, question] == answer
        for question, count in enumerate(num_answers)
        for answer in (range(count) if count > 2 else (1,))
    ]
    return np.stack(rows).astype(np.float32)


class Heads(nn.Module):
    """A perceptron with several questions' outputs; its kernels have the names of `MLP`'s.

    Attributes:
      widths: as `MLP`; the last layer are the outputs.
      num_answers: to each question.
    """

    widths: Sequence[int]
    num_answers: Sequence[int]

    def setup(self) -> None:
        """Its one part."""
        self.layers = MLP(self.widths)

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """Logits [B, C] of inputs [B, d_0]."""
        return self.layers(x, train=train) @ readout(self.num_answers)


class ShownPair(Heads):
    """Heads for `data.arithmetic.double_addition`: the answers about the pair that is not shown are 0 for sure."""

    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """Logits [B, C] of inputs [B, d_0], whose halves are the pairs."""
        outputs = self.layers(x, train=train).reshape(len(x), 2, -1, self.num_answers[0])
        shown = x.reshape(len(x), 2, -1).any(axis=2)[:, :, None, None]
        certain = jnp.where(jnp.arange(self.num_answers[0]) == 0, 0, IMPOSSIBLE)[None, None, None]
        return jnp.where(shown, outputs, certain).reshape(len(x), -1) @ readout(self.num_answers)


def _architecture(*num_answers: int, heads: type[Heads] = Heads) -> Architecture:
    """Of networks whose settings' last width is the number of classes, after that of outputs."""

    def module(config: ModelConfig) -> nn.Module:
        return heads(config.widths[:-1], num_answers)

    return Architecture(module, lambda params: LayeredGraph.from_params(params["layers"]))


YES_NO = _architecture(2)
TWICE_YES_NO = _architecture(2, 2)
DIGIT = _architecture(10)
TWO_DIGITS = _architecture(10, 10)
SHOWN_DIGITS = _architecture(*(10,) * 2, heads=ShownPair)
SHOWN_PAIRS = _architecture(*(10,) * 4, heads=ShownPair)
#: Their names as `model.name` takes them, by the number of answers to each question.
NAMES = {
    shape: f"{__name__}.{name}"
    for shape, name in {(2,): "YES_NO", (2, 2): "TWICE_YES_NO", (10,): "DIGIT", (10, 10): "TWO_DIGITS"}.items()
}
#: Of pairs of which one is shown, by their number of digits.
SHOWN = {1: f"{__name__}.SHOWN_DIGITS", 2: f"{__name__}.SHOWN_PAIRS"}
