"""All figures of a workdir, from its plain files to `figures/<name>.png` and `.svg`."""

import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from modularity_jax.runs.figures.controls import Group, controls_figure
from modularity_jax.runs.figures.curve import learning_curve_figure
from modularity_jax.runs.figures.lesion_pairs import dependency_figure, lesion_pairs_figure
from modularity_jax.runs.figures.lesions import lesion_classes_figure, lesion_shares_figure, lesions_figure
from modularity_jax.runs.figures.modules import shares_figure
from modularity_jax.runs.figures.network import network_figure
from modularity_jax.runs.figures.spectrum import spectrum_figure
from modularity_jax.runs.figures.style import save
from modularity_jax.runs.figures.training import training_figure
from modularity_jax.runs.summary import COLUMNS, phase_name, phase_rank
from modularity_jax.runs.tables import Row, read_arrays, read_table


class FigureFile(NamedTuple):
    """A saved figure and what a report says under it."""

    name: str
    png: pathlib.Path
    svg: pathlib.Path
    caption: str  # what it shows
    reading: str  # one sentence on how to read it


class _Drawn(NamedTuple):
    name: str
    figure: Figure
    caption: str
    reading: str


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
    rows = read_table(workdir, "clusterability.csv", COLUMNS)
    written = []
    for drawn in _draw_all(workdir, rows):
        png, svg = save(drawn.figure, workdir / "figures" / drawn.name)
        written.append(FigureFile(drawn.name, png, svg, drawn.caption, drawn.reading))
    return written


def _draw_all(workdir: pathlib.Path, rows: Sequence[Row]) -> Iterator[_Drawn]:
    phases = sorted({row["phase"] for row in rows}, key=phase_rank)
    clusters = {p: read_arrays(workdir, f"clusters/{p}.npz") for p in phases if _holds(workdir, f"clusters/{p}.npz")}
    yield from _controls(rows, clusters)
    if clusters:
        yield from _modules(workdir, rows, [*clusters][-1], clusters)
    yield from _spectrum(rows, clusters)
    yield from _lesions(workdir)
    if _holds(workdir, "learning_curve.csv") and (curve := read_table(workdir, "learning_curve.csv")):
        yield _Drawn(
            "learning_curve",
            learning_curve_figure(curve),
            "The n-cut along training and pruning, and the test accuracy beside it.",
            "A fall in the shaded epochs is modularity that comes with pruning; each phase's last point is the network "
            "that the tables speak of.",
        )
    if _holds(workdir, "metrics.csv") and (metrics := read_table(workdir, "metrics.csv")):
        yield _Drawn(
            "training",
            training_figure(metrics),
            "Loss, accuracy and sparsity over the epochs of training and of pruning.",
            "Pruning goes on from the trained weights, in the shaded epochs; accuracy should hold as sparsity rises.",
        )


def _lesions(workdir: pathlib.Path) -> Iterator[_Drawn]:
    """Lesions of the first seed of the last phase that has any; the shares of all seeds."""
    if not _holds(workdir, "lesions.csv") or not (rows := read_table(workdir, "lesions.csv")):
        return
    phase = max((row["phase"] for row in rows), key=phase_rank)
    of_phase = [row for row in rows if row["phase"] == phase]
    seed = min(row["seed"] for row in of_phase)
    singles = [row for row in of_phase if row["seed"] == seed]
    network, networks = f"{phase_name(phase)} network, seed {seed}", f"{phase_name(phase)} networks, all seeds"
    prefix = f"seed_{seed}/k_{singles[0]['num_clusters']}/"
    arrays = read_arrays(workdir, f"lesions/{phase}.npz", prefix) if _holds(workdir, f"lesions/{phase}.npz") else {}
    if f"{prefix}single/control_accuracy" in arrays:
        yield _Drawn(
            "lesions",
            lesions_figure(
                singles,
                arrays[f"{prefix}single/control_accuracy"],
                float(arrays[f"{prefix}single/undamaged"]),
                network=network,
            ),
            f"Test accuracy of the {network} with each sub-module damaged (large dot) and with as many random neurons "
            "of its layer damaged (small dots).",
            "A large dot far below its cloud marks neurons that matter more than others of their layer; below the "
            "dotted line more than one point is lost. The scale is linear up to one point and logarithmic beyond.",
        )
        yield _Drawn(
            "lesion_classes",
            lesion_classes_figure(singles, arrays[f"{prefix}single/control_accuracy_by_class"], network=network),
            f"Accuracy on each class with one sub-module of the {network} damaged: the sub-module (dot) and the range "
            "of its controls (bar).",
            "A red dot lies below all controls: the sub-module serves that class. Titles give layer.cluster and the "
            "number of neurons, in orange where the sub-module is important.",
        )
    yield _Drawn(
        "lesion_shares",
        lesion_shares_figure(of_phase, network=networks),
        "Change of test accuracy against the share of its layer that a sub-module takes, coloured by the study's "
        "words.",
        "If only size mattered, dots would fall along one curve; important sub-modules lie below it. At the right, p "
        "is corrected for the number of sub-modules of a network.",
    )
    doubles = read_table(workdir, "double_lesions.csv") if _holds(workdir, "double_lesions.csv") else []
    pairs = [row for row in doubles if (row["phase"], row["seed"]) == (phase, seed)]
    if pairs:
        yield _Drawn(
            "lesion_pairs",
            lesion_pairs_figure(singles, pairs, network=network),
            f"Accuracy lost by damaging two sub-modules of the {network}: together, and one given the other.",
            "A dot marks an important pair by the study's p, a ring one that stays so when p is corrected for all "
            "pairs. A pale row in the right-hand matrix is a sub-module that never adds to another's loss.",
        )
    important = any(row["taxonomy"] == "important" for row in singles)
    if important and any(row["kind"] == "conditional" for row in pairs):
        yield _Drawn(
            "dependencies",
            dependency_figure(singles, pairs, network=network),
            f"The dependency graph of the {network}: important sub-modules, and an arrow from a to b where a is no "
            "longer important once b is damaged.",
            "Arrows between layers suggest a path along which one sub-module works through another.",
        )


