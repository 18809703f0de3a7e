"""Accuracy on each class with one sub-module damaged."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from modularity_jax.report.figures import submodules as sub
from modularity_jax.report.figures.style import INK, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """Accuracy on each class with each sub-module damaged, and the range of its controls; panels by layer."""
    network = sub.damaged_network(run)
    if network is None or "single/control_accuracy_by_class" not in network.arrays:
        return
    controls = network.arrays["single/control_accuracy_by_class"]  # [R, M, C], in the order of the rows
    layers = [found for _, found in network.singles.groupby("layer")]
    across, classes = max(map(len, layers)), controls.shape[2]
    title = f"Accuracy on each class with one sub-module damaged ({network.name})"
    figure = new_figure(10, 1.1 + 1.45 * len(layers), title)
    grid = figure.subplots(len(layers), across, sharex=True, sharey=True, squeeze=False)
    for panels, found in zip(grid, layers, strict=True):
        for axes, row in zip(panels, found.itertuples(), strict=False):
            _panel(axes, row, controls[:, row.Index])
        for axes in panels[len(found) :]:
            axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xticks(range(0, classes, 3 if across > 5 else 1))
    figure.supxlabel("class", fontsize=10)
    figure.supylabel("accuracy on the class", fontsize=10)
    yield Drawn(
        figure,
        f"Accuracy on each class with one sub-module of the {network.name} damaged: the sub-module (dot) and "
        "the range of its controls (bar).",
        "A red dot lies below all controls: the sub-module serves that class. Titles give layer.cluster and "
        "the number of neurons, in orange where the sub-module is important.",
    )


def _panel(axes: Axes, row: Any, controls: np.ndarray) -> None:
    """One sub-module: bars from the least to the largest of the controls, a dot for itself; red below all of them."""
    classes = range(controls.shape[1])
    low, high = controls.min(axis=0), controls.max(axis=0)
    own = np.array([getattr(row, f"accuracy_{c}") for c in classes], dtype=float)
    axes.vlines(classes, low, high, color=sub.CONTROL_COLOUR, linewidth=4)
    colours = ["#D55E00" if below else INK for below in own < low]
    axes.scatter(classes, own, s=9, color=colours, zorder=3, linewidths=0)
    ink = sub.TAXONOMY_COLOURS["important"] if row.taxonomy == "important" else INK
    axes.set_title(f"{row.layer}.{row.cluster} ({row.num_units})", fontsize=8, color=ink, pad=3)
    axes.set_ylim(-0.05, 1.05)
    axes.tick_params(labelsize=7, length=2)
