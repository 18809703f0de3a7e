"""Pairs of lesions: matrices of joint and conditional tests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm

from modularity_jax.report.figures.style import INK, Drawings, Drawn, new_figure
from modularity_jax.report.figures.submodules import damaged_network
from modularity_jax.report.findings.lesions import Module, pairs_of
from modularity_jax.report.frames import Run

_TITLES = {"joint": "both damaged: change of accuracy", "conditional": "row damaged, given that the column is"}


def draw(run: Run) -> Drawings:
    """A matrix for each kind of test there is: accuracy lost by pairs, important ones marked."""
    network = damaged_network(run)
    if network is None or network.doubles.empty:
        return
    modules = list(zip(network.singles["layer"], network.singles["cluster"], strict=True))
    by_kind = dict(list(network.doubles.groupby("kind")))
    kinds = [kind for kind in _TITLES if kind in by_kind]
    figure = new_figure(10, 5.9 if len(kinds) > 1 else 8, f"Two sub-modules damaged ({network.name})")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    largest = max(100 * network.doubles["score"].abs().max(), 1)
    norm = SymLogNorm(1, linscale=0.5, vmin=-largest, vmax=largest)
    for axes, kind in zip(panels, kinds, strict=True):
        image = _matrix(axes, modules, by_kind[kind], norm, mirrored=kind == "joint")
        axes.set_title(_TITLES[kind], fontsize=10)
        if kind == "conditional":
            axes.set(xlabel="b, damaged already", ylabel="a, damaged beside it")
    bar = figure.colorbar(image, ax=panels, shrink=0.6, location="bottom", aspect=50, format="{x:g}")
    bar.set_label("percentage points; conditional: s(a | b), what damaging a adds")
    yield Drawn(
        figure,
        f"Accuracy lost by damaging two sub-modules of the {network.name}: together, and one given the other.",
        "A dot marks an important pair by the study's p, a ring one that stays so when p is corrected for all "
        "pairs. A pale row in the right-hand matrix is a sub-module that never adds to another's loss.",
    )


def _matrix(axes: Axes, modules: Sequence[Module], pairs: pd.DataFrame, norm: SymLogNorm, *, mirrored: bool) -> Any:
    """One kind's scores; a dot is important by the study's p, a ring round it also by the corrected one."""
    place = {module: index for index, module in enumerate(modules)}
    scores = np.full((len(modules), len(modules)), np.nan)
    for (a, b), row in zip(pairs_of(pairs), pairs.itertuples(), strict=True):
        i, j = place[a], place[b]
        for y, x in ((i, j), (j, i)) if mirrored else ((i, j),):
            scores[y, x] = 100 * row.score
            ink = "white" if abs(scores[y, x]) > 8 else INK  # on a dark cell
            if row.important:
                axes.plot(x, y, ".", color=ink, markersize=3)
            if row.important_adjusted:
                axes.plot(x, y, "o", color=ink, markersize=5.5, fillstyle="none", markeredgewidth=0.6)
    image = axes.imshow(scores, cmap="RdBu", norm=norm, interpolation="nearest")
    axes.grid(visible=False)
    names = [f"{layer}.{cluster}" for layer, cluster in modules]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6.5)
    axes.set_yticks(range(len(names)), names, fontsize=6.5)
    axes.tick_params(length=0)
    for border in np.flatnonzero(np.diff([layer for layer, _ in modules])):
        axes.axhline(border + 0.5, color=INK, linewidth=0.6)
        axes.axvline(border + 0.5, color=INK, linewidth=0.6)
    return image
