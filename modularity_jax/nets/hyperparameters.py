"""Networks that differ in numbers among their settings, and are trained side by side in one program.

Each of them has its own values of the float settings of model and training, as arrays: whatever these are, the program
is the same, and so are a network's bits, alone or in a sweep. A setting that is 0 in all of them is left out of it.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

Array = jax.Array
Values = Mapping[str, Array]  # by "section.field"; what is missing is 0

_Config = TypeVar("_Config")


class Network(NamedTuple):
    """One of the networks of a sweep."""

    seed: int  # its randomness is fold_in(key(train.seed), seed)
    own: tuple[tuple[str, float], ...] = ()  # what it alone has of the settings, by "section.field"


def settings_of(network: Network, sections: Mapping[str, Any]) -> dict[str, Any]:
    """A network's own of these sections of settings, which check their fields."""
    made = {}
    for name, section in sections.items():
        own = {path.partition(".")[2]: value for path, value in network.own if path.startswith(f"{name}.")}
        made[name] = dataclasses.replace(section, **own)
    return made


def float_fields(config: Any) -> list[str]:
    """A section's settings that are floats."""
    return [field.name for field in dataclasses.fields(config) if type(field.default) is float]


def values_of(networks: Sequence[Network], sections: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The float settings of these sections that are not 0 throughout, by "section.field"; float32 [S]."""
    own = [settings_of(network, sections) for network in networks]
    paths = [(name, field) for name, section in sections.items() for field in float_fields(section)]
    values = {
        f"{name}.{field}": np.asarray([getattr(made[name], field) for made in own], np.float32) for name, field in paths
    }
    return {path: value for path, value in values.items() if value.any()}


def with_values(name: str, section: _Config, values: Values) -> _Config:
    """A section with arrays for its float settings, and 0.0 for those that are missing; unchecked."""
    made = copy.copy(section)
    for field in float_fields(section):
        object.__setattr__(made, field, values.get(f"{name}.{field}", 0.0))
    return made


def is_zero(value: Any) -> bool:
    """Whether a float setting is 0 for all networks of a program."""
    return isinstance(value, float) and value == 0
