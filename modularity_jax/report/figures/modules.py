"""Modules across layers: ranks, sizes, the weight that flows between them, and the figure of their shares."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_jax.report.figures.style import ISOLATED_COLOUR, module_colour, new_figure, styled, write_on


class Modules(NamedTuple):
    """One network's partition, modules ranked by depth (0 lies nearest the inputs)."""

    labels: list[np.ndarray]  # L + 1 arrays [d_l], -1 where isolated
    counts: np.ndarray  # [L + 1, k] neurons per layer and module
    isolated: np.ndarray  # [L + 1] neurons without an edge


def rank_modules(labels: np.ndarray, widths: Sequence[int], num_clusters: int) -> Modules:
    """Splits labels into layers and renumbers modules by the mean layer of their neurons, inputs first.

    That order lets few ribbons cross where modules follow one another through the net.

    Args:
      labels: [N] label per vertex, numbered layer after layer; -1 where isolated.
      widths: neurons per layer, N in all.
      num_clusters: k.

    Returns:
      The ranked modules.

    Raises:
      ValueError: if the labels are not one per neuron.
    """
    if len(labels) != sum(widths):
        raise ValueError(f"labels must be one per neuron: {sum(widths)} neurons, got {len(labels)} labels")
    connected = labels >= 0
    layer = np.repeat(np.arange(len(widths)), widths)
    sizes = np.bincount(labels[connected], minlength=num_clusters)
    depths = np.bincount(labels[connected], layer[connected], num_clusters) / np.maximum(sizes, 1)
    rank = np.empty(num_clusters, dtype=int)
    rank[np.argsort(depths, kind="stable")] = np.arange(num_clusters)
    ranked = np.where(connected, rank[labels], -1)
    layers = np.split(ranked, np.cumsum(widths)[:-1])
    counts = np.array([np.bincount(part[part >= 0], minlength=num_clusters) for part in layers])
    return Modules(layers, counts, np.array([np.sum(part < 0) for part in layers]))


def module_flows(kernels: Sequence[np.ndarray], modules: Modules) -> list[np.ndarray]:
    """The total |weight| from each module of a layer to each module of the next.

    Args:
      kernels: L arrays [d_{l-1}, d_l].
      modules: what `rank_modules` returned.

    Returns:
      L arrays [k, k].
    """
    k = modules.counts.shape[1]
    members = [(labels[:, None] == np.arange(k)).astype(np.float64) for labels in modules.labels]
    return [members[i].T @ np.abs(kernel) @ members[i + 1] for i, kernel in enumerate(kernels)]


def cut_shares(flows: Sequence[np.ndarray]) -> np.ndarray:
    """Each module's term cut / vol of the n-cut, [k]; 0 for a module without weight."""
    volume = sum(flow.sum(0) + flow.sum(1) for flow in flows)
    kept = sum(2.0 * np.diag(flow) for flow in flows)
    return np.divide(volume - kept, volume, out=np.zeros_like(volume), where=volume > 0)


def layer_names(num_layers: int) -> list[str]:
    """Names of a network's layers of neurons, inputs and outputs included."""
    return ["inputs", *(f"hidden {i}" for i in range(1, num_layers - 1)), "outputs"]


@styled
def shares_figure(partitions: Mapping[int, np.ndarray], widths: Sequence[int], *, network: str) -> Figure:
    """A module's share of each layer's neurons, one panel per number of clusters.

    Args:
      partitions: labels [N] per number of clusters.
      widths: neurons per layer.
      network: which network it is, for the title.

    Returns:
      The figure.
    """
    figure = new_figure(10, 4.6, f"Where the modules lie: share of each layer's neurons ({network})")
    panels = figure.subplots(1, len(partitions), squeeze=False, sharey=True)[0]
    for axes, (k, labels) in zip(panels, sorted(partitions.items()), strict=True):
        modules = rank_modules(labels, widths, k)
        _bars(axes, np.column_stack([modules.counts, modules.isolated]) / np.array(widths)[:, None])
        axes.set_title(f"k = {k}")
        names = layer_names(len(widths))
        size = 8.5 if len(partitions) < 3 else 6
        axes.set_xticks(range(len(widths)), [f"{n}\n{w}" for n, w in zip(names, widths, strict=True)], fontsize=size)
        axes.set(ylim=(0, 1), xlabel="layer, with its number of neurons")
        axes.tick_params(length=0)
    panels[0].set_ylabel("share of the layer's neurons")
    return figure


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
