"""A recipe of one's own: stochastic gradient descent, no pruning, a penalty on the largest weights."""

import jax.numpy as jnp
import optax

from modularity_jax.nets.kernels import kernels_of
from modularity_jax.nets.pruning import without_masks
from modularity_jax.nets.recipes import Phase, Recipe


def phases(train, prune):
    """One."""
    return [Phase("descended", train.epochs, ("train",), lambda sizes, steps: without_masks(train.epochs))]


def largest(params):
    """A penalty."""
    return 1e-3 * sum(jnp.abs(kernel).max() for kernel in kernels_of(params).values())


RECIPE = Recipe(
    phases=phases,
    optimizer=lambda train: optax.sgd(train.learning_rate),
    penalty=lambda model, train, params, memory: (largest(params), memory),
)
