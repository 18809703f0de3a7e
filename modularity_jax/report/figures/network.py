"""The net drawn layer by layer: every neuron a cell in its module's colour, weight as ribbons between modules."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.path import Path

from modularity_jax.report.arrays import DrawnNetwork
from modularity_jax.report.figures import modules as mod
from modularity_jax.report.figures import style
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say

_HALF_WIDTH = 0.085  # of a column, where neighbouring columns are 1 apart
_GAP = 0.008  # between two modules of a layer, where a column is 1 high
_THINNEST = 0.0004  # ribbons below this are not seen and left out
_CUT = "#9A9A9A"
_CODES = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]


def draw(run: Run) -> style.Drawings:
    """One network for each number of clusters, inputs at the left, neurons sorted and coloured by module."""
    if run.network is None:
        return
    phase_name, seed = say("phase_name", run.network.phase), run.network.seed
    for k in run.network.partitions:
        yield style.Drawn(
            _figure(run.network, k, f"{phase_name} network, seed {seed}, in {k} modules".capitalize()),
            f"The {phase_name} network of seed {seed} in {k} modules: every neuron is a cell, the stronger the "
            "darker; columns are stretched to one height.",
            "At a module's block the coloured ribbons are the share of its weight that stays inside, the grey ones the "
            "share that is cut.",
            f"_k{k}",
        )


def _figure(network: DrawnNetwork, k: int, title: str) -> Figure:
    widths, modules = network.widths, mod.rank_modules(network.partitions[k], network.widths, k)
    flows = mod.module_flows(network.kernels, modules)
    figure = style.new_figure(10, 6.4, title)
    axes = figure.subplots()
    axes.set_axis_off()
    blocks = [_blocks(modules, layer) for layer in range(len(widths))]
    for layer, flow in enumerate(flows):
        _draw_ribbons(axes, layer, flow, blocks[layer], blocks[layer + 1])
    for layer, name in enumerate(mod.layer_names(len(widths))):
        _draw_neurons(axes, layer, modules, blocks[layer], _strength(network.kernels, layer))
        axes.text(layer, 1.02, f"{name}\n{widths[layer]} neurons", ha="center", va="top", fontsize=9)
    axes.set(xlim=(-0.15, len(widths) - 0.85), ylim=(1.08, -0.01))
    cuts = mod.cut_shares(flows)
    handles = [
        Patch(color=style.module_colour(module), label=f"{module + 1}: {size} neurons, {cut:.0%} cut")
        for module, (size, cut) in enumerate(zip(modules.counts.sum(0), cuts, strict=True))
    ]
    if modules.isolated.any():
        handles.append(Patch(color=style.ISOLATED_COLOUR, label=f"{modules.isolated.sum()} isolated neurons"))
    handles.append(Patch(facecolor=_CUT, alpha=0.28, label="weight between modules"))
    title = f"n-cut {cuts.sum():.3f} = sum of cut shares"
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), title=title, title_fontsize=9)
    return figure


def _blocks(modules: mod.Modules, layer: int) -> np.ndarray:
    """Top and bottom of each module's block in a column, then of the isolated neurons', [k + 1, 2], 0 at the top."""
    counts = np.append(modules.counts[layer], modules.isolated[layer])
    gaps = np.where(counts > 0, _GAP, 0.0)
    heights = counts / counts.sum() * (1.0 - gaps.sum() + _GAP)
    bottoms = np.cumsum(heights + gaps) - gaps
    return np.stack([bottoms - heights, bottoms], axis=1)


def _strength(kernels: Sequence[np.ndarray], layer: int) -> np.ndarray:
    """The degree [d_l] of every neuron of a layer."""
    incoming = np.abs(kernels[layer - 1]).sum(0) if layer > 0 else 0
    outgoing = np.abs(kernels[layer]).sum(1) if layer < len(kernels) else 0
    return np.asarray(incoming + outgoing)


def _draw_neurons(axes: Axes, layer: int, modules: mod.Modules, blocks: np.ndarray, strength: np.ndarray) -> None:
    """Cells from the strongest neuron (full colour) down to the weakest (paler)."""
    labels, k = modules.labels[layer], len(blocks) - 1
    for block, (top, bottom) in enumerate(blocks):
        members = np.flatnonzero(labels == (block if block < k else -1))
        if not len(members):
            continue
        colour = style.module_colour(block) if block < k else style.ISOLATED_COLOUR
        relative = np.sort(strength[members])[::-1] / max(strength[members].max(), 1e-30)
        edges = np.linspace(top, bottom, len(members) + 1)
        left, right = layer - _HALF_WIDTH, layer + _HALF_WIDTH
        cells = [[(left, a), (right, a), (right, b), (left, b)] for a, b in itertools.pairwise(edges)]
        # Cells of a few pixels get a white line between them; thinner ones would only turn white.
        line = 0.5 if (bottom - top) / len(members) > 0.008 else 0.0
        white = 0.45 * (1.0 - relative) if block < k else np.zeros(len(members))
        colours = 1.0 - (1.0 - np.array(to_rgb(colour))) * (1.0 - white[:, None])
        patches = PolyCollection(cells, facecolors=colours, edgecolors="white", linewidths=line, zorder=3)
        patches.set(antialiased=line > 0, rasterized=line == 0)
        axes.add_collection(patches)
        if block < k and bottom - top > 0.024:
            middle = edges[len(members) // 2 : len(members) // 2 + 2].mean()
            style.write_on(axes, layer, float(middle), str(block + 1), colour, 9)


def _draw_ribbons(axes: Axes, layer: int, flow: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Ribbons of one gap: cut weight in grey below, kept weight in its module's colour above."""
    k = len(flow)
    starts, ends = _ports(flow, left), _ports(flow.T, right).transpose(1, 0, 2)
    paths = {
        (a, b): _ribbon(layer + _HALF_WIDTH, layer + 1 - _HALF_WIDTH, starts[a, b], ends[a, b])
        for a, b in np.ndindex(k, k)
        if max(np.ptp(starts[a, b]), np.ptp(ends[a, b])) >= _THINNEST
    }
    cut = [path for (a, b), path in paths.items() if a != b]
    kept = {a: path for (a, b), path in paths.items() if a == b}
    colours = [style.module_colour(module) for module in kept]
    axes.add_collection(PathCollection(cut, facecolors=_CUT, alpha=0.28, linewidths=0, zorder=1))
    axes.add_collection(PathCollection([*kept.values()], facecolors=colours, alpha=0.7, linewidths=0, zorder=2))


def _ports(flow: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Where on the edge of block a the ribbon to block b lies, [k, k, 2]; each edge is filled."""
    top, height = blocks[:-1, :1], np.diff(blocks[:-1])
    total = flow.sum(1, keepdims=True)
    share = np.divide(flow, total, out=np.zeros_like(flow), where=total > 0)
    lower = top + height * np.cumsum(share, axis=1)
    return np.stack([lower - height * share, lower], axis=2)


def _ribbon(x0: float, x1: float, start: np.ndarray, end: np.ndarray) -> Path:
    middle = (x0 + x1) / 2
    upper = [(x0, start[0]), (middle, start[0]), (middle, end[0]), (x1, end[0])]
    lower = [(x1, end[1]), (middle, end[1]), (middle, start[1]), (x0, start[1])]
    return Path([*upper, *lower, upper[0]], _CODES)
