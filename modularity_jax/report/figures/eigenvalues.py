"""The smallest eigenvalues of the normalised Laplacian."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from modularity_jax.report.figures.style import Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run

# Of the phases in their order; the markers are nested, lest one hide the other.
_LOOKS = (("#8A8A8A", "s", 10), ("#0072B2", "^", 7), ("#D55E00", "o", 5))


def draw(run: Run) -> Drawings:
    """The most eigenvalues at hand, which hold those of smaller k: ascending, mean and range over seeds."""
    if not run.eigenvalues:
        return
    figure = new_figure(10, 4.4, "Smallest eigenvalues of the graph's normalised Laplacian")
    axes = figure.subplots()
    for place, (phase, eigenvalues) in enumerate(run.eigenvalues.items()):
        laplacian = 1.0 - eigenvalues
        seeds, k = laplacian.shape
        index = np.arange(1, k + 1)
        label = f"{phase} ({seeds} seed{'s' if seeds > 1 else ''})"
        colour, marker, size = _LOOKS[min(place, len(_LOOKS) - 1)]
        axes.plot(index, laplacian.mean(0), color=colour, marker=marker, markersize=size, label=label)
        axes.fill_between(index, laplacian.min(0), laplacian.max(0), color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="index i, from the smallest", ylabel="eigenvalue of the Laplacian (0 to 2)")
    axes.set_ylim(bottom=-0.02)
    axes.xaxis.set_major_locator(MaxNLocator(16, integer=True))
    axes.legend(loc="lower right")
    yield Drawn(
        figure,
        f"The {k} smallest eigenvalues of the normalised Laplacian per phase, mean and range over seeds.",
        "The first k of them add up to the lower bound on the n-cut into k modules; the nearer to 0, the more "
        "nearly the graph falls apart.",
    )
