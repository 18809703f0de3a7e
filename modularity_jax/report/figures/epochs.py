"""Axes with the epochs of all phases."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from modularity_jax.report.figures.style import INK


def phase_starts(rows: pd.DataFrame) -> dict[str, int]:
    """The epoch before each phase: a phase that counts its epochs from 1 again follows the one before."""
    starts: dict[str, int] = {}
    end = 0
    for phase, epochs in rows.groupby("phase", observed=True)["epoch"]:
        starts[phase] = end if epochs.min() <= end else 0
        end = starts[phase] + int(epochs.max())
    return starts


def curve(axes: Axes, rows: pd.DataFrame, starts: Mapping[str, int], column: str, **line: Any) -> None:
    """The mean over seeds as one line through all phases, the range as a band."""
    epochs = rows["phase"].map(starts).astype(int) + rows["epoch"]
    spread = rows[column].groupby(epochs).agg(["mean", "min", "max"]).dropna()
    if not spread.empty:
        axes.plot(spread.index, spread["mean"], linewidth=1.8, marker="o", markersize=2.5, **line)
        axes.fill_between(spread.index, spread["min"], spread["max"], color=line["color"], alpha=0.2, linewidth=0)


def with_controls(axes: Axes, rows: pd.DataFrame, starts: Mapping[str, int], color: Any) -> None:
    """n-cut, and that of the same weights shuffled where the table has it."""
    curve(axes, rows, starts, "observed", color=color, label="network")
    if rows["shuffled_mean"].notna().any():
        curve(axes, rows, starts, "shuffled_mean", color=INK, linestyle="dashed", label="its weights shuffled")
        axes.legend(loc="lower left", fontsize=8)


def finish(panels: Sequence[Axes], rows: pd.DataFrame, starts: Mapping[str, int], ticks: int) -> None:
    """Shades the pruning phase of panels below each other, and names all phases above and the epochs below them."""
    for phase, epochs in rows.groupby("phase", observed=True)["epoch"]:
        begin, end = starts[phase] + epochs.min(), starts[phase] + epochs.max()
        for axes in panels if phase == "pruned" else ():
            axes.axvspan(begin - 0.5, end + 0.5, color=INK, alpha=0.06, linewidth=0)
        place: dict[str, Any] = {"transform": panels[0].get_xaxis_transform(), "ha": "center", "va": "bottom"}
        panels[0].text((begin + end) / 2, 1.01, phase, **place)
    for axes in panels:
        axes.margins(x=0.01)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(ticks, integer=True))


def over_seeds(rows: pd.DataFrame) -> str:
    """What a line and its band are, for a title."""
    seeds = rows["seed"].nunique()
    return f"mean and range over {seeds} seeds" if seeds > 1 else "one seed"
