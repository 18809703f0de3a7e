"""The papers' tables beside our own."""

from experiments.papers.cells import TABLES, Cell, Table, cells
from experiments.papers.compare import COLUMNS, compare_cells, table_text
from experiments.papers.run import across_text, run_table, settings_for

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
