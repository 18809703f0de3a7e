"""n-cut, and how far it lies below the controls, against the number of modules."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from modularity_jax.report.figures.style import INK, Drawings, Drawn, method_colour, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """A column per phase: above, n-cut / k of networks, controls and lower bound; below, z."""
    tests = run.leading(run.tests)
    if tests["num_clusters"].nunique() < 2:
        return
    phases = dict(list(tests.groupby("phase", observed=True)))
    figure = new_figure(10, 6.4, "n-cut and its distance from the controls by number of modules k")
    grid = figure.subplots(2, len(phases), squeeze=False, sharey="row", sharex=True)
    for (above, below), (phase, found) in zip(grid.T, phases.items(), strict=True):
        _ncut_panel(above, found)
        z_panel(below, found)
        above.set_title(phase)
        below.set_xlabel("number of modules k")
    grid[0, 0].set_ylabel("n-cut / k (0 to 1, lower: more modular)")
    grid[1, 0].set_ylabel("z (sds of the controls)")
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=4, label="networks: mean, range over seeds"),
        Line2D([], [], color=INK, linewidth=1, linestyle=":", label="lower bound for any partition"),
        *(Patch(color=method_colour(m), label=f"{m} controls") for m in tests["method"].cat.categories),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    yield Drawn(
        figure,
        "n-cut divided by k, of the networks and of their controls (thick lines), and the z-score, against k.",
        "n-cut / k is the share of a module's weight that leaves it, averaged over modules. Where the dots of z "
        "lie at 0, networks and shuffled weights do not differ in so many modules.",
    )


def z_panel(axes: Axes, tests: pd.DataFrame) -> None:
    """Z against k for each control, mean and range over seeds; 0 is the controls' mean."""
    axes.axhline(0, color=INK, linewidth=0.8)
    sizes = sorted(tests["num_clusters"].unique())
    step = 0.02 * (sizes[-1] - sizes[0])  # side by side, lest one hide the other
    methods = dict(list(tests.groupby("method", observed=True)))
    for place, (method, found) in enumerate(methods.items()):
        shift = step * (place - (len(methods) - 1) / 2)
        _line(axes, found["num_clusters"] + shift, found["z_score"], color=method_colour(method), label=method)
    axes.xaxis.set_major_locator(FixedLocator(sizes))


def _ncut_panel(axes: Axes, tests: pd.DataFrame) -> None:
    shares = tests[["shuffled_mean", "bound", "observed"]].div(tests["num_clusters"], axis=0)
    for method, found in shares.groupby(tests["method"], observed=True):
        controls = found["shuffled_mean"].groupby(tests["num_clusters"]).mean()
        axes.plot(controls.index, controls, color=method_colour(method), linewidth=3, alpha=0.75)
    once = shares[tests["method"] == tests["method"].min()]  # the network's own figures repeat
    bounds = once["bound"].groupby(tests["num_clusters"]).mean()
    axes.plot(bounds.index, bounds, color=INK, linewidth=1, linestyle=":")
    _line(axes, tests["num_clusters"], once["observed"], color=INK, label="")


def _line(axes: Axes, places: pd.Series, values: pd.Series, *, color: str, label: str) -> None:
    """Means of the finite values at each place as dots on a line, ranges as bars."""
    shown = values[np.isfinite(values)].groupby(places).agg(["mean", "min", "max"])
    if not shown.empty:
        axes.plot(shown.index, shown["mean"], color=color, linewidth=1.4, marker="o", markersize=4, label=label)
        axes.vlines(shown.index, shown["min"], shown["max"], color=color, linewidth=1.2)
