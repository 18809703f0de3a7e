"""The small figures at the front of a report, each of which makes one point; they are legible on a phone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modularity_jax.report.figures.k_sweep import z_panel
from modularity_jax.report.figures.style import INK, METHOD_COLOURS, OTHER_COLOUR, module_colour, new_figure, styled
from modularity_jax.report.figures.training import curve, mark_phases, phase_starts
from modularity_jax.report.findings import phase_rank
from modularity_jax.runs.cluster_files import Group, group_of

Row = Mapping[str, Any]

_SIZE = 4.3, 3.9  # inches


@styled
def front_controls_figure(rows: Sequence[Row], shuffled_ncut: Mapping[Group, np.ndarray]) -> Figure:
    """Per control: each seed's n-cut as a share of its own controls' mean (dots), and the controls' (violin).

    Args:
      rows: rows of `clusterability.csv` of one phase and one number of clusters.
      shuffled_ncut: [R] n-cuts of each row's controls.
    """
    figure = new_figure(*_SIZE, "Below its shuffled weights?")
    axes = figure.subplots()
    methods = list(dict.fromkeys(row["method"] for row in rows))
    for place, method in enumerate(methods):
        found = [row for row in rows if row["method"] == method]
        means = [shuffled_ncut[group_of(row)].mean() for row in found]
        pairs = list(zip(found, means, strict=True))
        # Where all controls fall apart their n-cuts are 0, and there is no share of them.
        controls = np.concatenate([(shuffled_ncut[group_of(row)] - mean) / (mean or 1) for row, mean in pairs])
        colour = METHOD_COLOURS.get(method, OTHER_COLOUR)
        for body in axes.violinplot([controls], [place], widths=0.8, showextrema=False)["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, edgecolor=colour, alpha=0.75, linewidth=0.6)
        spread = np.linspace(-0.25, 0.25, len(found)) if len(found) > 1 else [0.0]
        axes.scatter(
            place + np.asarray(spread),
            [(row["ncut"] - mean) / (mean or 1) for row, mean in pairs],
            s=24,
            color=INK,
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
        )
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_formatter(_signed_percent)
    names = [method.replace("_", "_\n") for method in methods]
    axes.set_xticks(range(len(methods)), names, fontsize=9 if len(methods) < 5 else 7)
    axes.set_ylabel("n-cut against the controls' mean")
    axes.set_xlabel("how the weights were shuffled", fontsize=9)
    return figure


@styled
def front_curve_figure(rows: Sequence[Row]) -> Figure:
    """n-cut, and accuracy under it, against the epoch; mean and range over seeds.

    Args:
      rows: rows of `learning_curve.csv` of one number of clusters.
    """
    starts = phase_starts(rows)
    figure = new_figure(*_SIZE, "When does it become modular?")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, column, colour in zip(panels, ("ncut", "test_accuracy"), (0, 5), strict=True):
        curve(axes, rows, starts, column, color=module_colour(colour), label="")
    panels[0].set_ylabel(f"n-cut, k = {rows[0]['num_clusters']}")
    panels[1].set(ylabel="test accuracy", xlabel="epoch")
    panels[1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for axes in panels:
        mark_phases(axes, rows, starts, named=axes is panels[0])
    return figure


@styled
def front_phases_figure(rows: Sequence[Row]) -> Figure:
    """n-cut of every seed (dots, joined) and of its controls (means, bars) at the ends of the phases.

    Args:
      rows: rows of `clusterability.csv` of one number of clusters and one control.
    """
    figure = new_figure(*_SIZE, "When does it become modular?")
    axes = figure.subplots()
    phases = sorted({row["phase"] for row in rows}, key=phase_rank)
    colour = METHOD_COLOURS.get(rows[0]["method"], OTHER_COLOUR)
    for seed in sorted({row["seed"] for row in rows}):
        found = sorted((row for row in rows if row["seed"] == seed), key=lambda row: phase_rank(row["phase"]))
        places = [phases.index(row["phase"]) for row in found]
        axes.plot(places, [row["ncut"] for row in found], color=INK, marker="o", markersize=4, linewidth=0.8)
    means = [np.mean([row["shuffled_mean"] for row in rows if row["phase"] == phase]) for phase in phases]
    axes.hlines(means, np.arange(len(phases)) - 0.25, np.arange(len(phases)) + 0.25, color=colour, linewidth=4)
    axes.set_xticks(range(len(phases)), phases)
    axes.set_xlim(-0.5, len(phases) - 0.5)
    axes.set_ylabel(f"n-cut, k = {rows[0]['num_clusters']}")
    axes.set_xlabel(f"dots: networks; bars: {rows[0]['method']} controls, mean", fontsize=9)
    return figure


@styled
def front_sweep_figure(rows: Sequence[Row]) -> Figure:
    """Z against the number of modules for each control, mean and range over seeds.

    Args:
      rows: rows of `clusterability.csv` of one phase, with several numbers of clusters.
    """
    figure = new_figure(*_SIZE, "For how many modules?")
    axes = figure.subplots()
    z_panel(axes, rows)
    axes.set(xlabel="number of modules k", ylabel="z (below 0: more modular)")
    axes.legend(loc="best", fontsize=8)
    return figure


def _signed_percent(share: float, _: float) -> str:
    return f"{100 * share:+.3g}%" if share else "0"
