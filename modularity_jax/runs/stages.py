"""The stages of a run: each reads what lies in the workdir, computes what is missing, and writes its files."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.monitoring
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax import data
from modularity_jax.metric.checks import check_num_clusters
from modularity_jax.metric.clustering import Clustering, cluster
from modularity_jax.metric.graph import LayeredGraph
from modularity_jax.metric.shuffle_test import ShuffleTest, observed_key, shuffle_test
from modularity_jax.nets.mlp import Params, layer_name
from modularity_jax.nets.sweep import Progress as Epoch
from modularity_jax.nets.sweep import train_seeds
from modularity_jax.nets.training import Samples, steps_per_epoch
from modularity_jax.runs.config import ClusterConfig, RunConfig
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.summary import ACROSS_COLUMNS, combine_seeds
from modularity_jax.runs.tables import Row, read_arrays, read_csv, read_table, write_csv
from modularity_jax.runs.workdir import Workdir, record_seconds, write_arrays

METRICS_COLUMNS = (
    "seed", "phase", "epoch", "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "sparsity",
)  # fmt: skip
CURVE_COLUMNS = (
    "seed", "phase", "epoch", "num_clusters", "ncut", "lower_bound", "num_isolated", "test_accuracy", "sparsity",
)  # fmt: skip
STATISTICS_COLUMNS = ("z_score", "p_value", "p_upper", "p_low", "p_high", "effect_size")
CLUSTERABILITY_COLUMNS = (
    "seed", "phase", "num_clusters", "method", "ncut", "lower_bound", "shuffled_mean", "shuffled_std",
    *STATISTICS_COLUMNS, "num_shuffles", "num_isolated", "num_components", "num_empty", "converged", "test_accuracy",
)  # fmt: skip

# Tells the randomness of the clustering from that of the training, whose networks are numbered from 0.
_CLUSTER_STREAM = 2**32 - 1


def train_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Train and prune the run's networks: metrics.csv and weights/<phase>.npz; nothing to do where they exist.

    Where the config asks for it, their n-cut along the way: learning_curve.csv.
    """
    config = workdir.config
    if is_trained(workdir):
        logging.info("%s holds its trained networks already", workdir.path)
        return
    samples = load_samples(config)
    rows: list[Row] = []
    curve: list[Row] = []
    total = config.train.epochs + config.prune.epochs + 1
    title = f"training {config.train.num_seeds} networks"
    with timed(workdir, "train"), Progress(title, total) as progress:
        for epoch in train_seeds(samples, model=config.model, train=config.train, prune=config.prune, mesh=mesh):
            rows += _metrics_rows(epoch, config, samples.y_train.size)
            curve += _curve_rows(epoch, config)
            if epoch.epoch == epoch.num_epochs:
                write_arrays(workdir.weights(epoch.phase), _flatten(epoch.params, config.train.num_seeds))
                if config.cluster.curve_epochs:
                    write_csv(workdir.learning_curve, curve, CURVE_COLUMNS)
                write_csv(workdir.metrics, rows, METRICS_COLUMNS)
            accuracy = epoch.metrics.test_accuracy.mean()
            progress.advance(f"{epoch.phase} {epoch.epoch}/{epoch.num_epochs}, test accuracy {accuracy:.3f}")


def is_trained(workdir: Workdir) -> bool:
    """Whether the training stage has left all its files."""
    files = [workdir.metrics, *(workdir.weights(phase) for phase in workdir.config.phases)]
    files += [workdir.learning_curve] if workdir.config.cluster.curve_epochs else []
    return all(file.exists() for file in files)


