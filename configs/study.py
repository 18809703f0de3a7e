"""The study's protocol, which the configs beside this file start from; not a config itself."""

import ml_collections

from modularity_jax.runs.config import RunConfig

VARIANTS = ("", "quick", "lesions")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The protocol for MNIST without dropout (2003.04881, section 3).

    Args:
      variant: "quick" keeps the protocol's shape at a toy size; "lesions" has enough controls for the corrected tests
        of pairs of lesions to have power: with the study's 50, one stray control among hundreds of pairs hides them.

    Raises:
      ValueError: if the variant is unknown.
    """
    if variant not in VARIANTS:
        raise ValueError(f"config variant must be empty, 'quick' or 'lesions', got {variant!r}")
    config = ml_collections.ConfigDict(RunConfig().to_dict())
    if variant == "lesions":
        config.lesion.num_shuffles = 1000
        config.lesion.joint = 500
        config.lesion.conditional = 500
    if variant == "quick":
        config.data.num_train = 1000
        config.model.widths = (784, 32, 24, 10)
        config.train.num_seeds = 2
        config.train.epochs = 2
        config.prune.epochs = 2
        config.cluster.num_clusters = (4,)
        config.cluster.num_shuffles = 19
        config.lesion.num_clusters = 4
        config.lesion.num_shuffles = 19
        config.lesion.joint = 9
        config.lesion.conditional = 9
    return config


def lengthen(config: ml_collections.ConfigDict, variant: str, *, epochs: int, prune_epochs: int) -> None:
    """Set both phases' epochs, but for the quick variant."""
    if variant != "quick":
        config.train.epochs = epochs
        config.prune.epochs = prune_epochs
