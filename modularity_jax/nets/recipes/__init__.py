"""The recipes by name: the phases that a network passes through, and how it is trained in them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from modularity_jax.nets.config import ModelConfig, TrainConfig
from modularity_jax.nets.hyperparameters import Network, settings_of
from modularity_jax.nets.models import architecture_of, kernel_sizes
from modularity_jax.nets.pruning import PhasePlan, side_by_side
from modularity_jax.nets.recipes.clusterable_init import CLUSTERABLE_INIT
from modularity_jax.nets.recipes.eigenvalue_penalty import EIGENVALUE_PENALTY, RENORMALIZED_EIGENVALUE_PENALTY
from modularity_jax.nets.recipes.protocol import INIT, Phase, Recipe
from modularity_jax.nets.recipes.renormalized import RENORMALIZED
from modularity_jax.nets.recipes.train_then_prune import TRAIN_THEN_PRUNE
from modularity_jax.plug_points import entry

__all__ = ["INIT", "RECIPES", "Phase", "Recipe", "check_recipe", "plan_phase", "recipe_of"]

#: The recipes that `train.recipe` takes, by name.
RECIPES: dict[str, Recipe] = {
    "train_then_prune": TRAIN_THEN_PRUNE,
    "clusterable_init": CLUSTERABLE_INIT,
    "renormalized": RENORMALIZED,
    "eigenvalue_penalty": EIGENVALUE_PENALTY,
    "renormalized_eigenvalue_penalty": RENORMALIZED_EIGENVALUE_PENALTY,
}


def check_recipe(model: ModelConfig, train: TrainConfig) -> None:
    """Raises ValueError if the recipe does not take the architecture."""
    if recipe_of(train).for_chains and not architecture_of(model).is_chain:
        raise ValueError(f"train.recipe {train.recipe} takes chains of layers only, got model.name {model.name}")


def recipe_of(train: TrainConfig) -> Recipe:
    """An entry of `RECIPES`, or by its dotted name one from elsewhere."""
    return entry("train.recipe", train.recipe, RECIPES)


def plan_phase(index: int, networks: Sequence[Network], sections: Mapping[str, Any], num_steps: int) -> PhasePlan:
    """The masks of networks side by side in the phase of that number; num_steps are an epoch's.

    Sections: model, train and prune, of which networks may have settings of their own.
    """

    @functools.cache
    def of(own: tuple[tuple[str, float], ...]) -> PhasePlan:
        settings = settings_of(Network(0, own), sections)
        phases = recipe_of(settings["train"]).phases(settings["train"], settings["prune"])
        return phases[index].plan(kernel_sizes(settings["model"]), num_steps)

    return side_by_side([of(network.own) for network in networks])
