"""The papers' tables beside our own."""

from modularity_jax.runs.reproduce.cells import TABLES, Cell, Table, cells
from modularity_jax.runs.reproduce.compare import COLUMNS, compare_cells, table_text
from modularity_jax.runs.reproduce.run import across_text, run_table, settings_for

__all__ = [
    "COLUMNS",
    "TABLES",
    "Cell",
    "Table",
    "across_text",
    "cells",
    "compare_cells",
    "run_table",
    "settings_for",
    "table_text",
]
