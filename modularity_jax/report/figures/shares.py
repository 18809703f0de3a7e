"""Where the modules lie: their shares of each layer's neurons."""

import numpy as np
from matplotlib.axes import Axes

from modularity_jax.report.figures.modules import layer_names, rank_modules
from modularity_jax.report.figures.style import ISOLATED_COLOUR, Drawings, Drawn, module_colour, new_figure, write_on
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say


def draw(run: Run) -> Drawings:
    """A module's share of each layer's neurons, one panel per number of clusters."""
    if run.network is None:
        return
    phase, seed, _, partitions = run.network
    widths, phase_name = run.network.widths, say("phase_name", phase)
    title = f"Where the modules lie: share of each layer's neurons ({phase_name} network, seed {seed})"
    figure = new_figure(10, 4.6, title)
    panels = figure.subplots(1, len(partitions), squeeze=False, sharey=True)[0]
    for axes, (k, labels) in zip(panels, partitions.items(), strict=True):
        modules = rank_modules(labels, widths, k)
        _bars(axes, np.column_stack([modules.counts, modules.isolated]) / np.array(widths)[:, None])
        axes.set_title(f"k = {k}")
        names = [f"{name}\n{width}" for name, width in zip(layer_names(len(widths)), widths, strict=True)]
        axes.set_xticks(range(len(widths)), names, fontsize=8.5 if len(partitions) < 3 else 6)
        axes.set(ylim=(0, 1), xlabel="layer, with its number of neurons")
        axes.tick_params(length=0)
    panels[0].set_ylabel("share of the layer's neurons")
    yield Drawn(
        figure,
        f"Share of each layer's neurons that belongs to each module, {phase_name} network of seed {seed}; "
        "numbers and colours as in the drawings of the net.",
        "A module that runs through all layers is a part of the computation; one confined to a layer is a group of "
        "neurons.",
    )


def _bars(axes: Axes, shares: np.ndarray) -> None:
    """Stacked bars from shares [L + 1, k + 1], the isolated neurons last and on top."""
    bottom = np.zeros(len(shares))
    for module, share in enumerate(shares.T):
        isolated = module == shares.shape[1] - 1
        colour = ISOLATED_COLOUR if isolated else module_colour(module)
        axes.bar(range(len(shares)), share, 0.82, bottom, color=colour, edgecolor="white", linewidth=0.6)
        for layer in np.flatnonzero(share > 0.045):
            name, size = ("isolated", 7) if isolated else (str(module + 1), 8.5)
            write_on(axes, float(layer), float(bottom[layer] + share[layer] / 2), name, colour, size)
        bottom += share
