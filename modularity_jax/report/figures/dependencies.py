"""The graph of which important sub-module needs which other."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from modularity_jax.report.figures.style import Drawings, Drawn, new_figure
from modularity_jax.report.figures.submodules import TAXONOMY_COLOURS, damaged_network
from modularity_jax.report.findings.lesions import Module, important_modules, pairs_of
from modularity_jax.report.frames import Run

_ONE_WAY, _BOTH_WAYS, _UNIMPORTANT = "#0072B2", "#882255", "#DDDDDD"


def draw(run: Run) -> Drawings:
    """Sub-modules layer by layer; an arrow from each to what it needs in order to matter."""
    network = damaged_network(run)
    if network is None or not important_modules(network.singles) or "conditional" not in set(network.doubles["kind"]):
        return
    figure = new_figure(10, 5.2, f"Which important sub-module needs which other ({network.name})")
    axes = figure.subplots()
    axes.set_axis_off()
    places = _draw_modules(axes, network.singles)
    found = edges(network.singles, network.doubles)
    if not found:
        note = "no arrow: none of the important sub-modules loses its importance with another of a different layer"
        axes.text(0.5, 0.0, note, transform=axes.transAxes, ha="center", fontsize=9)
    for module, needs in found:
        mutual = (needs, module) in found
        if mutual and module > needs:
            continue  # drawn once, with two heads
        far = abs(module[0] - needs[0]) > 1  # an arc, lest it run through what lies between
        heads, colour = ("<|-|>", _BOTH_WAYS) if mutual else ("-|>", _ONE_WAY)
        arrow = FancyArrowPatch(places[module], places[needs], mutation_scale=10, shrinkA=12, shrinkB=12)
        arrow.set(arrowstyle=heads, color=colour, alpha=0.75, linewidth=1.1, zorder=2)
        arrow.set_connectionstyle(f"arc3,rad={0.18 if far else 0.0}")
        axes.add_patch(arrow)
    disc: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 8}
    handles = [
        Line2D([], [], color=TAXONOMY_COLOURS["important"], label="important, with points lost", **disc),
        Line2D([], [], color=_UNIMPORTANT, label="not important", **disc),
        Line2D([], [], color=_ONE_WAY, marker=">", label="from a to b: once b is gone, a no longer matters"),
        Line2D([], [], color=_BOTH_WAYS, marker="D", markersize=4, label="either way"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    yield Drawn(
        figure,
        f"The dependency graph of the {network.name}: important sub-modules, and an arrow from a to b where a "
        "is no longer important once b is damaged.",
        "Arrows between layers suggest a path along which one sub-module works through another.",
    )


def edges(singles: pd.DataFrame, doubles: pd.DataFrame) -> list[tuple[Module, Module]]:
    """Among a network's pairs of important sub-modules in different layers, those a, b with a not important given b."""
    across = (doubles["kind"] == "conditional") & (doubles["layer_a"] != doubles["layer_b"])
    important, needing = important_modules(singles), pairs_of(doubles[across & ~doubles["important"]])
    return sorted(pair for pair in needing if important.issuperset(pair))


def _draw_modules(axes: Axes, singles: pd.DataFrame) -> dict[Module, tuple[float, float]]:
    """Discs whose area follows the number of neurons; where each one is."""
    places = {}
    layers = dict(list(singles.groupby("layer")))
    for column, (layer, found) in enumerate(layers.items()):
        axes.text(column, -0.09, f"hidden {layer}", ha="center", va="center", weight="bold")
        for index, row in enumerate(found.itertuples()):
            place = float(column), (index + 0.5) / len(found)
            places[layer, row.cluster] = place
            important = row.taxonomy == "important"
            colour = TAXONOMY_COLOURS["important"] if important else _UNIMPORTANT
            axes.scatter(*place, s=120 + 4 * row.num_units, color=colour, zorder=3, linewidths=0)
            axes.text(*place, f"{layer}.{row.cluster}", ha="center", va="center", fontsize=7.5, zorder=4)
            if important:
                axes.text(place[0], place[1] + 0.045, f"{100 * row.diff:.1f}", ha="center", va="top", fontsize=7)
    axes.set(xlim=(-0.4, len(layers) - 0.6), ylim=(1.04, -0.14))
    return places
