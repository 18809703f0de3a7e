"""The recipes by name: the phases that a network passes through, and how it is trained in them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from modularity_jax.nets.config import PruneConfig, TrainConfig
from modularity_jax.nets.kernels import Params, kernels_of
from modularity_jax.nets.optimizer import adam
from modularity_jax.nets.pruning import PhasePlan, plan_masks, without_masks
from modularity_jax.plug_points import entry

Array = jax.Array

INIT = "init"  # the phase before all others: networks that were not trained
ADAM_EPSILON = 1e-7  # Keras's, which the study used; Optax's own is 1e-8


class Phase(NamedTuple):
    """A phase, which begins with a fresh optimiser state.

    Attributes:
      name: in tables and files.
      epochs: may be 0.
      decided_by: the sections of the config that decide the networks at its end, beside data and model.
      plan: of the kernels' sizes [L] and the steps of an epoch, its masks.
    """

    name: str
    epochs: int
    decided_by: tuple[str, ...]
    plan: Callable[[Sequence[int], int], PhasePlan]


class Recipe(NamedTuple):
    """A recipe; its functions are pure.

    Attributes:
      phases: in their order, after "init".
      optimizer: of Optax.
      penalty: of the parameters, what is added to the loss.
    """

    phases: Callable[[TrainConfig, PruneConfig], list[Phase]]
    optimizer: Callable[[TrainConfig], optax.GradientTransformation]
    penalty: Callable[[TrainConfig, Params], Array | float]


def train_then_prune(train: TrainConfig, prune: PruneConfig) -> list[Phase]:
    """The study's phases: trained, then pruned from there on."""
    return [
        Phase("unpruned", train.epochs, ("train",), lambda sizes, steps: without_masks(train.epochs)),
        Phase("pruned", prune.epochs, ("train", "prune"), lambda sizes, steps: plan_masks(prune, sizes, steps)),
    ]


def keras_adam(train: TrainConfig) -> optax.GradientTransformation:
    """Adam with Keras's epsilon."""
    return adam(train.learning_rate, epsilon=ADAM_EPSILON)


def norm_penalty(train: TrainConfig, params: Params) -> Array | float:
    """l1 * sum |w| + l2 * sum w^2 over all kernels; biases are free, as under Keras's kernel_regularizer."""
    kernels = kernels_of(params).values()
    penalty: Array | float = 0.0
    if train.l1_penalty:
        penalty += train.l1_penalty * sum(jnp.abs(kernel).sum() for kernel in kernels)
    if train.l2_penalty:
        penalty += train.l2_penalty * sum((kernel**2).sum() for kernel in kernels)
    return penalty


#: The recipes that `train.recipe` takes, by name.
RECIPES: dict[str, Recipe] = {"train_then_prune": Recipe(train_then_prune, keras_adam, norm_penalty)}


def recipe_of(train: TrainConfig) -> Recipe:
    """An entry of `RECIPES`, or by its dotted name one from elsewhere."""
    return entry("train.recipe", train.recipe, RECIPES)
