"""What a report's page is made of: sections, pictures, and tables with their cells' formats."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from modularity_jax.report.findings import signed
from modularity_jax.runs.tables import Row

_TEXT_COLUMNS = (
    "phase",
    "method",
    "verdict",
    "setting",
    "what",
    "stage",
    "control",
    "dataset",
    "source",
    "dropout",
    "value",
    "version",
    "taxonomy",
    "taxonomy_adjusted",
    "joint_pairs",
)


class Column(NamedTuple):
    """A table's column; text is set left, numbers right."""

    name: str
    text: bool


class Table(NamedTuple):
    """A table of finished strings."""

    caption: str
    columns: list[Column]
    rows: list[list[str]]


class Picture(NamedTuple):
    """An embedded figure."""

    name: str
    source: str  # data URI
    caption: str
    reading: str


class Section(NamedTuple):
    """One part of the page; what is empty is not shown."""

    anchor: str
    title: str
    paragraphs: Sequence[str] = ()
    code: str = ""
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def table(caption: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of finished strings under these names."""
    return Table(caption, [Column(name, name in _TEXT_COLUMNS) for name in names], [list(row) for row in rows])


def rows_table(caption: str, rows: Sequence[Row]) -> Table:
    """Rows with the same keys, numbers rounded as their column asks."""
    names = list(rows[0])
    return table(caption, names, ([_cell(name, row[name]) for name in names] for row in rows))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if name.startswith("p_") else signed(value, 2 if name == "z_score" else 4)
    return str(value)


def settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[list[str]]:
    """A nested mapping as lines of dotted name and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            yield [f"{prefix}{key}", "–" if shown is None else str(shown)]