def _holds(workdir: pathlib.Path, name: str) -> bool:
    return (workdir / name).is_file()


def _controls(rows: Sequence[Row], clusters: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[_Drawn]:
    shuffled: dict[Group, np.ndarray] = {}
    for row in rows:
        name = f"seed_{row['seed']}/k_{row['num_clusters']}/{row['method']}/shuffled_ncut"
        array = clusters.get(row["phase"], {}).get(name)
        if array is not None and array.size:
            shuffled[row["seed"], row["phase"], row["num_clusters"], row["method"]] = array
    if shuffled:
        yield _Drawn(
            "controls",
            controls_figure(rows, shuffled),
            "The n-cut of every network (dot) and of its own weights shuffled (violin), per phase and control.",
            "A dot below its violin is a network more modular than its shuffled weights. All panels of a row have one "
            "scale; no partition whatever can have an n-cut under the lower bound.",
        )


def _modules(
    workdir: pathlib.Path, rows: Sequence[Row], phase: str, clusters: Mapping[str, Mapping[str, np.ndarray]]
) -> Iterator[_Drawn]:
    """The first seed of the last phase, drawn neuron by neuron where its weights are at hand, and as shares."""
    seed = min(row["seed"] for row in rows if row["phase"] == phase)
    found = ((re.fullmatch(rf"seed_{seed}/k_(\d+)/labels", name), a) for name, a in clusters[phase].items())
    partitions = dict(sorted((int(match[1]), labels) for match, labels in found if match))
    kernels = _kernels(workdir, phase, seed)
    if not partitions or not kernels:
        return
    network = f"{phase_name(phase)} network, seed {seed}".capitalize()
    for k, labels in partitions.items():
        yield _Drawn(
            f"network_k{k}",
            network_figure(kernels, labels, num_clusters=k, network=network),
            f"The {phase_name(phase)} network of seed {seed} in {k} modules: every neuron is a cell, the stronger the "
            "darker; columns are stretched to one height.",
            "At a module's block the coloured ribbons are the share of its weight that stays inside, the grey ones the "
            "share that is cut.",
        )
    widths = [kernels[0].shape[0], *(kernel.shape[1] for kernel in kernels)]
    yield _Drawn(
        "shares",
        shares_figure(partitions, widths, network=network.lower()),
        f"Share of each layer's neurons that belongs to each module, {phase_name(phase)} network of seed {seed}; "
        "numbers and colours as in the drawings of the net.",
        "A module that runs through all layers is a part of the computation; one confined to a layer is a group of "
        "neurons.",
    )


def _kernels(workdir: pathlib.Path, phase: str, seed: int) -> list[np.ndarray]:
    if not _holds(workdir, f"weights/{phase}.npz"):
        return []
    arrays = read_arrays(workdir, f"weights/{phase}.npz", prefix=f"seed_{seed}/")
    matches = ((re.fullmatch(rf"seed_{seed}/layer_(\d+)/kernel", name), array) for name, array in arrays.items())
    return [array for _, array in sorted((int(m[1]), array) for m, array in matches if m)]


def _spectrum(rows: Sequence[Row], clusters: Mapping[str, Mapping[str, np.ndarray]]) -> Iterator[_Drawn]:
    """The most eigenvalues at hand, which hold those of smaller k."""
    k = max(row["num_clusters"] for row in rows)
    spectra = {}
    for phase, arrays in clusters.items():
        found = [array for name, array in arrays.items() if name.endswith(f"/k_{k}/eigenvalues")]
        if found:
            spectra[phase] = np.stack(found)
    if spectra:
        yield _Drawn(
            "eigenvalues",
            spectrum_figure(spectra),
            f"The {k} smallest eigenvalues of the normalised Laplacian per phase, mean and range over seeds.",
            "The first k of them add up to the lower bound on the n-cut into k modules; the nearer to 0, the more "
            "nearly the graph falls apart.",
        )
