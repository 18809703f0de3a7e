"""The n-cut of every seed beside the n-cuts of its shuffled weights."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modularity_jax.report.figures.style import INK, Drawings, Drawn, method_colour, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """A row per number of clusters, a panel per phase; in it each seed beside its own controls."""
    tests = run.leading(run.controlled)
    if tests.empty:
        return
    sizes, phases = sorted(tests["num_clusters"].unique()), tests["phase"].sort_values().unique()
    figure = new_figure(10, 0.8 + 3.0 * len(sizes), "Is the n-cut below that of the same weights shuffled?")
    grid = figure.subplots(len(sizes), len(phases), squeeze=False)
    for panels, k in zip(grid, sizes, strict=True):
        shown = []
        for axes, phase in zip(panels, phases, strict=True):
            found = tests[(tests["num_clusters"] == k) & (tests["phase"] == phase)]
            axes.set_visible(not found.empty)
            if not found.empty:
                _panel(axes, found)
                axes.set_title(f"{phase}, k = {k}")
                shown.append((axes, found))
        _share_scale(shown)
        shown[0][0].set_ylabel(f"n-cut (0 to {k}, lower: more modular)")
    bound = "lower bound for any partition (↓ below the panel)"
    handles = [
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=5, label="the network itself, one dot per seed"),
        Patch(color="#AAAAAA", label="that seed's shuffled weights"),
        Line2D([], [], color=INK, marker="_", linestyle="", markersize=9, label=bound),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    yield Drawn(
        figure,
        "The n-cut of every network (dot) and of its own weights shuffled (violin), per phase and control.",
        "A dot below its violin is a network more modular than its shuffled weights. All panels of a row have one "
        "scale; no partition whatever can have an n-cut under the lower bound.",
    )


def method_ticks(axes: Axes, methods: Sequence[str], size: int) -> None:
    """Names of controls under an axes."""
    axes.set_xticks(range(len(methods)), [method.replace("_", "_\n") for method in methods], fontsize=size)


def violin(axes: Axes, controls: Sequence[np.ndarray], places: npt.ArrayLike, width: float, method: str) -> None:
    """Distributions of controls in their control's colour."""
    colour = method_colour(method)
    for body in axes.violinplot(controls, np.asarray(places), widths=width, showextrema=False)["bodies"]:  # type: ignore[attr-defined]
        body.set(facecolor=colour, edgecolor=colour, alpha=0.75, linewidth=0.6)


def _panel(axes: Axes, tests: pd.DataFrame) -> None:
    """For each control one violin of its values, one dot and one tick per seed, side by side."""
    groups = dict(list(tests.groupby("method", observed=True)))
    for centre, (method, found) in enumerate(groups.items()):
        step = min(0.84 / len(found), 0.3)
        places = centre + step * (np.arange(len(found)) - (len(found) - 1) / 2)
        violin(axes, list(found["controls"]), places, 0.9 * step, method)
        axes.hlines(found["bound"], places - 0.36 * step, places + 0.36 * step, color=INK, linewidth=1)
        axes.scatter(places, found["observed"], s=22, color=INK, edgecolors="white", linewidths=0.6, zorder=3)
    method_ticks(axes, list(groups), 9 if len(groups) < 4 else 7)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(groups) - 0.5)


def _share_scale(shown: Sequence[tuple[Axes, pd.DataFrame]]) -> None:
    """Gives a row's panels one span on the y axis, so that distances can be compared, each around its own values."""
    values = [np.concatenate([*tests["controls"], tests["observed"]]) for _, tests in shown]
    span = max(max(np.ptp(value) for value in values), 1e-3)
    for (axes, tests), value in zip(shown, values, strict=True):
        middle = (value.min() + value.max()) / 2
        low = middle - 0.66 * span  # room for the note under the lowest dot
        axes.set_ylim(low, middle + 0.56 * span)
        bounds = sorted({f"{bound:.2f}" for bound in tests["bound"] if bound < low}, key=float)
        if bounds:
            text = "↓ lower bound " + " to ".join(dict.fromkeys((bounds[0], bounds[-1])))
            axes.text(0.02, 0.02, text, transform=axes.transAxes, fontsize=8, color="#666666")
