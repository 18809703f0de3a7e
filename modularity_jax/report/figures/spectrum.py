"""The smallest eigenvalues of the normalised Laplacian."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modularity_jax.report.figures.style import OTHER_COLOUR, PHASE_COLOURS, new_figure, styled
from modularity_jax.report.findings import phase_rank

_MARKERS = {"init": ("s", 10), "unpruned": ("^", 7), "pruned": ("o", 5)}  # nested, lest one hide the other


@styled
def spectrum_figure(eigenvalues: Mapping[str, np.ndarray]) -> Figure:
    """The eigenvalues of the Laplacian, ascending, mean and range over seeds.

    Args:
      eigenvalues: per phase [S, k], of the normalised adjacency, descending.

    Returns:
      The figure.
    """
    figure = new_figure(10, 4.4, "Smallest eigenvalues of the graph's normalised Laplacian")
    axes = figure.subplots()
    for phase in sorted(eigenvalues, key=phase_rank):
        laplacian = 1.0 - eigenvalues[phase]
        index = np.arange(1, laplacian.shape[1] + 1)
        colour = PHASE_COLOURS.get(phase, OTHER_COLOUR)
        seeds = len(laplacian)
        label = f"{phase} ({seeds} seed{'s' if seeds > 1 else ''})"
        marker, size = _MARKERS.get(phase, ("D", 5))
        axes.plot(index, laplacian.mean(0), color=colour, marker=marker, markersize=size, label=label)
        axes.fill_between(index, laplacian.min(0), laplacian.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="index i, from the smallest", ylabel="eigenvalue of the Laplacian (0 to 2)")
    axes.set_ylim(bottom=-0.02)
    axes.xaxis.set_major_locator(MaxNLocator(16, integer=True))
    axes.legend(loc="lower right")
    return figure
