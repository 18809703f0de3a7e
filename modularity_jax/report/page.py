"""What a page's tables are made of: names of columns and rows of strings."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from modularity_jax.report.frames import records
from modularity_jax.report.prose import signed


def frame_table(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """A frame's columns and rows, numbers rounded as their column asks."""
    return list(frame), [[_cell(name, value) for name, value in row.items()] for row in records(frame)]


def settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[list[str]]:
    """A nested mapping as lines of dotted name and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            yield [f"{prefix}{key}", "–" if shown is None else str(shown)]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if name.startswith("p_") else signed(value, 2 if name == "z_score" else 4)
    return str(value)
