"""A run's arrays: controls, eigenvalues, and the network and the lesions that are drawn."""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_jax.graphs.readers import graph_of
from modularity_jax.runs.tables import read_arrays
from modularity_jax.runs.workdir import Comparison

Arrays = Mapping[str, np.ndarray]  # of one file, by name

DRAWN = "weights/ncut"  # the graph and the measure whose modules are drawn


class DrawnNetwork(NamedTuple):
    """The network that is drawn neuron by neuron."""

    phase: str
    seed: int
    kernels: Sequence[np.ndarray]  # L arrays [d_{l-1}, d_l]; of a convolution what it weighs between channels
    partitions: Mapping[int, np.ndarray]  # labels [N] by number of clusters, -1 where isolated

    @property
    def widths(self) -> list[int]:
        """Neurons per layer."""
        return [len(self.kernels[0]), *(kernel.shape[1] for kernel in self.kernels)]


def comparisons_of(tests: pd.DataFrame) -> list[Comparison]:
    """Which shuffle test each row is of."""
    return [Comparison(*row) for row in zip(*(tests[name] for name in Comparison._fields), strict=True)]


def arrays_in(workdir: pathlib.Path, name: str, prefix: str = "") -> Arrays:
    """The arrays of a file of the run with that prefix; none where there is no such file."""
    return read_arrays(workdir, name, prefix) if (workdir / name).is_file() else {}


def shuffled_in(tests: pd.DataFrame, clusters: Mapping[str, Arrays]) -> dict[Comparison, np.ndarray]:
    """The controls [R] of each test that could be compared, of the arrays of `clusters/<phase>.npz`."""
    names = {own: f"{own.prefix}/{own.method}/controls" for own in comparisons_of(tests)}
    found = {own: clusters[own.phase].get(name, np.empty(0)) for own, name in names.items()}
    return {own: array[~np.isnan(array)] for own, array in found.items() if array.size}


def eigenvalues_in(tests: pd.DataFrame, clusters: Mapping[str, Arrays]) -> dict[str, np.ndarray]:
    """The eigenvalues [S, k] by phase, of the largest k."""
    end = f"/{DRAWN}/k_{tests['num_clusters'].max()}/eigenvalues"
    names = [f"seed_{seed}{end}" for seed in sorted(tests["seed"].unique(), key=str)]
    found = {phase: [made[name] for name in names if name in made] for phase, made in clusters.items()}
    return {phase: np.stack(arrays) for phase, arrays in found.items() if arrays}


def drawn_network(workdir: pathlib.Path, tests: pd.DataFrame, clusters: dict[str, Arrays]) -> DrawnNetwork | None:
    """The first seed of the last phase, where its labels and weights are at hand and it is a chain of layers."""
    phase = next((phase for phase in reversed(clusters) if clusters[phase]), None)
    if phase is None:
        return None
    seed = int(tests.loc[tests["phase"] == phase, "seed"].min())
    partitions = _numbered(clusters[phase], rf"seed_{seed}/{DRAWN}/k_(\d+)/labels")
    weights = arrays_in(workdir, f"weights/{phase}.npz", f"seed_{seed}/")
    kernels = _numbered(weights, rf"seed_{seed}/layer_(\d+)[^/]*/kernel")
    if not partitions or not kernels:
        return None
    try:
        graph = graph_of(list(kernels.values()))
    except ValueError:  # no chain of layers
        return None
    network = DrawnNetwork(phase, seed, list(map(np.asarray, graph.affinities)), partitions)
    is_chain = len(partitions[min(partitions)]) == sum(network.widths)
    return network if is_chain else None


def _numbered(arrays: Arrays, pattern: str) -> dict[int, np.ndarray]:
    """The arrays whose names fit, by the number in them, ascending."""
    found = {int(match[1]): name for name in arrays if (match := re.fullmatch(pattern, name))}
    return {number: arrays[found[number]] for number in sorted(found)}


def lesion_arrays_in(workdir: pathlib.Path, lesions: pd.DataFrame) -> Arrays:
    """The arrays of lesions of the first seed with any."""
    if lesions.empty:
        return {}
    first = lesions[lesions["seed"] == lesions["seed"].min()].iloc[0]
    prefix = f"seed_{first['seed']}/k_{first['num_clusters']}/"
    arrays = arrays_in(workdir, f"lesions/{first['phase']}.npz", prefix)
    return {name.removeprefix(prefix): array for name, array in arrays.items()}
