"""How every figure looks, and how it is saved: the same bytes for the same numbers."""

import base64
import contextlib
import importlib.resources
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from modularity_jax.runs.tables import atomic_write

# Okabe and Ito's colours and Tol's muted ones: told apart with any common colour blindness.
_METHOD_COLOURS = {
    "layer": "#56B4E9",
    "layer_nonzero": "#E69F00",
    "row": "#009E73",
    "column": "#CC79A7",
    "layer_nonzero_distribution": "#999933",
    "layer_all_distribution": "#332288",
    "degrees": "#D55E00",
    "strengths": "#0072B2",
    "edges": "#882255",
    "samples": "#117733",
}
OTHER_COLOUR = "#555555"
ISOLATED_COLOUR = "#D4D4D4"
INK = "#222222"
FRONT_SIZE = 4.3, 3.9  # inches; legible on a phone
_MODULE_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#332288", "#999933", "#882255", "#DDCC77",
    "#661100", "#88D4C0",
)  # fmt: skip


class Drawn(NamedTuple):
    """A figure and what a report says under it."""

    figure: Figure
    caption: str  # what it shows
    reading: str  # one sentence on how to read it
    suffix: str = ""  # of its name, where a file draws several


Drawings = Iterator[Drawn]  # what the function `draw` of a figure's file returns


class Picture(NamedTuple):
    """A saved figure."""

    name: str
    source: str  # data URI
    caption: str
    reading: str


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Our settings over matplotlib's defaults, whatever the user's own are; they come back afterwards."""
    with importlib.resources.as_file(importlib.resources.files(__package__) / "house.mplstyle") as path:
        ours = mpl.rc_params_from_file(path, use_default_template=False)
    # The backend belongs to the user's program: figures are written without one.
    defaults: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}
    with mpl.rc_context(defaults | dict(ours)):
        yield


def new_figure(width: float, height: float, title: str) -> Figure:
    """A figure of that many inches, title at the left, laid out by itself."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def save(drawn: Drawn, folder: pathlib.Path, name: str) -> Picture:
    """Saves a figure as `<name>.png` (150 dpi) and `<name>.svg`, within `house_style`."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with atomic_write(png) as temporary:
        drawn.figure.savefig(temporary, dpi=150, metadata={"Software": None})
    with atomic_write(svg) as temporary:
        drawn.figure.savefig(temporary, dpi=150, metadata={"Date": None})
    small = svg.stat().st_size <= 200_000  # larger drawings are embedded as PNG
    content = base64.b64encode((svg if small else png).read_bytes()).decode("ascii")
    source = f"data:image/{'svg+xml' if small else 'png'};base64,{content}"
    return Picture(name, source, drawn.caption, drawn.reading)


def method_colour(method: str) -> str:
    """The colour of a control."""
    return _METHOD_COLOURS.get(method, OTHER_COLOUR)


def module_colour(module: int) -> str:
    """The colour of a module by its rank; repeated after twelve."""
    return _MODULE_COLOURS[module % len(_MODULE_COLOURS)]


def write_on(axes: Axes, x: float, y: float, text: str, background: str, size: float) -> None:
    """Centred text in black or white, whichever reads better on the background's colour."""
    ink = "white" if np.dot(to_rgb(background), (0.299, 0.587, 0.114)) < 0.55 else INK
    axes.text(x, y, text, color=ink, fontsize=size, weight="bold", ha="center", va="center", zorder=4)
