"""Axes with the epochs of all phases."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modularity_jax.report.figures.style import INK, module_colour


def counted_through(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose phases follow each other: one that counts its epochs from 1 again goes on where the last one ended."""
    counted: list[pd.Series] = []
    end = 0
    for _, epochs in rows.groupby("phase", observed=True)["epoch"]:
        counted.append(epochs + (end if epochs.min() <= end else 0))
        end = counted[-1].max()
    return rows.assign(epoch=pd.concat(counted))


def curve(axes: Axes, rows: pd.DataFrame, column: str, **line: Any) -> None:
    """The mean over seeds as one line through all phases, the range as a band."""
    spread = rows.groupby("epoch")[column].agg(["mean", "min", "max"]).dropna()
    if not spread.empty:
        axes.plot(spread.index, spread["mean"], linewidth=1.8, marker="o", markersize=2.5, **line)
        axes.fill_between(spread.index, spread["min"], spread["max"], color=line["color"], alpha=0.2, linewidth=0)


def ncut_curves(figure: Figure, rows: pd.DataFrame, score: str, ticks: int, **grid: Any) -> None:
    """A panel of n-cut per k, with that of the same weights shuffled where the table has it; the score under them."""
    rows = counted_through(rows)
    sizes = dict(list(rows.groupby("num_clusters")))
    panels = figure.subplots(len(sizes) + 1, 1, sharex=True, **grid)
    for axes, (k, found) in zip(panels, sizes.items(), strict=False):
        curve(axes, found, "observed", color=module_colour(0), label="network")
        if found["shuffled_mean"].notna().any():
            curve(axes, found, "shuffled_mean", color=INK, linestyle="dashed", label="its weights shuffled")
            axes.legend(loc="lower left", fontsize=8)
        axes.set_ylabel(f"n-cut, k = {k}")
    curve(panels[-1], rows, score, color=module_colour(5), label="")
    panels[-1].set(ylabel=score_in_words(score), yscale="log" if score == "test_loss" else "linear")
    mark_phases(panels, rows, ticks)


def score_in_words(score: str) -> str:
    """The column `Run.score` in words."""
    return score.replace("_", " ")


def mark_phases(panels: Sequence[Axes], rows: pd.DataFrame, ticks: int) -> None:
    """Shades the pruning phase of panels below each other, and names all phases above and the epochs below them."""
    for phase, epochs in rows.groupby("phase", observed=True)["epoch"]:
        begin, end = epochs.min(), epochs.max()
        for axes in panels if phase == "pruned" else ():
            axes.axvspan(begin - 0.5, end + 0.5, color=INK, alpha=0.06, linewidth=0)
        above = panels[0].get_xaxis_transform()
        panels[0].text((begin + end) / 2, 1.01, phase, transform=above, ha="center", va="bottom")
    for axes in panels:
        axes.margins(x=0.01)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(ticks, integer=True))


def over_seeds(rows: pd.DataFrame) -> str:
    """What a line and its band are, for a title."""
    seeds = rows["seed"].nunique()
    return f"mean and range over {seeds} seeds" if seeds > 1 else "one seed"
