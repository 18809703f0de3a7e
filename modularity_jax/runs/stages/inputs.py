"""What a run's stages share: its samples and networks, their clusterings, keys, and the time that a stage takes."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax import data
from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.clustering import Clustering, cluster_among_controls
from modularity_jax.metric.settings import Settings
from modularity_jax.nets.graphs import ACTIVATION_GRAPHS, graph_by_name
from modularity_jax.nets.kernels import Params, named, nested
from modularity_jax.nets.models import architecture_of
from modularity_jax.nets.sweep import run_key
from modularity_jax.nets.training import Samples
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.hosts import agreed, told_by_first
from modularity_jax.runs.stages.activations import Activations
from modularity_jax.runs.store import Store, digest
from modularity_jax.runs.tables import Row, read_arrays, read_table
from modularity_jax.runs.workdir import Workdir, jax_settings

# Tells the randomness of the clustering from that of the training, whose networks are numbered from 0.
_CLUSTER_STREAM = 2**32 - 1
# Of what a piece holds beside its key; one more where random bits or the rounding of results change.
BITS = 2


def load_samples(config: RunConfig) -> Samples:
    """The run's data set as device arrays; each process reads its own host's files.

    Raises:
      ValueError: if a process cannot read them, or has others than process 0.
    """
    found = agreed(lambda: data.load(config.data.name, config.data.dir, num_train=config.data.num_train or None))
    mine = digest(found) if jax.process_count() > 1 else ""
    first = told_by_first(lambda: mine)
    agreed(lambda: _check_same_data(mine, first, config))
    return Samples(*(jax.numpy.asarray(array) for array in (found.x_train, found.y_train, found.x_test, found.y_test)))


def _check_same_data(mine: str, first: str, config: RunConfig) -> None:
    if mine != first:
        raise ValueError(f"data.dir={config.data.dir!r} holds another {config.data.name} here than for process 0")


def load_params(workdir: Workdir, phase: str) -> list[Params]:
    """Parameters of each seed's network at the end of a phase, as Flax has them."""
    networks = nested(read_arrays(workdir.path, f"weights/{phase}.npz"))
    return [networks[f"seed_{seed}"] for seed in range(workdir.config.num_networks)]


class TrainedNetwork(NamedTuple):
    """A trained network."""

    seed: int
    params: Params
    graphs: dict[str, Graph]  # by kind
    key: dict[str, Any]  # what decides any result on it: its weights, its stream of random numbers, JAX's settings
    activations: dict[str, Any]  # what decides its graphs of activations besides; nothing where there are none


def load_networks(
    workdir: Workdir, phases: Sequence[str], kinds: Sequence[str], activations: Activations | None = None
) -> dict[tuple[str, int], TrainedNetwork]:
    """As process 0 finds them: those whose loss stayed finite, by phase and seed, with their graphs of some kinds.

    Raises:
      FileNotFoundError: if a file of the training is missing; it names the command that makes it.
    """

    def read() -> dict[tuple[str, int], Params]:
        found: dict[tuple[str, int], Params] = {}
        for phase in phases:
            seeds, params = finite_seeds(workdir, phase), load_params(workdir, phase)
            found |= {(phase, seed): params[seed] for seed in seeds}
        return found

    found, config = {}, workdir.config
    if activations is None and any(kind in ACTIVATION_GRAPHS for kind in kinds):
        activations = Activations(config, load_samples(config))
    for (phase, seed), params in told_by_first(read).items():
        stream = [config.train.seed, config.network(seed).seed]
        key = {"network": digest(named(params).values()), "stream": stream, "bits": BITS, **jax_settings()}
        graphs = {
            kind: activations.graph(kind, params)
            if activations and kind in ACTIVATION_GRAPHS
            else graph_by_name(kind, architecture_of(config.model), params)
            for kind in kinds
        }
        found[phase, seed] = TrainedNetwork(seed, params, graphs, key, activations.key if activations else {})
    return found


def finite_seeds(workdir: Workdir, phase: str) -> list[int]:
    """The networks whose loss stayed finite to the end of a phase; the others are left out of what follows."""
    rows = metrics(workdir, "nonfinite_step")
    phases = workdir.config.phases
    upto = phases[: phases.index(phase) + 1]
    bad = {row["seed"] for row in rows if row["phase"] in upto and row["nonfinite_step"] is not None}
    seeds = [seed for seed in range(workdir.config.num_networks) if seed not in bad]
    if not seeds:
        logging.warning("no %s network has a finite loss, and none is tested; try a lower train.learning_rate", phase)
    return seeds


def metrics(workdir: Workdir, *columns: str) -> list[Row]:
    """The rows of metrics.csv; none where networks were given, and not trained.

    Raises:
      FileNotFoundError: if it is missing; it names the command that makes it.
    """
    if workdir.config.model.wiring:
        return []
    return read_table(workdir.path, "metrics.csv", ("seed", "phase", *columns))


def cluster_key(config: RunConfig, seed: int) -> jax.Array:
    """The key of one network's shuffle tests. They share it, so all start from the same clustering of the network."""
    return _cluster_key(np.uint32(config.train.seed), np.uint32(config.network(seed).seed))


@jax.jit
def _cluster_key(run_seed: jax.Array, seed: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(run_key(run_seed), _CLUSTER_STREAM), seed)


def clustering_settings(config: RunConfig, measure: str, num_clusters: int) -> Settings:
    """How a run's networks are clustered."""
    own = config.cluster
    return Settings(num_clusters, own.num_restarts, own.selection, own.solver, own.refine, measure)


def cluster_network(
    graph: Graph, config: RunConfig, seed: int, settings: Settings, mesh: Mesh | None = None
) -> Clustering:
    """One network's clustering, the same as its shuffle tests start from; with their mesh, by their program."""
    key, size = cluster_key(config, seed), config.cluster.shuffles_per_group
    return jax.device_get(cluster_among_controls(graph, key, settings, group_size=size, mesh=mesh))


def clustering_key(network: TrainedNetwork, config: RunConfig, graph: str, settings: Settings) -> dict[str, Any]:
    """What decides a network's clustering."""
    size = config.cluster.shuffles_per_group
    own: dict[str, Any] = {"piece": "clustering", "graph": graph, "shuffles_per_group": size}
    if graph in ACTIVATION_GRAPHS:
        own |= {"activations": network.activations}
    return network.key | dataclasses.asdict(settings) | own


def kept_clustering(
    store: Store, network: TrainedNetwork, config: RunConfig, graph: str, settings: Settings, mesh: Mesh | None
) -> Clustering:
    """`cluster_network`, computed once in a run."""
    key = clustering_key(network, config, graph, settings)
    arrays = store.get(key)
    if arrays is None:
        found = cluster_network(network.graphs[graph], config, network.seed, settings, mesh)
        arrays = {name: np.asarray(value) for name, value in found._asdict().items()}
        store.put(key, arrays)
    return Clustering(**arrays)  # type: ignore[arg-type]  # NumPy's arrays for JAX's
