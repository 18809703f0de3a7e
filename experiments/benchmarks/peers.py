"""The shuffle test as it is done with scikit-learn: one network at a time, a process a core, one BLAS thread each.

Each process permutes the weights, builds the sparse graph, leaves out isolated vertices and clusters the rest.
"""

import multiprocessing
import os
import time
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import scipy.sparse

from experiments.benchmarks.children import left_to_the_parent

Kernels = Sequence[np.ndarray]

NUM_RESTARTS = 10


class Task(NamedTuple):
    """Shuffles for one process."""

    kernels: Kernels
    num_clusters: int
    solver: str  # eigen_solver of SpectralClustering
    seeds: tuple[int, ...]
    shuffled: bool


class Peers:
    """A process for each core, kept for all measurements; use it as a context manager."""

    def __init__(self) -> None:
        self._size = os.cpu_count() or 1
        environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        before = {name: os.environ.get(name) for name in environment}
        os.environ |= environment
        with left_to_the_parent():
            self._pool = multiprocessing.get_context("spawn").Pool(self._size)
        self._pool.map(_warm_up, range(4 * self._size))
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.terminate()

    def shuffled_ncuts(
        self, kernels: Kernels, *, num_clusters: int, solver: str, num_shuffles: int
    ) -> tuple[np.ndarray, float]:
        """n-cuts [R] of R shuffles of a network and the seconds that they took together."""
        seeds = [tuple(range(first, num_shuffles, self._size)) for first in range(self._size)]
        tasks = [Task(kernels, num_clusters, solver, part, True) for part in seeds]
        start = time.perf_counter()
        found = self._pool.map(_cluster_all, tasks, chunksize=1)
        return np.concatenate(found), time.perf_counter() - start

    def ncuts(self, nets: Sequence[Kernels], *, num_clusters: int, solver: str) -> np.ndarray:
        """n-cuts of given networks as they are."""
        tasks = [Task(kernels, num_clusters, solver, (index,), False) for index, kernels in enumerate(nets)]
        return np.concatenate(self._pool.map(_cluster_all, tasks, chunksize=1))


def _warm_up(_: int) -> None:
    import sklearn.cluster  # noqa: F401


def _cluster_all(task: Task) -> np.ndarray:
    found = []
    for seed in task.seeds:
        rng = np.random.default_rng(seed)
        kernels = (
            [_permuted(np.abs(k), rng) for k in task.kernels] if task.shuffled else [np.abs(k) for k in task.kernels]
        )
        found.append(spectral_ncut(kernels, num_clusters=task.num_clusters, solver=task.solver, seed=seed))
    return np.array(found)


def _permuted(kernel: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(kernel.ravel()).reshape(kernel.shape)


def spectral_ncut(kernels: Kernels, *, num_clusters: int, solver: str, seed: int) -> float:
    """n-cut of scikit-learn's spectral clustering of non-negative kernels."""
    from sklearn.cluster import SpectralClustering

    blocks = [[None] * (len(kernels) + 1) for _ in range(len(kernels) + 1)]
    for layer, kernel in enumerate(kernels):
        blocks[layer][layer + 1] = scipy.sparse.csr_array(kernel)
        blocks[layer + 1][layer] = scipy.sparse.csr_array(kernel.T)
    adjacency = scipy.sparse.csr_array(scipy.sparse.block_array(blocks))
    degrees = np.asarray(adjacency.sum(axis=0)).ravel()
    connected = np.flatnonzero(degrees)
    adjacency = adjacency[connected][:, connected]
    model = SpectralClustering(
        num_clusters,
        affinity="precomputed",
        eigen_solver=solver,
        n_init=NUM_RESTARTS,
        assign_labels="kmeans",
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = model.fit(adjacency).labels_
    members = scipy.sparse.csr_array((np.ones(labels.size), (labels, np.arange(labels.size))))
    volume = members @ degrees[connected]
    inner = (members @ adjacency @ members.T).diagonal()
    return float(np.sum(1 - inner / volume))
