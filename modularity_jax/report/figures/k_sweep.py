"""n-cut, and how far it lies below the controls, against the number of modules."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from modularity_jax.report.figures.style import INK, METHOD_COLOURS, OTHER_COLOUR, new_figure, styled
from modularity_jax.report.findings import phase_rank

Row = Mapping[str, Any]


@styled
def k_sweep_figure(rows: Sequence[Row]) -> Figure:
    """A column per phase: above, n-cut / k of networks, controls and lower bound; below, z.

    Args:
      rows: rows of `clusterability.csv`.
    """
    phases = sorted({row["phase"] for row in rows}, key=phase_rank)
    figure = new_figure(10, 6.4, "n-cut and its distance from the controls by number of modules k")
    grid = figure.subplots(2, len(phases), squeeze=False, sharey="row", sharex=True)
    for (above, below), phase in zip(grid.T, phases, strict=True):
        found = [row for row in rows if row["phase"] == phase]
        _ncut_panel(above, found)
        z_panel(below, found)
        above.set_title(phase)
        below.set_xlabel("number of modules k")
    grid[0, 0].set_ylabel("n-cut / k (0 to 1, lower: more modular)")
    grid[1, 0].set_ylabel("z (sds of the controls)")
    methods = dict.fromkeys(row["method"] for row in rows)
    figure.legend(handles=[*_handles(), *map(_method_handle, methods)], loc="outside lower center", ncols=4)
    return figure


def z_panel(axes: Axes, rows: Sequence[Row]) -> None:
    """Z against k for each control, mean and range over seeds; 0 is the controls' mean."""
    axes.axhline(0, color=INK, linewidth=0.8)
    all_sizes = sorted({row["num_clusters"] for row in rows})
    step = 0.02 * (all_sizes[-1] - all_sizes[0])  # side by side, lest one hide the other
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for place, method in enumerate(methods):
        colour = METHOD_COLOURS.get(method, OTHER_COLOUR)
        sizes, values = _by_size([row for row in rows if row["method"] == method], lambda row: row["z_score"])
        shift = step * (place - (len(methods) - 1) / 2)
        _line(axes, [k + shift for k in sizes], values, color=colour, label=method)
    axes.xaxis.set_major_locator(FixedLocator(all_sizes))


def _ncut_panel(axes: Axes, rows: Sequence[Row]) -> None:
    methods = dict.fromkeys(row["method"] for row in rows)
    for method in methods:
        found = [row for row in rows if row["method"] == method]
        sizes, means = _by_size(found, lambda row: row["shuffled_mean"] / row["num_clusters"])
        middle = np.array([value.mean() for value in means])
        axes.plot(sizes, middle, color=METHOD_COLOURS.get(method, OTHER_COLOUR), linewidth=3, alpha=0.75)
    once = [row for row in rows if row["method"] == next(iter(methods))]  # the network's own figures repeat
    sizes, bounds = _by_size(once, lambda row: row["lower_bound"] / row["num_clusters"])
    axes.plot(sizes, [value.mean() for value in bounds], color=INK, linewidth=1, linestyle=":")
    _line(axes, *_by_size(once, lambda row: row["ncut"] / row["num_clusters"]), color=INK, label="")


def _by_size(rows: Sequence[Row], value: Any) -> tuple[list[int], list[np.ndarray]]:
    """The k there are, and for each the finite values of its rows."""
    sizes = sorted({row["num_clusters"] for row in rows})
    values = [np.array([value(row) for row in rows if row["num_clusters"] == k], float) for k in sizes]
    return sizes, [found[np.isfinite(found)] for found in values]


def _line(axes: Axes, sizes: Sequence[float], values: Sequence[np.ndarray], *, color: str, label: str) -> None:
    """Means as dots on a line, ranges as bars; a k without a finite value is left out."""
    shown = [(k, found.mean(), found.min(), found.max()) for k, found in zip(sizes, values, strict=True) if found.size]
    if shown:
        k, mean, low, high = zip(*shown, strict=True)
        axes.plot(k, mean, color=color, linewidth=1.4, marker="o", markersize=4, label=label)
        axes.vlines(k, low, high, color=color, linewidth=1.2)


def _handles() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", markersize=4, label="networks: mean, range over seeds"),
        Line2D([], [], color=INK, linewidth=1, linestyle=":", label="lower bound for any partition"),
    ]


def _method_handle(method: str) -> Patch:
    return Patch(color=METHOD_COLOURS.get(method, OTHER_COLOUR), label=f"{method} controls")
