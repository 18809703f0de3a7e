"""Do partitionings pick out units that matter together and specialise? p of networks, effects of sub-modules."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from modularity_jax.report.figures.style import INK, Drawings, Drawn, module_colour, new_figure
from modularity_jax.report.findings.specialisation import ALPHA
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say

STATISTICS = ("importance", "coherence", "input_coherence")


def draw(run: Run) -> Drawings:
    """A column for each statistic; above, the networks' p by partitioning; below, the sub-modules' effects."""
    if run.specialisation.empty:
        return
    most = run.specialisation["num_shuffles"].max()
    networks = run.specialisation[run.specialisation["num_shuffles"] == most]
    last = networks["phase"].max()
    networks, modules = (frame[frame["phase"] == last] for frame in (networks, run.submodules))
    places = list(networks.groupby(["graph", "scope"], observed=True, sort=False).groups)
    names = [f"{graph}\n{scope}" for graph, scope in places]
    figure = new_figure(10, 6, f"Do modules matter, and are they coherent? {say('phase_name', last)} networks")
    grid = figure.subplots(2, len(STATISTICS), sharex=True, sharey="row")
    for (above, below), statistic in zip(grid.T, STATISTICS, strict=True):
        above.set_title(statistic.replace("_", " "))
        own = networks[networks["statistic"] == statistic]
        for place, (graph, scope) in enumerate(places):
            here = (own["graph"] == graph) & (own["scope"] == scope)
            _dots(above, place, own.loc[here, "p_network"])
            here = (modules["graph"] == graph) & (modules["scope"] == scope)
            _dots(below, place, modules.loc[here, f"{statistic}_effect"], size=9)
        above.set_yscale("log")
        above.axhline(ALPHA, color=INK, linewidth=0.8, linestyle=":")
        below.axhline(1, color=INK, linewidth=0.8, linestyle=":")
        below.set_xticks(range(len(places)), names, fontsize=8)
    grid[0, 0].set_ylabel("p of a network")
    grid[1, 0].set_ylabel("effect of a sub-module")
    yield Drawn(
        figure,
        f"By partitioning, p of each network's sub-modules together against {most} controls, and each one's effect.",
        f"Below the dotted line p is at most {ALPHA:g}. An effect of 1 is what random units have, 2 the most there is; "
        "bars are medians, and sub-modules without a defined effect are left out.",
    )


def _dots(axes: Axes, place: int, values: pd.Series, size: float = 22) -> None:
    """Values side by side about their place, with their median."""
    known = values.dropna().to_numpy(float)
    if not known.size:
        return
    beside = place + 0.5 * (np.arange(known.size) % 9 - 4) / 9
    axes.scatter(beside, known, s=size, color=module_colour(place), linewidths=0, alpha=0.7)
    axes.hlines(np.median(known), place - 0.35, place + 0.35, color=INK, linewidth=1.5)
