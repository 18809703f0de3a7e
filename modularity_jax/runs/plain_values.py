"""Values of settings as Python's own plain types, whatever NumPy, JAX, JSON or a flag made of them."""

import os
import sys
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def plain(value: Any) -> Any:
    """A NumPy or JAX scalar as Python's, floats by the fewest digits that give them back; others as they are."""
    if not hasattr(value, "dtype"):
        return value
    scalar = np.asarray(value)
    item = scalar.item()
    return float(str(scalar[()])) if isinstance(item, float) else item


def plain_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """A table's row of plain values; NaN, where nothing is known, becomes an empty cell."""
    row = {name: plain(value) for name, value in values.items()}
    return {name: None if value != value else value for name, value in row.items()}


def coerce(name: str, value: Any, default: Any) -> Any:
    """A setting's value in its default's type: int, float, bool, str, or a tuple of them.

    Arrays, lists and ranges are taken for tuples, a single entry too; NumPy's and JAX's scalars for Python's, whole
    numbers for floats, paths for strings, and None for a string that is empty by default.

    Raises:
      ValueError: that names the setting, the type that it takes and what it got.
    """
    if isinstance(default, tuple):
        kind = default[0] if default else 0
        return tuple(_scalar(name, entry, kind) for entry in _entries(value))
    return _scalar(name, value, default)


def _entries(value: Any) -> tuple[Any, ...]:
    if isinstance(value, np.ndarray | jax.Array):
        value = np.atleast_1d(np.asarray(value))
    return tuple(value) if isinstance(value, list | tuple | range | np.ndarray) else (value,)


def _scalar(name: str, given: Any, default: Any) -> Any:
    kind = type(default)
    value = plain(given) if getattr(given, "shape", None) == () else given
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        # A number is whole or it is not: 10.0 for a count is as likely a mistake as 10.5.
        if isinstance(value, kind):
            return kind(value)
        if kind is float and abs(value) <= sys.float_info.max:
            return float(value)
    if kind is str:
        if value is None and not default:
            return default
        if isinstance(value, str | os.PathLike):
            return os.fsdecode(value)
    hint = f"; write {value:.0f}" if kind is int and isinstance(value, float) and value.is_integer() else ""
    raise ValueError(f"{name} must be of type {kind.__name__}, got {value!r}{hint}")