def cluster_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Cluster every network and its controls: clusterability.csv, clusters/<phase>.npz and across_seeds.csv.

    A network whose rows are there is not computed again. Mesh: the devices share the controls.

    Raises:
      ValueError: if a network has fewer connected neurons than clusters, before anything is computed.
      FileNotFoundError: if the networks are missing; it names the command that trains them.
    """
    config = workdir.config
    accuracy = _final_accuracy(workdir)
    phases = [phase for phase in config.phases if phase in config.cluster.phases]
    graphs = {phase: [LayeredGraph.from_params(net) for net in load_params(workdir, phase)] for phase in phases}
    for graph in (graph for by_seed in graphs.values() for graph in by_seed):
        check_num_clusters(max(config.cluster.num_clusters), graph)
    rows = read_csv(workdir.clusterability, CLUSTERABILITY_COLUMNS) if workdir.clusterability.exists() else []
    done = {(row["phase"], row["seed"]) for row in rows}
    left = [(phase, seed) for phase in phases for seed in range(config.train.num_seeds) if (phase, seed) not in done]
    if not left and workdir.across_seeds.exists():
        logging.info("%s holds its clusterings already", workdir.path)
        return
    tests = len(config.cluster.num_clusters) * len(config.cluster.methods)
    with timed(workdir, "cluster"), Progress(f"clustering {len(left)} networks", len(left) * tests) as progress:
        for phase, seed in left:
            arrays = read_arrays(workdir.path, f"clusters/{phase}.npz") if workdir.clusters(phase).exists() else {}
            for count, method, test in _tests(graphs[phase][seed], seed, config, mesh):
                rows.append(_clusterability_row(phase, seed, count, method, test, accuracy[phase, seed]))
                arrays |= _cluster_arrays(f"seed_{seed}/k_{count}", method, test)
                progress.advance(
                    f"{phase} seed {seed}, k = {count}, {method}: n-cut {test.ncut:.3f}, z {test.z_score:.1f}"
                )
            write_arrays(workdir.clusters(phase), arrays)
            write_csv(workdir.clusterability, rows, CLUSTERABILITY_COLUMNS)
    write_csv(workdir.across_seeds, [found._asdict() for found in combine_seeds(rows)], ACROSS_COLUMNS)


def load_samples(config: RunConfig) -> Samples:
    """The run's data set as device arrays."""
    found = data.load(config.data.name, config.data.dir, num_train=config.data.num_train or None)
    return Samples(*(jax.numpy.asarray(array) for array in (found.x_train, found.y_train, found.x_test, found.y_test)))


def load_params(workdir: Workdir, phase: str) -> list[dict[str, dict[str, np.ndarray]]]:
    """Parameters of each seed's network at the end of a phase, as Flax has them."""
    arrays = read_arrays(workdir.path, f"weights/{phase}.npz")
    layers = [layer_name(layer) for layer in range(len(workdir.config.model.widths) - 1)]
    seeds = range(workdir.config.train.num_seeds)
    return [
        {layer: {part: arrays[f"seed_{seed}/{layer}/{part}"] for part in ("kernel", "bias")} for layer in layers}
        for seed in seeds
    ]


def cluster_key(config: RunConfig, seed: int) -> jax.Array:
    """The key of one network's shuffle tests. They share it, so all start from the same clustering of the network."""
    stream = jax.random.fold_in(jax.random.key(config.train.seed), _CLUSTER_STREAM)
    return jax.random.fold_in(stream, seed)


def cluster_network(graph: LayeredGraph, config: RunConfig, seed: int, num_clusters: int) -> Clustering:
    """One network's clustering, the same as its shuffle tests start from."""
    settings = config.cluster
    found = cluster(
        graph,
        observed_key(cluster_key(config, seed)),
        num_clusters=num_clusters,
        num_restarts=settings.num_restarts,
        selection=settings.selection,
        solver=settings.solver,
    )
    return jax.device_get(found)


def _tests(
    graph: LayeredGraph, seed: int, config: RunConfig, mesh: Mesh | None
) -> Iterator[tuple[int, str, ShuffleTest]]:
    """All shuffle tests of one network."""
    settings: ClusterConfig = config.cluster
    for count in settings.num_clusters:
        for method in settings.methods:
            test = shuffle_test(
                graph,
                cluster_key(config, seed),
                num_clusters=count,
                num_shuffles=settings.num_shuffles,
                method=method,
                num_restarts=settings.num_restarts,
                selection=settings.selection,
                solver=settings.solver,
                shuffles_per_group=settings.shuffles_per_group,
                mesh=mesh,
            )
            yield count, method, jax.device_get(test)


def _final_accuracy(workdir: Workdir) -> dict[tuple[str, int], float]:
    """Test accuracy at the end of each phase, by phase and seed."""
    rows = read_table(workdir.path, "metrics.csv", METRICS_COLUMNS)
    return {(row["phase"], row["seed"]): row["test_accuracy"] for row in rows}


