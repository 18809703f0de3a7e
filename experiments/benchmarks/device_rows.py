"""What `device` measures: each function yields what it finds as it goes, one row of the table a time."""

import functools
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.extend.backend
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks import cold
from experiments.benchmarks.measure import seconds_of
from experiments.benchmarks.scale import HIDDEN_LAYERS, INPUTS, NUM_CLUSTERS, OUTPUTS
from experiments.benchmarks.study_net import WIDTHS, pruned_kernels, pruned_params
from modularity_jax import data
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.metric.clustering import cluster
from modularity_jax.metric.shuffle_test import shuffle_test
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.sweep import train_seeds
from modularity_jax.nets.training import Samples
from modularity_jax.probes.lesion_test import double_lesion_test, lesion_test

ROUNDS = 3  # timed calls, after one that compiles
LONG_SECONDS = 5  # of timed calls, after which there is no further one
FEW = 20  # shuffles of the first test
EPOCHS = 3  # of each phase; the first compiles
# Of the weights' bytes: kernels and affinities, both held while the graph is made, and a kernel's temporaries.
MEMORY_TO_WEIGHTS = 2.4


class Found(NamedTuple):
    """One measurement."""

    name: str
    value: float | None
    unit: str
    note: str = ""


class Sizes(NamedTuple):
    """How large everything is."""

    data: str = "mnist"
    widths: tuple[int, ...] = WIDTHS  # of the network
    num_clusters: tuple[int, ...] = (4, 12)
    num_shuffles: int = 1000
    groups: tuple[int, ...] = (256, 1024, 64, 8, 1)
    num_networks: tuple[int, ...] = (128, 32, 8, 1)
    lesion_clusters: int = 10
    wide: tuple[int, ...] = (29_000, 4096, 16_384)
    demo: dict[str, Any] = cold.FULL


FULL = Sizes()
TOY = Sizes("digits", (64, 16, 16, 10), (3,), 20, (4,), (2,), 3, (24,), cold.TOY)


class Bench:
    """What the rows share; each is made when it is first asked for, so that what fails is the row that needs it."""

    def __init__(self, sizes: Sizes, data_dir: str | None) -> None:
        self.sizes, self._data_dir = sizes, data_dir

    @functools.cached_property
    def graph(self) -> LayeredGraph:
        """Of the pruned network."""
        return LayeredGraph.from_weights(pruned_kernels(self.sizes.widths))

    @functools.cached_property
    def samples(self) -> Samples:
        """The data set, on the device."""
        found = data.load(self.sizes.data, self._data_dir)
        return Samples(*(jnp.asarray(part) for part in (found.x_train, found.y_train, found.x_test, found.y_test)))


def machine(bench: Bench) -> Iterator[Found]:
    """Card, driver and versions."""
    del bench
    device = jax.devices()[0]
    runtime = " ".join(jax.extend.backend.get_backend().platform_version.split())
    versions = f"jax {jax.__version__}, Python {platform.python_version()}"
    yield Found("machine", None, "", f"{device.device_kind}, driver {_driver()}, {runtime}, {versions}")


def first_results(bench: Bench) -> Iterator[Found]:
    """The first calls of this process; nothing is compiled yet."""
    graph, count = bench.graph, bench.sizes.num_clusters[0]
    alone = seconds_of(lambda: cluster(graph, jax.random.key(0), num_clusters=count))
    yield Found(f"first cluster, k = {count}", alone, "s")
    test = seconds_of(lambda: shuffle_test(graph, jax.random.key(0), num_clusters=count, num_shuffles=FEW))
    yield Found(f"first shuffle_test, k = {count}", test, "s", f"{FEW} shuffles")


