"""Single lesions: each sub-module of one network against random sets of neurons of its size."""

import numpy as np
from matplotlib.patches import Patch

from modularity_jax.report.figures import submodules as sub
from modularity_jax.report.figures.style import INK, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """Change of accuracy with each sub-module damaged, and that of its controls; a panel per hidden layer."""
    network = sub.damaged_network(run)
    if network is None or "single/control_accuracy" not in network.arrays:
        return
    singles, undamaged = network.singles, float(network.arrays["single/undamaged"])
    change = 100 * (network.arrays["single/control_accuracy"] - undamaged)  # [R, M], columns in the order of the rows
    layers = dict(list(singles.groupby("layer")))
    figure = new_figure(10, 4.8, f"Accuracy lost with one sub-module damaged ({network.name})")
    widths = [len(found) for found in layers.values()]
    panels = figure.subplots(1, len(layers), sharey=True, squeeze=False, width_ratios=widths)[0]
    rng = np.random.default_rng(0)  # of the jitter only
    for axes, (layer, found) in zip(panels, layers.items(), strict=True):
        for place, row in enumerate(found.itertuples()):
            controls, colour = change[:, row.Index], sub.colour_of(row.taxonomy)
            jitter = rng.uniform(-0.3, 0.3, len(controls))
            axes.scatter(place + jitter, controls, s=5, color=sub.CONTROL_COLOUR, linewidths=0)
            axes.scatter(place, 100 * row.diff, s=42, color=colour, edgecolors=INK, linewidths=0.7, zorder=3)
        names = [f"{layer}.{row.cluster}\n{row.num_units}" for row in found.itertuples()]
        axes.set_xticks(range(len(found)), names, fontsize=7.5)
        axes.set(title=f"hidden {layer}", xlim=(-0.6, len(found) - 0.4))
        axes.tick_params(axis="x", length=0)
        sub.lost_points(axes)
    panels[0].set_ylabel("change of test accuracy (percentage points)")
    panels[0].set_xlabel("sub-module as layer.cluster, with its number of neurons", loc="left")
    controls_handle = Patch(color=sub.CONTROL_COLOUR, label="controls: as many random neurons of the layer")
    handles = [*sub.taxonomy_legend(singles["taxonomy"]), controls_handle]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    yield Drawn(
        figure,
        f"Test accuracy of the {network.name} with each sub-module damaged (large dot) and with as many random "
        "neurons of its layer damaged (small dots).",
        "A large dot far below its cloud marks neurons that matter more than others of their layer; below the "
        "dotted line more than one point is lost. The scale is linear up to one point and logarithmic beyond.",
    )
