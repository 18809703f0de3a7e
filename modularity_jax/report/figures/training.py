"""Loss, accuracy and sparsity against epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from modularity_jax.report.figures.style import INK, new_figure, styled
from modularity_jax.report.findings import phase_rank

_TRAIN, _TEST = "#0072B2", "#D55E00"


@styled
def training_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss and accuracy on both sets and the sparsity, mean and range over seeds; the pruning phase is shaded.

    Args:
      rows: rows of `metrics.csv`.

    Returns:
      The figure.
    """
    starts = phase_starts(rows)
    seeds = len({row["seed"] for row in rows})
    over = f"mean and range over {seeds} seeds" if seeds > 1 else "one seed"
    figure = new_figure(10, 6.6, f"Training and pruning ({over})")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.3))
    for axes, measure in zip(panels[:2], ("loss", "accuracy"), strict=True):
        for part, colour, dashes in (("train", _TRAIN, "--"), ("test", _TEST, "-")):
            curve(axes, rows, starts, f"{part}_{measure}", color=colour, linestyle=dashes, label=f"{part} set")
    panels[0].set(ylabel="cross-entropy (nats)", yscale="log")
    low, high = panels[0].get_ylim()
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    panels[0].legend(loc="upper right", ncols=2)
    panels[1].set(ylabel="accuracy (fraction right)")
    curve(panels[2], rows, starts, "sparsity", color=INK, label="")
    panels[2].set(ylabel="sparsity", xlabel="epoch", ylim=(-0.05, 1.05))
    panels[2].xaxis.set_major_locator(MaxNLocator(12, integer=True))
    for axes in panels:
        mark_phases(axes, rows, starts, named=axes is panels[0])
    return figure


def phase_starts(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The epoch before each phase: a phase that counts its epochs from 1 again follows the one before."""
    starts: dict[str, int] = {}
    end = 0
    for phase in sorted({row["phase"] for row in rows}, key=phase_rank):
        epochs = [row["epoch"] for row in rows if row["phase"] == phase]
        starts[phase] = end if min(epochs) <= end else 0
        end = starts[phase] + max(epochs)
    return starts


def curve(axes: Axes, rows: Sequence[Mapping[str, Any]], starts: Mapping[str, int], column: str, **line: Any) -> None:
    """The mean over seeds as one line through all phases, the range as a band."""
    by_epoch: dict[int, list[float]] = {}
    for row in rows:
        if row.get(column) is not None:
            by_epoch.setdefault(starts[row["phase"]] + row["epoch"], []).append(row[column])
    epochs = sorted(by_epoch)
    if not epochs:
        return
    axes.plot(epochs, [float(np.mean(by_epoch[e])) for e in epochs], linewidth=1.8, marker="o", markersize=2.5, **line)
    low, high = [min(by_epoch[e]) for e in epochs], [max(by_epoch[e]) for e in epochs]
    axes.fill_between(epochs, low, high, color=line["color"], alpha=0.2, linewidth=0)


def mark_phases(axes: Axes, rows: Sequence[Mapping[str, Any]], starts: Mapping[str, int], *, named: bool) -> None:
    """Shade the pruning phase, and name all phases above the axes where asked for."""
    for phase, start in starts.items():
        end = start + max(row["epoch"] for row in rows if row["phase"] == phase)
        begin = start + min(row["epoch"] for row in rows if row["phase"] == phase)
        if phase == "pruned":
            axes.axvspan(begin - 0.5, end + 0.5, color=INK, alpha=0.06, linewidth=0)
        if named:
            place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            axes.text((begin + end) / 2, 1.01, phase, **place)
    axes.margins(x=0.01)
