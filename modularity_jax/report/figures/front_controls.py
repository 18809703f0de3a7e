"""At the front: networks against their controls."""

import numpy as np

from modularity_jax.report.figures.controls import method_ticks, violin
from modularity_jax.report.figures.style import FRONT_SIZE, INK, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say


def draw(run: Run) -> Drawings:
    """Per control: each seed's n-cut as a share of its own controls' mean (dots), and the controls' (violin)."""
    tests = run.leading(run.controlled, "phase", "num_clusters")
    if tests.empty:
        return
    figure = new_figure(*FRONT_SIZE, "Below its shuffled weights?")
    axes = figure.subplots()
    groups = dict(list(tests.groupby("method", observed=True)))
    for place, (method, found) in enumerate(groups.items()):
        controls = list(found["controls"])
        means = np.array([each.mean() for each in controls])
        # Where all controls fall apart their n-cuts are 0, and there is no share of them.
        units = np.where(means == 0, 1, means)
        pairs = zip(controls, means, units, strict=True)
        violin(axes, [np.concatenate([(each - mean) / unit for each, mean, unit in pairs])], [place], 0.8, method)
        spread = np.linspace(-0.25, 0.25, len(found)) if len(found) > 1 else np.zeros(1)
        shares = (found["observed"].to_numpy() - means) / units
        axes.scatter(place + spread, shares, s=24, color=INK, edgecolors="white", linewidths=0.6, zorder=3)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:+.3g}%" if share else "0")
    method_ticks(axes, list(groups), 9 if len(groups) < 5 else 7)
    axes.set_ylabel("n-cut against the controls' mean")
    axes.set_xlabel("how the weights were shuffled", fontsize=9)
    yield Drawn(
        figure,
        f"n-cut of the {say('phase_name', run.lead.phase)} networks (dots, one per seed) and of their shuffled weights "
        f"(violins), k = {run.lead.num_clusters}, relative to each network's own controls.",
        "Dots under the violin are networks more modular than chance.",
    )
