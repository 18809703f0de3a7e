"""The n-cut of every seed beside the n-cuts of its shuffled weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modularity_jax.report.figures.style import INK, METHOD_COLOURS, OTHER_COLOUR, new_figure, styled
from modularity_jax.report.findings import phase_rank
from modularity_jax.runs.cluster_files import Group, group_of


@styled
def controls_figure(rows: Sequence[Mapping[str, Any]], shuffled_ncut: Mapping[Group, np.ndarray]) -> Figure:
    """A row per number of clusters, a panel per phase; in it each seed beside its own controls.

    The panels of a row have one scale, so that distances can be compared, but each its own offset. Where the lower
    bound lies below a panel it is given as a number.

    Args:
      rows: rows of `clusterability.csv`.
      shuffled_ncut: [R] n-cuts per (seed, phase, num_clusters, method); rows without one are left out.

    Returns:
      The figure.
    """
    rows = [row for row in rows if group_of(row) in shuffled_ncut]
    sizes = sorted({row["num_clusters"] for row in rows})
    phases = sorted({row["phase"] for row in rows}, key=phase_rank)
    figure = new_figure(10, 0.8 + 3.0 * len(sizes), "Is the n-cut below that of the same weights shuffled?")
    grid = figure.subplots(len(sizes), len(phases), squeeze=False)
    for panels, k in zip(grid, sizes, strict=True):
        shown = []
        for axes, phase in zip(panels, phases, strict=True):
            found = [row for row in rows if (row["num_clusters"], row["phase"]) == (k, phase)]
            axes.set_visible(bool(found))
            if found:
                _panel(axes, found, shuffled_ncut)
                axes.set_title(f"{phase}, k = {k}")
                shown.append((axes, found))
        _share_scale(shown, shuffled_ncut)
        shown[0][0].set_ylabel(f"n-cut (0 to {k}, lower: more modular)")
    figure.legend(handles=_handles(), loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], shuffled_ncut: Mapping[Group, np.ndarray]) -> None:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for place, method in enumerate(methods):
        _swarm(axes, place, [row for row in rows if row["method"] == method], shuffled_ncut)
    names = [method.replace("_", "_\n") for method in methods]
    axes.set_xticks(range(len(methods)), names, fontsize=9 if len(methods) < 4 else 7)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(methods) - 0.5)


def _swarm(
    axes: Axes, centre: float, rows: Sequence[Mapping[str, Any]], shuffled_ncut: Mapping[Group, np.ndarray]
) -> None:
    """One violin of controls, one dot and one tick per seed, side by side."""
    step = min(0.84 / len(rows), 0.3)
    places = centre + step * (np.arange(len(rows)) - (len(rows) - 1) / 2)
    colour = METHOD_COLOURS.get(rows[0]["method"], OTHER_COLOUR)
    controls = [shuffled_ncut[group_of(row)] for row in rows]
    for body in axes.violinplot(controls, places, widths=0.9 * step, showextrema=False)["bodies"]:  # type: ignore[attr-defined]
        body.set(facecolor=colour, edgecolor=colour, alpha=0.75, linewidth=0.6)
    axes.hlines(
        [row["lower_bound"] for row in rows], places - 0.36 * step, places + 0.36 * step, color=INK, linewidth=1
    )
    axes.scatter(places, [row["ncut"] for row in rows], s=22, color=INK, edgecolors="white", linewidths=0.6, zorder=3)


def _share_scale(
    shown: Sequence[tuple[Axes, Sequence[Mapping[str, Any]]]], shuffled_ncut: Mapping[Group, np.ndarray]
) -> None:
    """Gives a row's panels one span on the y axis, each around its own networks and controls."""
    values = [
        np.concatenate([np.append(shuffled_ncut[group_of(row)], row["ncut"]) for row in rows]) for _, rows in shown
    ]
    span = max(max(np.ptp(value) for value in values), 1e-3)
    for (axes, rows), value in zip(shown, values, strict=True):
        middle = (value.min() + value.max()) / 2
        low = middle - 0.66 * span  # room for the note under the lowest dot
        axes.set_ylim(low, middle + 0.56 * span)
        bounds = sorted({f"{row['lower_bound']:.2f}" for row in rows if row["lower_bound"] < low}, key=float)
        if bounds:
            text = "↓ lower bound " + " to ".join(dict.fromkeys((bounds[0], bounds[-1])))
            axes.text(0.02, 0.02, text, transform=axes.transAxes, fontsize=8, color="#666666")


def _handles() -> list[Patch | Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=5, label="the network itself, one dot per seed"),
        Patch(color="#AAAAAA", label="that seed's shuffled weights"),
        Line2D(
            [],
            [],
            color=INK,
            marker="_",
            linestyle="",
            markersize=9,
            label="lower bound for any partition (↓ below the panel)",
        ),
    ]
