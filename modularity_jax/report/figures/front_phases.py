"""At the front, where no curve was noted: n-cut at the ends of the phases."""

import numpy as np

from modularity_jax.report.figures.style import FRONT_SIZE, INK, Drawings, Drawn, method_colour, new_figure
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say


def draw(run: Run) -> Drawings:
    """n-cut of every seed (dots, joined) and of its controls (means, bars) at the ends of the phases."""
    tests, k, method = run.leading(run.tests, "num_clusters", "method"), run.lead.num_clusters, run.lead.method
    if (run.learning_curve["num_clusters"] == k).any() or tests["phase"].nunique() < 2:
        return
    figure = new_figure(*FRONT_SIZE, "When does it become modular?")
    axes = figure.subplots()
    means = tests.groupby("phase", observed=True)["shuffled_mean"].mean()
    phases = list(means.index)
    for _, found in tests.sort_values("phase").groupby("seed"):
        places = [phases.index(phase) for phase in found["phase"]]
        axes.plot(places, found["observed"], color=INK, marker="o", markersize=4, linewidth=0.8)
    centres = np.arange(len(phases))
    axes.hlines(means, centres - 0.25, centres + 0.25, color=method_colour(method), linewidth=4)
    axes.set_xticks(range(len(phases)), phases)
    axes.set(xlim=(-0.5, len(phases) - 0.5), ylabel=f"n-cut, k = {k}")
    axes.set_xlabel(f"dots: networks; bars: {method} controls, mean", fontsize=9)
    yield Drawn(
        figure,
        f"n-cut at k = {k} of every network at the end of each phase, and the mean of {say('control_name', method)}.",
        "Where the dots lie under the bar, the networks are more modular than their shuffled weights.",
    )
