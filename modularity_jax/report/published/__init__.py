"""Figures of the papers, each with its source."""

import importlib.resources

from modularity_jax.runs.tables import Row, read_csv


def published(name: str) -> list[Row]:
    """Rows of a file of published figures, such as "ncut.csv"."""
    with importlib.resources.as_file(importlib.resources.files(__package__).joinpath(name)) as path:
        return read_csv(path)
