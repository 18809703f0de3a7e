"""A figure on its way to its file."""

import pathlib
from typing import NamedTuple

from matplotlib.figure import Figure


class Drawn(NamedTuple):
    """A figure and what a report says under it."""

    name: str
    figure: Figure
    caption: str  # what it shows
    reading: str  # one sentence on how to read it


def holds(workdir: pathlib.Path, name: str) -> bool:
    """Whether a workdir has a file."""
    return (workdir / name).is_file()
