"""Pairs of lesions: matrices of joint and conditional tests, and the graph of what depends on what."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from modularity_jax.report.figures.lesions import TAXONOMY_COLOURS, module_name
from modularity_jax.report.figures.style import INK, bare, new_figure, styled

Row = Mapping[str, Any]
Module = tuple[int, int]  # hidden layer and cluster

_TITLES = {"joint": "both damaged: change of accuracy", "conditional": "row damaged, given that the column is"}
_ONE_WAY, _BOTH_WAYS = "#0072B2", "#882255"
_DARK = 8  # percentage points beyond which a cell is too dark for black marks


class Dependence(NamedTuple):
    """A sub-module whose importance is used up once another is damaged."""

    module: Module
    needs: Module
    mutual: bool


def dependencies(singles: Sequence[Row], doubles: Sequence[Row]) -> list[Dependence]:
    """Edges of the dependency graph of one network.

    Among pairs of important sub-modules in different layers, those a, b with a not important given b.

    Args:
      singles: rows of `lesions.csv`.
      doubles: rows of `double_lesions.csv`; the conditional ones count.
    """
    important = {(row["layer"], row["cluster"]) for row in singles if row["taxonomy"] == "important"}
    found = set()
    for row in doubles:
        a, b = _pair(row)
        apart = row["kind"] == "conditional" and a[0] != b[0]
        if apart and {a, b} <= important and not row["important"]:
            found.add((a, b))
    return [Dependence(a, b, (b, a) in found) for a, b in sorted(found)]


@styled
def lesion_pairs_figure(singles: Sequence[Row], doubles: Sequence[Row], *, network: str) -> Figure:
    """A matrix for each kind of test there is: accuracy lost by pairs, important ones marked.

    Args:
      singles: rows of `lesions.csv` of one network.
      doubles: rows of `double_lesions.csv` of the same network.
      network: which network it is, for the title.
    """
    modules = [(row["layer"], row["cluster"]) for row in singles]
    kinds = [kind for kind in _TITLES if any(row["kind"] == kind for row in doubles)]
    figure = new_figure(10, 5.9 if len(kinds) > 1 else 8, f"Two sub-modules damaged ({network})")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    largest = max((100 * abs(row["score"]) for row in doubles), default=1.0)
    norm = SymLogNorm(1, linscale=0.5, vmin=-max(largest, 1), vmax=max(largest, 1))
    for axes, kind in zip(panels, kinds, strict=True):
        rows = [row for row in doubles if row["kind"] == kind]
        image = _matrix(axes, modules, rows, norm, mirrored=kind == "joint")
        axes.set_title(_TITLES[kind], fontsize=10)
        if kind == "conditional":
            axes.set(xlabel="b, damaged already", ylabel="a, damaged beside it")
    bar = figure.colorbar(image, ax=panels, shrink=0.6, location="bottom", aspect=50, format="{x:g}")
    bar.set_label("percentage points; conditional: s(a | b), what damaging a adds")
    return figure


def _matrix(axes: Axes, modules: Sequence[Module], rows: Sequence[Row], norm: SymLogNorm, *, mirrored: bool) -> Any:
    """One kind's scores; a dot is important by the study's p, a ring round it also by the corrected one."""
    place = {module: index for index, module in enumerate(modules)}
    scores = np.full((len(modules), len(modules)), np.nan)
    for row in rows:
        spots = [tuple(place[module] for module in _pair(row))]
        spots += [spots[0][::-1]] if mirrored else []
        for i, j in spots:
            scores[i, j] = 100 * row["score"]
            ink = "white" if abs(scores[i, j]) > _DARK else INK
            if row["important"]:
                axes.plot(j, i, ".", color=ink, markersize=3)
            if row["important_adjusted"]:
                axes.plot(j, i, "o", color=ink, markersize=5.5, fillstyle="none", markeredgewidth=0.6)
    image = axes.imshow(scores, cmap="RdBu", norm=norm, interpolation="nearest")
    axes.grid(visible=False)
    names = [module_name(*module) for module in modules]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6.5)
    axes.set_yticks(range(len(names)), names, fontsize=6.5)
    axes.tick_params(length=0)
    for border in np.flatnonzero(np.diff([layer for layer, _ in modules])):
        axes.axhline(border + 0.5, color=INK, linewidth=0.6)
        axes.axvline(border + 0.5, color=INK, linewidth=0.6)
    return image


@styled
def dependency_figure(singles: Sequence[Row], doubles: Sequence[Row], *, network: str) -> Figure:
    """Sub-modules layer by layer; an arrow from each to what it needs in order to matter.

    Args:
      singles: rows of `lesions.csv` of one network.
      doubles: rows of `double_lesions.csv` of the same network.
      network: which network it is, for the title.
    """
    figure = new_figure(10, 5.2, f"Which important sub-module needs which other ({network})")
    axes = figure.subplots()
    bare(axes)
    places = _draw_modules(axes, singles)
    edges = dependencies(singles, doubles)
    if not edges:
        note = "no arrow: none of the important sub-modules loses its importance with another of a different layer"
        axes.text(0.5, 0.0, note, transform=axes.transAxes, ha="center", fontsize=9)
    for edge in edges:
        if edge.mutual and edge.module > edge.needs:
            continue  # drawn once, with two heads
        colour = _BOTH_WAYS if edge.mutual else _ONE_WAY
        start, end = places[edge.module], places[edge.needs]
        far = abs(edge.module[0] - edge.needs[0]) > 1  # an arc, lest it run through what lies between
        arrow = FancyArrowPatch(
            start,
            end,
            arrowstyle="<|-|>" if edge.mutual else "-|>",
            connectionstyle=f"arc3,rad={0.18 if far else 0.0}",
            color=colour,
            alpha=0.75,
            mutation_scale=10,
            shrinkA=12,
            shrinkB=12,
            linewidth=1.1,
            zorder=2,
        )
        axes.add_patch(arrow)
    figure.legend(handles=_dependency_handles(), loc="outside lower center", ncols=4)
    return figure


def _draw_modules(axes: Axes, singles: Sequence[Row]) -> dict[Module, tuple[float, float]]:
    """Discs whose area follows the number of neurons; where each one is."""
    layers = sorted({row["layer"] for row in singles})
    places = {}
    for column, layer in enumerate(layers):
        found = [row for row in singles if row["layer"] == layer]
        axes.text(column, -0.09, f"hidden {layer}", ha="center", va="center", weight="bold")
        for index, row in enumerate(found):
            place = float(column), (index + 0.5) / len(found)
            places[layer, row["cluster"]] = place
            important = row["taxonomy"] == "important"
            colour = TAXONOMY_COLOURS["important"] if important else "#DDDDDD"
            axes.scatter(*place, s=120 + 4 * row["num_units"], color=colour, zorder=3, linewidths=0)
            axes.text(*place, module_name(layer, row["cluster"]), ha="center", va="center", fontsize=7.5, zorder=4)
            if important:
                axes.text(place[0], place[1] + 0.045, f"{100 * row['diff']:.1f}", ha="center", va="top", fontsize=7)
    axes.set(xlim=(-0.4, len(layers) - 0.6), ylim=(1.04, -0.14))
    return places


def _dependency_handles() -> list[Line2D]:
    disc = {"marker": "o", "linestyle": "", "markersize": 8}
    return [
        Line2D([], [], color=TAXONOMY_COLOURS["important"], label="important, with points lost", **disc),  # type: ignore[arg-type]
        Line2D([], [], color="#DDDDDD", label="not important", **disc),  # type: ignore[arg-type]
        Line2D([], [], color=_ONE_WAY, marker=">", label="from a to b: once b is gone, a no longer matters"),
        Line2D([], [], color=_BOTH_WAYS, marker="D", markersize=4, label="either way"),
    ]


def _pair(row: Row) -> tuple[Module, Module]:
    return (row["layer_a"], row["cluster_a"]), (row["layer_b"], row["cluster_b"])
