"""The clustering stage of a run: clusterability.csv and clusters/<phase>.npz."""

import itertools
import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.metric.controls import has_method
from modularity_jax.metric.items import partition_controls
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.shuffle_test import ShuffleTest, compare_with
from modularity_jax.runs import signals
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.pieces import results, timed
from modularity_jax.runs.plain_values import plain_row
from modularity_jax.runs.stages import left_out
from modularity_jax.runs.stages.inputs import (
    TrainedNetwork,
    cluster_key,
    clustering_key,
    clustering_settings,
    kept_clustering,
    load_networks,
    metrics,
)
from modularity_jax.runs.stages.left_out import Case
from modularity_jax.runs.store import Store
from modularity_jax.runs.tables import Row, is_complete, score_name, write_arrays
from modularity_jax.runs.workdir import Comparison, Workdir

# Then the one that `score_name` says.
CLUSTERABILITY_COLUMNS = (
    "seed", "phase", "graph", "measure", "num_clusters", "method", "observed", "bound", "shuffled_mean", "shuffled_std",
    "z_score", "p_value", "p_opposite", "p_low", "p_high", "effect_size", "num_shuffles", "num_left_out",
    "depth_share", "num_isolated", "num_components", "num_empty", "converged",
)  # fmt: skip

# Controls of one piece.
CHUNK = 1000


def cluster_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Cluster every network and its controls.

    What is in the run's store is not computed again. A network with fewer connected neurons than clusters is left out,
    and `left_out.csv` says so; a graph is compared with those of the controls that its kind has. Mesh: the devices, of
    all processes, share a test's controls.

    Raises:
      ValueError: if no network can be clustered.
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: between two pieces, if it was asked to stop.
    """
    config = workdir.config
    phases = [phase for phase in config.phases if phase in config.cluster.phases]
    networks = load_networks(workdir, phases, config.cluster.graphs)
    own = config.cluster
    asked: Iterable[Any] = itertools.product([*networks], own.graphs, own.measures, own.num_clusters, own.methods)
    cases = [Comparison(*network, *rest) for network, *rest in asked]
    cases = [case for case in cases if has_method(networks[case[:2]].graphs[case.graph], case.method)]
    if told_by_first(lambda: _is_done(workdir, phases, cases)):
        logging.info("%s holds its clusterings already", workdir.path)
        return
    reasons = left_out.impossible({_asks(case): networks[case[:2]].graphs[case.graph] for case in cases})
    cases = [case for case in cases if _asks(case) not in reasons]
    told_by_first(lambda: left_out.note(workdir, "cluster", reasons))
    if not cases:
        first = next(iter(reasons.values()), "none has a finite loss; try a lower train.learning_rate")
        raise ValueError(f"{workdir.path}: no network can be clustered: {first}")
    store = workdir.store()
    keys = {case: _keys(networks[case[:2]], config, case) for case in cases}
    with timed(workdir, "cluster"):
        title = f"clustering {len({case[:2] for case in cases})} networks"
        tests = results(
            workdir, title, "cluster", keys, lambda case: _test(store, networks[case[:2]], case, config, mesh), _told
        )
        told_by_first(lambda: _collate(workdir, phases, tests))


def _told(case: Comparison, test: ShuffleTest) -> str:
    where = f"{case.phase} seed {case.seed}, k = {case.num_clusters}, {case.method}"
    return f"{where}: {case.measure} {test.observed:.3f}, z {test.z_score:.1f}"


def _is_done(workdir: Workdir, phases: Iterable[str], cases: Iterable[Comparison]) -> bool:
    """Whether the files have each test that is not left out."""
    noted = left_out.read(workdir, "cluster")
    asked = [case for case in cases if _asks(case) not in noted]
    arrays = [f"clusters/{phase}.npz" for phase in phases]
    return is_complete(workdir.path, ["clusterability.csv"], arrays, asked, operator.itemgetter(*Comparison._fields))


def _asks(case: Comparison) -> Case:
    return Case(case.phase, case.seed, case.graph, case.num_clusters)


def _keys(network: TrainedNetwork, config: RunConfig, case: Comparison) -> list[dict[str, Any]]:
    """What decides the pieces of a test's controls, in order."""
    settings = clustering_settings(config, case.measure, case.num_clusters)
    shared = clustering_key(network, config, case.graph, settings) | {"piece": "controls", "method": case.method}
    total = config.cluster.num_shuffles
    return [shared | {"first": first, "count": min(CHUNK, total - first)} for first in range(0, total, CHUNK)]


def _test(store: Store, network: TrainedNetwork, case: Comparison, config: RunConfig, mesh: Mesh | None) -> ShuffleTest:
    """A shuffle test of its pieces; those that are missing are computed.

    Raises:
      StoppedError: between two of them, if it was asked to stop.
    """
    settings, size = clustering_settings(config, case.measure, case.num_clusters), config.cluster.shuffles_per_group
    given = network.graphs[case.graph], cluster_key(config, case.seed), settings
    parts = []
    observed = kept_clustering(store, network, config, case.graph, settings, mesh)
    for key in _keys(network, config, case):
        part = store.get(key)
        if part is None:
            signals.check()
            which = {name: key[name] for name in ("method", "first", "count")}
            found = partition_controls(*given, **which, group_size=size, mesh=mesh)
            part = {name: np.asarray(values) for name, values in found._asdict().items()}
            store.put(key, part)
        parts.append(part)
    values, converged = (np.concatenate([part[name] for part in parts]) for name in ("value", "converged"))
    return compare_with(observed, values, converged, higher=measure_of(case.measure).higher)


def _collate(workdir: Workdir, phases: Iterable[str], tests: Mapping[Comparison, ShuffleTest]) -> None:
    """The arrays and the table of all tests; it comes last, for it tells that the stage is done."""
    for phase in phases:
        arrays: dict[str, Any] = {}
        for case, test in tests.items():
            if case.phase == phase:
                arrays[f"{case.prefix}/labels"] = test.clustering.labels
                arrays[f"{case.prefix}/eigenvalues"] = test.clustering.eigenvalues
                arrays[f"{case.prefix}/{case.method}/controls"] = test.controls
        write_arrays(workdir.path / f"clusters/{phase}.npz", dict(sorted(arrays.items())))
    trained = metrics(workdir, "test_loss", "test_accuracy")
    score = score_name(trained)
    scores = {(row["phase"], row["seed"]): row[score] for row in trained}  # of a phase's last epoch
    rows = [row_of(case, test) | {score: scores.get(case[:2])} for case, test in tests.items()]
    workdir.write_table("clusterability.csv", rows, (*CLUSTERABILITY_COLUMNS, score))


def row_of(case: Comparison, test: ShuffleTest) -> Row:
    """Of the table, but for how good the network is."""
    low, high = test.p_interval
    columns = {
        **case._asdict(),
        **test.clustering._asdict(),
        **test._asdict(),
        "shuffled_mean": test.mean,
        "shuffled_std": test.std,
        "p_low": low,
        "p_high": high,
        "num_shuffles": test.controls.size,
        "converged": bool(test.clustering.converged and test.all_converged),
    }
    return plain_row({name: columns[name] for name in CLUSTERABILITY_COLUMNS})
