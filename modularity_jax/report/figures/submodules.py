"""What the figures of lesions share: the network, colours of sub-modules (called layer.cluster), scale of accuracy."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from modularity_jax.report.figures.style import INK, OTHER_COLOUR
from modularity_jax.report.findings.lesions import drawn_lesions
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say

TAXONOMY_COLOURS = {
    "important": "#D55E00",
    "significant but not different": "#E69F00",
    "different but not significant": "#56B4E9",
    "least important": "#CC79A7",
    "prunable": "#009E73",
    "other": "#8A8A8A",
    "small": "#C9C9C9",
    "complete": "#332288",
}
CONTROL_COLOUR = "#B9C4CC"


class Damaged(NamedTuple):
    """The network whose lesions are drawn."""

    name: str  # "pruned network, seed 0"
    singles: pd.DataFrame
    doubles: pd.DataFrame
    arrays: Mapping[str, np.ndarray]  # empty where they are not at hand


def damaged_network(run: Run) -> Damaged | None:
    """The network whose lesions are drawn, if there is one."""
    if run.lesions.empty:
        return None
    singles, doubles = (drawn_lesions(frame, run.lesions) for frame in (run.lesions, run.double_lesions))
    first = singles.iloc[0]
    name = f"{say('phase_name', first['phase'])} network, seed {first['seed']}"
    return Damaged(name, singles.reset_index(drop=True), doubles, run.lesion_arrays)


def colour_of(taxonomy: str) -> str:
    """A sub-module's colour by the study's word for it."""
    return TAXONOMY_COLOURS.get(taxonomy, OTHER_COLOUR)


def lost_points(axes: Axes) -> None:
    """A scale of accuracy lost, linear up to one percentage point, with a line where one is lost."""
    axes.set_yscale("symlog", linthresh=1, linscale=1.5)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.axhline(-1, color=INK, linewidth=0.7, linestyle=":")


def taxonomy_legend(*columns: pd.Series) -> list[Line2D]:
    """A dot per taxonomy class that occurs, in the taxonomy's order of weight."""
    found = set().union(*columns)
    return [
        Line2D([], [], color=colour, label=name, marker="o", linestyle="", markersize=6)
        for name, colour in TAXONOMY_COLOURS.items()
        if name in found
    ]
