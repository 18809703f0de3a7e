"""All figures of a workdir, from its plain files to `figures/<name>.png` and `.svg`."""

import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from modularity_jax.report.figures.controls import controls_figure
from modularity_jax.report.figures.curve import learning_curve_figure
from modularity_jax.report.figures.drawn import Drawn, holds
from modularity_jax.report.figures.front_drawings import front_drawings
from modularity_jax.report.figures.k_sweep import k_sweep_figure
from modularity_jax.report.figures.lesion_drawings import lesion_drawings
from modularity_jax.report.figures.modules import shares_figure
from modularity_jax.report.figures.network import network_figure
from modularity_jax.report.figures.spectrum import spectrum_figure
from modularity_jax.report.figures.style import save
from modularity_jax.report.figures.training import training_figure
from modularity_jax.report.findings import COLUMNS, phase_name, phase_rank
from modularity_jax.runs.cluster_files import Group, read_clusters, shuffled_ncuts, with_p
from modularity_jax.runs.tables import Row, read_arrays, read_table


class FigureFile(NamedTuple):
    """A saved figure and what a report says under it."""

    name: str
    png: pathlib.Path
    svg: pathlib.Path
    caption: str  # what it shows
    reading: str  # one sentence on how to read it


def write_figures(workdir: str | os.PathLike[str]) -> list[FigureFile]:
    """Draws what the workdir's files allow; a phase without its files is left out.

    Args:
      workdir: a run's directory with at least `clusterability.csv`.

    Returns:
      The saved figures, in the order of a report.

    Raises:
      FileNotFoundError: if `clusterability.csv` is missing.
      ValueError: if a file is damaged.
    """
    workdir = pathlib.Path(workdir)
    rows = with_p(read_table(workdir, "clusterability.csv", COLUMNS))
    written = []
    for drawn in _draw_all(workdir, rows):
        png, svg = save(drawn.figure, workdir / "figures" / drawn.name)
        written.append(FigureFile(drawn.name, png, svg, drawn.caption, drawn.reading))
    return written


def _draw_all(workdir: pathlib.Path, rows: Sequence[Row]) -> Iterator[Drawn]:
    phases = sorted({row["phase"] for row in rows}, key=phase_rank)
    clusters = read_clusters(workdir, phases)
    curve = read_table(workdir, "learning_curve.csv") if holds(workdir, "learning_curve.csv") else []
    shuffled = shuffled_ncuts(rows, clusters)
    yield from front_drawings(rows, shuffled, curve)
    yield from _controls(rows, shuffled)
    if clusters:
        yield from _modules(workdir, rows, [*clusters][-1], clusters)
    yield from _spectrum(rows, clusters)
    yield from lesion_drawings(workdir)
    if curve:
        yield Drawn(
            "learning_curve",
            learning_curve_figure(curve),
            "The n-cut along training and pruning, and the test accuracy beside it.",
            "A fall in the shaded epochs is modularity that comes with pruning; each phase's last point is the network "
            "that the tables speak of.",
        )
    if holds(workdir, "metrics.csv") and (metrics := read_table(workdir, "metrics.csv")):
        yield Drawn(
            "training",
            training_figure(metrics),
            "Loss, accuracy and sparsity over the epochs of training and of pruning.",
            "Pruning goes on from the trained weights, in the shaded epochs; accuracy should hold as sparsity rises.",
        )


def _controls(rows: Sequence[Row], shuffled: Mapping[Group, np.ndarray]) -> Iterator[Drawn]:
    if shuffled:
        yield Drawn(
            "controls",
            controls_figure(rows, shuffled),
            "The n-cut of every network (dot) and of its own weights shuffled (violin), per phase and control.",
            "A dot below its violin is a network more modular than its shuffled weights. All panels of a row have one "
            "scale; no partition whatever can have an n-cut under the lower bound.",
        )
    if len({row["num_clusters"] for row in rows}) > 1:
        yield Drawn(
            "k_sweep",
            k_sweep_figure(rows),
            "n-cut divided by k, of the networks and of their controls (thick lines), and the z-score, against k.",
            "n-cut / k is the share of a module's weight that leaves it, averaged over modules. Where the dots of z "
            "lie at 0, networks and shuffled weights do not differ in so many modules.",
        )


def _modules(
    workdir: pathlib.Path, rows: Sequence[Row], phase: str, clusters: Mapping[str, Mapping[str, np.ndarray]]
) -> Iterator[Drawn]:
    """The first seed of the last phase, drawn neuron by neuron where its weights are at hand, and as shares."""
    seed = min(row["seed"] for row in rows if row["phase"] == phase)
    found = ((re.fullmatch(rf"seed_{seed}/k_(\d+)/labels", name), a) for name, a in clusters[phase].items())
    partitions = dict(sorted((int(match[1]), labels) for match, labels in found if match))
    kernels = _kernels(workdir, phase, seed)
    if not partitions or not kernels:
        return
    network = f"{phase_name(phase)} network, seed {seed}".capitalize()
    for k, labels in partitions.items():
        yield Drawn(
            f"network_k{k}",
            network_figure(kernels, labels, num_clusters=k, network=network),
            f"The {phase_name(phase)} network of seed {seed} in {k} modules: every neuron is a cell, the stronger the "
            "darker; columns are stretched to one height.",
            "At a module's block the coloured ribbons are the share of its weight that stays inside, the grey ones the "
            "share that is cut.",
        )
    widths = [kernels[0].shape[0], *(kernel.shape[1] for kernel in kernels)]
    yield Drawn(
        "shares",
        shares_figure(partitions, widths, network=network.lower()),
        f"Share of each layer's neurons that belongs to each module, {phase_name(phase)} network of seed {seed}; "
        "numbers and colours as in the drawings of the net.",
        "A module that runs through all layers is a part of the computation; one confined to a layer is a group of "
        "neurons.",
    )


def _kernels(workdir: pathlib.Path, phase: str, seed: int) -> list[np.ndarray]:
    if not holds(workdir, f"weights/{phase}.npz"):
        return []
    arrays = read_arrays(workdir, f"weights/{phase}.npz", prefix=f"seed_{seed}/")
    matches = ((re.fullmatch(rf"seed_{seed}/layer_(\d+)/kernel", name), array) for name, array in arrays.items())
    return [array for _, array in sorted((int(m[1]), array) for m, array in matches if m)]


def _spectrum(rows: Sequence[Row], clusters: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[Drawn]:
    """The most eigenvalues at hand, which hold those of smaller k."""
    k = max(row["num_clusters"] for row in rows)
    spectra = {}
    for phase, arrays in clusters.items():
        found = [array for name, array in arrays.items() if name.endswith(f"/k_{k}/eigenvalues")]
        if found:
            spectra[phase] = np.stack(found)
    if spectra:
        yield Drawn(
            "eigenvalues",
            spectrum_figure(spectra),
            f"The {k} smallest eigenvalues of the normalised Laplacian per phase, mean and range over seeds.",
            "The first k of them add up to the lower bound on the n-cut into k modules; the nearer to 0, the more "
            "nearly the graph falls apart.",
        )
