"""Plug points: registries whose entries may also come from outside, by the dotted name of a module's attribute."""

import importlib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def entry(name: str, value: str, known: Mapping[str, T]) -> T:
    """What a registry has under a name; "package.module.NAME" is looked up there instead.

    Args:
      name: of the argument or setting, for the error.
      value: what it got.
      known: the registry.

    Raises:
      ValueError: if there is no such entry, module or attribute.
    """
    if isinstance(value, str) and value in known:
        return known[value]
    module, _, attribute = value.rpartition(".") if isinstance(value, str) else ("", "", "")
    if not module:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    try:
        found: T = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{name} must be one of {', '.join(known)}, or package.module.NAME, got {value!r}: {error}"
        ) from error
    return found
