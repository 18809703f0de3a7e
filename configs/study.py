"""The study's protocol, which the configs beside this file start from, and their variants' words; no config itself.

Settings are written {"section.field": value}.
"""

from collections.abc import Mapping
from typing import Any

import ml_collections

from modularity_jax.runs.config import RunConfig

Settings = Mapping[str, Any]

# Beyond the library's defaults: the controls that keep neurons' strengths beside the study's, and n-cut along training.
BASE: Settings = {
    "cluster.phases": ("all",),
    "lesion.phases": ("last",),
    "cluster.methods": ("layer", "layer_nonzero", "row", "column"),
    "cluster.curve_epochs": (1, 2, 3, 5, 10, 15, 20, 30, 40),
}
# What a variant's words stand for; "quick" comes last and cuts down whatever the others ask for.
WORDS: Mapping[str, Settings] = {
    "quick": {},
    "lesions": {"lesion.num_shuffles": 1000, "lesion.joint": 500, "lesion.conditional": 500},
    "dropout": {"model.dropout_rate": 0.5},
}
# Hidden widths of an architecture at a toy size.
HIDDEN: Mapping[str, tuple[int, ...]] = {
    "mlp": (32, 24),
    "cnn": (8, 8, 8, 16),
    "lstm": (16,),
    "vgg": (*(4,) * 13, 8, 8),
}
NO_LESIONS = {"lesion.num_shuffles": 0}


def get_config(variant: str, settings: Settings | None = None, **words: Settings) -> ml_collections.ConfigDict:
    """The protocol for MNIST without dropout (2003.04881, section 3), changed by an experiment and its variant.

    Args:
      variant: words with commas between them. "dropout" is the study's network with dropout; "lesions" has enough
        controls for the corrected tests of pairs of lesions to have power: with the study's 50, one stray control among
        hundreds of pairs hides them; "quick" keeps the experiment's shape at a toy size.
      settings: what the experiment changes.
      **words: the experiment's own words, or what a common one means there.

    Raises:
      ValueError: if a word is unknown.
    """
    known = {**WORDS, **words}
    chosen = [word for word in variant.split(",") if word]
    for word in chosen:
        if word not in known:
            raise ValueError(f"config variant must be made of {', '.join(known)}, got {word!r}")
    # Types are checked by `RunConfig`, which also takes what NumPy makes of a number.
    config = ml_collections.ConfigDict(RunConfig().to_dict(), type_safe=False)
    for changes in (BASE, settings or {}, *(known[word] for word in chosen)):
        config.update_from_flattened_dict(changes)
    if "quick" in chosen:
        _shrink(config)
    return config


def with_dropout(variant: str) -> str:
    """The variant with the word "dropout"."""
    return f"{variant},dropout"


def _shrink(config: ml_collections.ConfigDict) -> None:
    """Toy sizes; what is smaller, or left out, stays so."""
    config.data.num_train = 1000
    config.model.widths = (config.model.widths[0], *HIDDEN[config.model.name], config.model.widths[-1])
    config.cluster.num_clusters = (4,)
    most = {
        "train": {"num_seeds": 2, "epochs": 2},
        "prune": {"epochs": 2},
        "cluster": {"num_shuffles": 19},
        "lesion": {"num_clusters": 4, "num_shuffles": 19, "joint": 9, "conditional": 9},
        "activations": {"num_samples": 500},
        "specialisation": {"num_clusters": 4, "num_shuffles": 39, "num_samples": 500, "num_top": 20},
    }
    for section, fields in most.items():
        for name, value in fields.items():
            config[section][name] = min(value, config[section][name])
