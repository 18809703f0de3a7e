"""Clusterable initialisation (2103.03386): before training, weights within modules drawn at random are raised."""

import jax
import jax.numpy as jnp

from modularity_jax.nets.config import ModelConfig, TrainConfig
from modularity_jax.nets.kernels import Params, kernels_of, with_kernels
from modularity_jax.nets.recipes.train_then_prune import TRAIN_THEN_PRUNE

Array = jax.Array


def clusterable(model: ModelConfig, train: TrainConfig, params: Params, key: Array) -> Params:
    """Fresh parameters with modules; nothing holds these in training.

    Every unit draws one of train.init_modules modules M, independently; of the outputs, where they are no more than M,
    unit j has module j. A weight between two modules is multiplied by train.init_outside, one within a module by
    1 + (1 - init_outside) (M - 1), which keeps the mean magnitude. The first kernel stays as it is; a convolutional
    network's dense kernels do too, and its channels are the units.
    """
    kernels = kernels_of(params)
    most = max(kernel.ndim for kernel in kernels.values())
    chosen = [name for name, kernel in kernels.items() if kernel.ndim == most][1:]
    own, inside = dict(kernels), 1 + (1 - train.init_outside) * (train.init_modules - 1)
    modules = jnp.zeros(0)
    for layer, name in enumerate(chosen, 1):
        rows, width = kernels[name].shape[-2:]
        modules = modules if modules.size else _draw(key, 0, rows, train.init_modules)
        is_output = name == [*kernels][-1] and width <= train.init_modules
        following = jnp.arange(width) if is_output else _draw(key, layer, width, train.init_modules)
        factors = jnp.where(modules[:, None] == following[None, :], inside, train.init_outside)
        own[name] = kernels[name] * factors.reshape(*(1 for _ in kernels[name].shape[:-2]), rows, width)
        modules = following
    return with_kernels(params, own)


def _draw(key: Array, layer: int, width: int, num_modules: int) -> Array:
    return jax.random.randint(jax.random.fold_in(key, layer), (width,), 0, num_modules)


CLUSTERABLE_INIT = TRAIN_THEN_PRUNE._replace(initial=clusterable, for_chains=True)
