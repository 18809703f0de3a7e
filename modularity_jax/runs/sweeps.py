"""Sweeps: float settings of a config that are given as tuples, and the networks' own values of them."""

import itertools
from collections.abc import Mapping
from typing import Any

from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.hyperparameters import float_fields
from modularity_jax.runs.plain_values import coerce

Swept = tuple[tuple[str, tuple[float, ...]], ...]  # by "section.field"; no two sections share the name of a float
Setting = tuple[tuple[str, float], ...]  # one value of each

# Sections whose float settings may be tuples.
_SECTIONS = {"model": ModelConfig, "train": TrainConfig, "prune": PruneConfig}


def settings_in(swept: Swept) -> list[Setting]:
    """All combinations, the last setting changing fastest; one that is empty without a sweep."""
    paths = [path for path, _ in swept]
    return [tuple(zip(paths, values, strict=True)) for values in itertools.product(*(own for _, own in swept))]


def split_sweeps(values: Mapping[str, Any]) -> tuple[dict[str, Any], Swept]:
    """A config's values with the first entry of each tuple that stands for a float, and these tuples.

    Raises:
      ValueError: if one holds nothing, or something else than numbers; it names the setting.
    """
    first, swept = dict(values), []
    for name, kind in _SECTIONS.items():
        section = values.get(name)
        if not isinstance(section, Mapping):
            continue
        first[name] = dict(section)
        for field in float_fields(kind()):
            given, path = section.get(field), f"{name}.{field}"
            if given is None or not (isinstance(given, list | tuple) or getattr(given, "ndim", 0) == 1):
                continue
            entries = tuple(dict.fromkeys(coerce(path, entry, 0.0) for entry in given))
            if not entries:
                raise ValueError(f"{path} must hold at least one number, got none")
            first[name][field] = entries[0]
            swept += [(path, entries)] if len(entries) > 1 else []
    return first, tuple(swept)


def joined(values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values with other ones by "section.field", of tuples the reverse of `split_sweeps`."""
    made = {name: dict(section) if isinstance(section, Mapping) else section for name, section in values.items()}
    for path, value in own.items():
        section, _, field = path.partition(".")
        made[section][field] = value
    return made
