"""Single lesions: each sub-module of one network against random sets of neurons of its size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modularity_jax.report.figures.style import INK, OTHER_COLOUR, new_figure, styled

Row = Mapping[str, Any]

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
_CONTROL = "#B9C4CC"


def module_name(layer: int, cluster: int) -> str:
    """How figures call a sub-module: hidden layer, a dot, cluster."""
    return f"{layer}.{cluster}"


@styled
def lesions_figure(rows: Sequence[Row], control_accuracy: np.ndarray, undamaged: float, *, network: str) -> Figure:
    """Change of accuracy with each sub-module damaged, and that of its controls; a panel per hidden layer.

    Args:
      rows: rows of `lesions.csv` of one network.
      control_accuracy: [R, M], columns in the order of the rows.
      undamaged: accuracy of the whole network.
      network: which network it is, for the title.
    """
    layers = sorted({row["layer"] for row in rows})
    widths = [sum(row["layer"] == layer for row in rows) for layer in layers]
    figure = new_figure(10, 4.8, f"Accuracy lost with one sub-module damaged ({network})")
    panels = figure.subplots(1, len(layers), sharey=True, squeeze=False, width_ratios=widths)[0]
    rng = np.random.default_rng(0)  # of the jitter only
    for axes, layer in zip(panels, layers, strict=True):
        found = [index for index, row in enumerate(rows) if row["layer"] == layer]
        for place, index in enumerate(found):
            row, controls = rows[index], 100 * (control_accuracy[:, index] - undamaged)
            axes.scatter(place + rng.uniform(-0.3, 0.3, len(controls)), controls, s=5, color=_CONTROL, linewidths=0)
            axes.scatter(place, 100 * row["diff"], s=42, color=_colour(row), edgecolors=INK, linewidths=0.7, zorder=3)
        axes.set_title(f"hidden {layer}")
        names = [f"{module_name(layer, rows[i]['cluster'])}\n{rows[i]['num_units']}" for i in found]
        axes.set_xticks(range(len(found)), names, fontsize=7.5)
        axes.set_xlim(-0.6, len(found) - 0.4)
        axes.tick_params(axis="x", length=0)
        axes.set_yscale("symlog", linthresh=1, linscale=1.5)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.axhline(-1, color=INK, linewidth=0.7, linestyle=":")
    panels[0].set_ylabel("change of test accuracy (percentage points)")
    panels[0].set_xlabel("sub-module as layer.cluster, with its number of neurons", loc="left")
    figure.legend(handles=[*_legend(rows), _controls_handle()], loc="outside lower center", ncols=4)
    return figure


@styled
def lesion_shares_figure(rows: Sequence[Row], *, network: str) -> Figure:
    """Change of accuracy against the share of the layer that is damaged, coloured by the study's taxonomy.

    Args:
      rows: rows of `lesions.csv` of any number of networks.
      network: which networks they are, for the title.
    """
    figure = new_figure(10, 4.6, f"What a sub-module costs against its size ({network})")
    panels = figure.subplots(1, 2, sharey=True)
    columns = (("taxonomy", "by the study's p"), ("taxonomy_adjusted", "by p corrected for the number of sub-modules"))
    for axes, (column, title) in zip(panels, columns, strict=True):
        for row in rows:
            axes.scatter(
                row["share"], 100 * row["diff"], s=30, color=_colour(row, column), edgecolors="white", linewidths=0.5
            )
        axes.set_title(title)
        axes.set(xlabel="share of the layer's live neurons", xlim=(0, None))
        axes.set_yscale("symlog", linthresh=1, linscale=1.5)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.axhline(-1, color=INK, linewidth=0.7, linestyle=":")
    panels[0].set_ylabel("change of test accuracy (percentage points)")
    figure.legend(handles=_legend(rows, "taxonomy", "taxonomy_adjusted"), loc="outside lower center", ncols=4)
    return figure


@styled
def lesion_classes_figure(rows: Sequence[Row], control_by_class: np.ndarray, *, network: str) -> Figure:
    """Accuracy on each class with each sub-module damaged, and the range of its controls; a row of panels per layer.

    Args:
      rows: rows of `lesions.csv` of one network.
      control_by_class: [R, M, C], in the order of the rows.
      network: which network it is, for the title.
    """
    layers = sorted({row["layer"] for row in rows})
    across = max(sum(row["layer"] == layer for row in rows) for layer in layers)
    classes = control_by_class.shape[2]
    figure = new_figure(10, 1.1 + 1.45 * len(layers), f"Accuracy on each class with one sub-module damaged ({network})")
    grid = figure.subplots(len(layers), across, sharex=True, sharey=True, squeeze=False)
    for panels, layer in zip(grid, layers, strict=True):
        found = [index for index, row in enumerate(rows) if row["layer"] == layer]
        for axes, index in zip(panels, found, strict=False):
            _classes_panel(axes, rows[index], control_by_class[:, index], classes)
        for axes in panels[len(found) :]:
            axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xticks(range(0, classes, 3 if across > 5 else 1))
    figure.supxlabel("class", fontsize=10)
    figure.supylabel("accuracy on the class", fontsize=10)
    return figure


def _classes_panel(axes: Axes, row: Row, controls: np.ndarray, classes: int) -> None:
    """One sub-module: bars from the least to the largest of the controls, a dot for itself; red below all of them."""
    low, high = controls.min(axis=0), controls.max(axis=0)
    own = np.array([np.nan if row[f"accuracy_{c}"] is None else row[f"accuracy_{c}"] for c in range(classes)])
    axes.vlines(range(classes), low, high, color=_CONTROL, linewidth=4)
    colours = ["#D55E00" if below else INK for below in own < low]
    axes.scatter(range(classes), own, s=9, color=colours, zorder=3, linewidths=0)
    title = f"{module_name(row['layer'], row['cluster'])} ({row['num_units']})"
    axes.set_title(title, fontsize=8, color=_ink(row), pad=3)
    axes.set_ylim(-0.05, 1.05)
    axes.tick_params(labelsize=7, length=2)


def _ink(row: Row) -> str:
    return TAXONOMY_COLOURS["important"] if row["taxonomy"] == "important" else INK


def _colour(row: Row, column: str = "taxonomy") -> str:
    return TAXONOMY_COLOURS.get(row[column], OTHER_COLOUR)


def _legend(rows: Sequence[Row], *columns: str) -> list[Line2D]:
    """A dot per taxonomy class that occurs, in the taxonomy's order of weight."""
    found = {row[column] for row in rows for column in columns or ("taxonomy",)}
    return [
        Line2D([], [], color=colour, marker="o", linestyle="", markersize=6, label=name)
        for name, colour in TAXONOMY_COLOURS.items()
        if name in found
    ]


def _controls_handle() -> Patch:
    return Patch(color=_CONTROL, label="controls: as many random neurons of the layer")
