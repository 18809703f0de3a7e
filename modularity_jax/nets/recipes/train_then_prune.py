"""The study's recipe: trained, then pruned from there on, with Adam; norms of the kernels as penalties."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.hyperparameters import is_zero
from modularity_jax.nets.kernels import Params, kernels_of
from modularity_jax.nets.optimizer import adam
from modularity_jax.nets.pruning import plan_masks, without_masks
from modularity_jax.nets.recipes.protocol import Phase, Recipe

Array = jax.Array

ADAM_EPSILON = 1e-7  # Keras's, which the study used; Optax's own is 1e-8


def phases(train: TrainConfig, prune: PruneConfig) -> list[Phase]:
    """The study's."""
    return [
        Phase("unpruned", train.epochs, ("train",), lambda sizes, steps: without_masks(train.epochs)),
        Phase("pruned", prune.epochs, ("train", "prune"), lambda sizes, steps: plan_masks(prune, sizes, steps)),
    ]


def keras_adam(train: TrainConfig) -> optax.GradientTransformation:
    """Adam with Keras's epsilon."""
    return adam(train.learning_rate, epsilon=ADAM_EPSILON)


def norm_penalty(model: ModelConfig, train: TrainConfig, params: Params, memory: Any) -> tuple[Array | float, Any]:
    """l1 * sum |w| + l2 * sum w^2 over all kernels; biases are free, as under Keras's kernel_regularizer."""
    kernels = kernels_of(params).values()
    penalty: Array | float = 0.0
    if not is_zero(train.l1_penalty):
        penalty += train.l1_penalty * sum(jnp.abs(kernel).sum() for kernel in kernels)
    if not is_zero(train.l2_penalty):
        penalty += train.l2_penalty * sum((kernel**2).sum() for kernel in kernels)
    return penalty, memory


TRAIN_THEN_PRUNE = Recipe(phases, keras_adam, norm_penalty)
