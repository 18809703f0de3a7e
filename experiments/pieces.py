"""Rows of long tables, kept piece by piece, so that a command goes on where it stopped."""

import json
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modularity_jax.runs.tables import Row
from modularity_jax.runs.workdir import write_json


def rows_of(
    folder: pathlib.Path, name: str, settings: Mapping[str, Any], make: Callable[[], Iterable[Row]]
) -> list[Row]:
    """The rows of a piece, made where they are not kept; settings are what JSON gives back as it was."""
    kept = kept_rows(folder, name, settings)
    if kept is None:
        kept = list(make())
        write_json(_file(folder, name), {"settings": settings, "rows": kept})
    return kept


def kept_rows(folder: pathlib.Path, name: str, settings: Mapping[str, Any]) -> list[Row] | None:
    """The rows of a piece that was finished with these settings."""
    try:
        content = json.loads(_file(folder, name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there, or damaged
        return None
    rows: list[Row] = content["rows"]
    return rows if content["settings"] == settings else None


def _file(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / f"{name.replace(', ', '_').replace(' ', '_')}.json"
