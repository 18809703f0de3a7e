"""What a recipe is."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import optax

from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.pruning import PhasePlan

Array = jax.Array

INIT = "init"  # the phase before all others: networks that were not trained


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
    """A recipe, of one network; its functions are pure.

    Their float settings are arrays, which may differ from network to network; one that is 0 for all of them is 0.0
    (`hyperparameters.is_zero`).

    Attributes:
      phases: in their order, after "init".
      optimizer: of Optax.
      penalty: of the settings, the parameters and a memory, what is added to the loss of a step, and the memory for
        the next.
      memory: of the settings and the parameters, that of a phase's first step; any pytree.
      initial: of the settings, fresh parameters and a key, those that training begins with.
      before_step: of the parameters before a step, those that it takes.
      for_chains: whether it takes architectures alone that are a chain of layers.
    """

    phases: Callable[[TrainConfig, PruneConfig], list[Phase]]
    optimizer: Callable[[TrainConfig], optax.GradientTransformation]
    penalty: Callable[[ModelConfig, TrainConfig, Params, Any], tuple[Array | float, Any]]
    memory: Callable[[ModelConfig, TrainConfig, Params], Any] = lambda model, train, params: None
    initial: Callable[[ModelConfig, TrainConfig, Params, Array], Params] = lambda model, train, params, key: params
    before_step: Callable[[Params], Params] = lambda params: params
    for_chains: bool = False
