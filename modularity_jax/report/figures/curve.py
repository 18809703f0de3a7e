"""n-cut along training, with accuracy beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modularity_jax.report.figures.style import module_colour, new_figure, styled
from modularity_jax.report.figures.training import curve, mark_phases, phase_starts


@styled
def learning_curve_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """n-cut per number of clusters and test accuracy against the epoch, mean and range over seeds; pruning is shaded.

    Args:
      rows: rows of `learning_curve.csv`.
    """
    sizes = sorted({row["num_clusters"] for row in rows})
    starts = phase_starts(rows)
    seeds = len({row["seed"] for row in rows})
    over = f"mean and range over {seeds} seeds" if seeds > 1 else "one seed"
    figure = new_figure(10, 2.2 + 2.4 * len(sizes), f"n-cut along training and pruning ({over})")
    panels = figure.subplots(len(sizes) + 1, 1, sharex=True)
    for axes, k in zip(panels, sizes, strict=False):
        found = [row for row in rows if row["num_clusters"] == k]
        curve(axes, found, starts, "ncut", color=module_colour(0), label=f"k = {k}")
        axes.set(ylabel=f"n-cut, k = {k}")
    curve(panels[-1], rows, starts, "test_accuracy", color=module_colour(5), label="")
    panels[-1].set(ylabel="test accuracy", xlabel="epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))
    for axes in panels:
        mark_phases(axes, rows, starts, named=axes is panels[0])
    return figure