def shuffles(bench: Bench, num_clusters: int, group: int | None = None) -> Iterator[Found]:
    """Milliseconds of a shuffled network in groups of a size; None takes the library's default."""
    count = bench.sizes.num_shuffles if group is None else max(group, bench.sizes.num_shuffles // 4)
    settings: dict[str, Any] = {} if group is None else {"shuffles_per_group": group}

    def run() -> Any:
        return shuffle_test(bench.graph, jax.random.key(0), num_clusters=num_clusters, num_shuffles=count, **settings)

    name = f"a shuffle, k = {num_clusters}, groups of {group or 'the default'}"
    yield Found(name, 1e3 * _median_seconds(run) / count, "ms", f"{count} shuffles")


def training(bench: Bench, num_networks: int) -> Iterator[Found]:
    """Seconds an epoch of so many networks, unpruned and pruned."""
    settings = TrainConfig(num_seeds=num_networks, epochs=EPOCHS)
    model, prune = ModelConfig(widths=bench.sizes.widths), PruneConfig(epochs=EPOCHS)
    taken: list[float] = []
    start = time.perf_counter()
    for epoch in train_seeds(bench.samples, model=model, train=settings, prune=prune):
        taken.append(time.perf_counter() - start)
        if epoch.epoch == epoch.num_epochs:
            if epoch.phase != "init":
                accuracy = f"test accuracy {np.asarray(epoch.metrics.test_accuracy).mean():.4f}"
                name = f"training, {num_networks} networks, {epoch.phase}"
                yield Found(name, statistics.median(taken[1:]), "s an epoch", accuracy)
            taken = []
        start = time.perf_counter()


def lesions(bench: Bench, kind: str = "single", **settings: Any) -> Iterator[Found]:
    """Lesions a second on the test set, with the library's defaults but for the settings."""
    samples, count = bench.samples, bench.sizes.lesion_clusters
    labels = cluster(bench.graph, jax.random.key(0), num_clusters=count).labels
    given = pruned_params(bench.sizes.widths), labels, samples.x_test, samples.y_test, jax.random.key(0)
    made: dict[str, int] = {}

    def run() -> None:
        if kind == "single":
            found: Any = lesion_test(*given, num_clusters=count, **settings)
        else:
            found = double_lesion_test(*given, kind=kind, num_clusters=count, **settings)
        made["lesions"] = found.accuracy.size + found.control_accuracy.size

    seconds = _median_seconds(run)
    note = f"{made['lesions']} lesions, {samples.y_test.size} samples"
    yield Found(f"lesions, {kind}", made["lesions"] / seconds, "a second", note)


def correctness(bench: Bench, num_clusters: int) -> Iterator[Found]:
    """n-cut and eigenvalues beside float64 on the host."""
    found = jax.device_get(cluster(bench.graph, jax.random.key(0), num_clusters=num_clusters))
    blocks = [np.asarray(block, np.float64) for block in bench.graph.affinities]
    exact = ncut_on_host(blocks, found.labels, num_clusters)
    yield Found(
        f"n-cut beside float64, k = {num_clusters}", abs(float(found.ncut) - exact) / exact, "of it", f"{exact:.7f}"
    )
    values = eigenvalues_on_host(blocks)[:num_clusters]
    off = np.abs(found.eigenvalues[: values.size] - values).max()
    yield Found(f"eigenvalues beside float64, k = {num_clusters}", off, "the most that one is off")


def demo(bench: Bench) -> Iterator[Found]:
    """The digits config from its command to its report, in a fresh process without compiled programs."""
    found = cold.run_task("digits", cold.CHECKOUT, bench.sizes.demo)
    note = f"compilation {found['compile_seconds']:.1f} s, {len(found['programs'])} programs"
    yield Found("digits config, fresh process", found["seconds"], "s", note)


def wide(bench: Bench, width: int) -> Iterator[Found]:
    """Clustering of a dense random network with hidden layers of a width."""
    del bench
    sides = [INPUTS, *[width] * HIDDEN_LAYERS, OUTPUTS]
    shapes = list(zip(sides, sides[1:], strict=False))
    weights = sum(a * b for a, b in shapes)
    name, note = f"cluster, {HIDDEN_LAYERS} layers of {width}", f"{weights:.3g} weights"
    if 4 * weights * MEMORY_TO_WEIGHTS > (limit := _memory()):
        yield Found(name, None, "s", f"{note}, skipped: they need more than {limit / 1e9:.0f} GB")
        return
    keys = jax.random.split(jax.random.key(width), len(shapes))
    graph = LayeredGraph.from_weights([jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)])

    def run() -> Any:
        return cluster(graph, jax.random.key(0), num_clusters=NUM_CLUSTERS)

    first, again = seconds_of(run), seconds_of(run)
    yield Found(name, again, "s", f"{note}, the first time {first:.1f} s")


def ncut_on_host(blocks: list[np.ndarray], labels: np.ndarray, num_clusters: int) -> float:
    """n-cut of a layered graph's partition, from its definition."""
    sides = [block.shape[0] for block in blocks] + [blocks[-1].shape[1]]
    own = np.split(labels, np.cumsum(sides)[:-1])
    volume, inside = np.zeros(num_clusters), np.zeros(num_clusters)
    for block, above, below in zip(blocks, own, own[1:], strict=False):
        for c in range(num_clusters):
            volume[c] += block[above == c].sum() + block[:, below == c].sum()
            inside[c] += 2 * block[np.ix_(above == c, below == c)].sum()
    return float(((volume - inside) / volume).sum())


def eigenvalues_on_host(blocks: list[np.ndarray]) -> np.ndarray:
    """The normalised adjacency's eigenvalues from 0 up, descending: the singular values of its [even, odd] block."""
    sides = [block.shape[0] for block in blocks] + [blocks[-1].shape[1]]
    degrees = [np.zeros(side) for side in sides]
    for layer, block in enumerate(blocks):
        degrees[layer] += block.sum(axis=1)
        degrees[layer + 1] += block.sum(axis=0)
    scale = [np.divide(1, np.sqrt(d), out=np.zeros_like(d), where=d > 0) for d in degrees]
    rows = [[np.zeros((sides[i], sides[j])) for j in range(1, len(sides), 2)] for i in range(0, len(sides), 2)]
    for layer, block in enumerate(blocks):
        scaled = scale[layer][:, None] * block * scale[layer + 1]
        even, odd = (layer, layer + 1) if layer % 2 == 0 else (layer + 1, layer)
        rows[even // 2][odd // 2] = scaled if layer % 2 == 0 else scaled.T
    return np.linalg.svd(np.block(rows), compute_uv=False)


def _median_seconds(run: Any) -> float:
    """Median of the calls after a first one that compiles; of fewer where they take long."""
    seconds_of(run)
    taken = [seconds_of(run)]
    while len(taken) < ROUNDS and sum(taken) < LONG_SECONDS:
        taken.append(seconds_of(run))
    return statistics.median(taken)


def _memory() -> float:
    """Bytes that the device lends, or the machine has."""
    stats = jax.devices()[0].memory_stats()
    return stats["bytes_limit"] if stats else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _driver() -> str:
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return found.stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