def _metrics_rows(epoch: Epoch, config: RunConfig, num_train: int) -> list[Row]:
    step = epoch.epoch * steps_per_epoch(num_train, config.train.batch_size)
    return [
        {"seed": seed, "phase": epoch.phase, "epoch": epoch.epoch, "step": step}
        | {name: values[seed] for name, values in epoch.metrics._asdict().items()}
        for seed in range(config.train.num_seeds)
    ]


def _curve_rows(epoch: Epoch, config: RunConfig) -> list[Row]:
    """n-cut of each network after this epoch, if it is one of those asked for; each phase's last one is.

    Clustered with the key of the shuffle tests, so that a phase's last row agrees with clusterability.csv.
    """
    wanted = config.cluster.curve_epochs
    if not wanted or (epoch.epoch not in wanted and epoch.epoch != epoch.num_epochs):
        return []
    rows = []
    for seed in range(config.train.num_seeds):
        graph = LayeredGraph.from_params(jax.tree.map(lambda leaf, seed=seed: np.asarray(leaf[seed]), epoch.params))
        for count in config.cluster.num_clusters:
            found = cluster_network(graph, config, seed, count)
            row = {"seed": seed, "phase": epoch.phase, "epoch": epoch.epoch, "num_clusters": count}
            row |= {name: getattr(found, name) for name in ("ncut", "lower_bound", "num_isolated")}
            row |= {name: getattr(epoch.metrics, name)[seed] for name in ("test_accuracy", "sparsity")}
            rows.append(row)
    return rows


def _flatten(params: Params, num_seeds: int) -> dict[str, np.ndarray]:
    """Arrays `seed_<id>/layer_<ll>/kernel` and `/bias` of stacked parameters [S, ...]."""
    host = jax.device_get(params)
    return {
        f"seed_{seed}/{layer}/{name}": values[seed]
        for seed in range(num_seeds)
        for layer, parts in sorted(host.items())
        for name, values in sorted(parts.items(), reverse=True)
    }


def _clusterability_row(
    phase: str, seed: int, num_clusters: int, method: str, test: ShuffleTest, accuracy: float
) -> Row:
    found = test.clustering
    return {
        "seed": seed,
        "phase": phase,
        "num_clusters": num_clusters,
        "method": method,
        "ncut": test.ncut,
        "lower_bound": found.lower_bound,
        "shuffled_mean": test.mean,
        "shuffled_std": test.std,
        "z_score": test.z_score,
        "p_value": test.p_value,
        "p_upper": test.p_upper,
        "p_low": test.p_interval[0],
        "p_high": test.p_interval[1],
        "effect_size": test.effect_size,
        "num_shuffles": test.shuffled_ncut.size,
        "num_isolated": found.num_isolated,
        "num_components": found.num_components,
        "num_empty": found.num_empty,
        "converged": bool(found.converged and test.all_converged),
        "test_accuracy": accuracy,
    }


def _cluster_arrays(prefix: str, method: str, test: ShuffleTest) -> dict[str, np.ndarray]:
    arrays = {
        f"{prefix}/labels": test.clustering.labels,
        f"{prefix}/eigenvalues": test.clustering.eigenvalues,
        f"{prefix}/{method}/shuffled_ncut": test.shuffled_ncut,
    }
    return {name: np.asarray(array) for name, array in arrays.items()}


@contextlib.contextmanager
def timed(workdir: Workdir, stage: str) -> Iterator[Any]:
    """Notes and logs a stage's time, and how much of it went to compilation or to fetching compiled programs."""
    compiled = 0.0

    def add(event: str, duration_secs: float, **kwargs: str | int) -> None:
        nonlocal compiled
        compiled += duration_secs * (event == "/jax/core/compile/backend_compile_duration")

    start = time.monotonic()
    jax.monitoring.register_event_duration_secs_listener(add)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(add)
    seconds = time.monotonic() - start
    logging.info("%s took %.1f s, of which compilation %.1f s", stage, seconds, compiled)
    record_seconds(workdir, stage, seconds, compiled)
