"""The clustering stage of a run: clusterability.csv, clusters/<phase>.npz and across_seeds.csv."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.metric.checks import check_num_clusters
from modularity_jax.metric.clustering import Clustering
from modularity_jax.metric.graph import LayeredGraph
from modularity_jax.metric.shuffle_test import ShuffleTest, compare_with, controls_bytes, shuffled_ncuts
from modularity_jax.runs import stopping
from modularity_jax.runs.checkpoints import Checkpoints
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.memory import choose, with_room
from modularity_jax.runs.processes import ALONE, Team
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.shuffled import Group, group_of
from modularity_jax.runs.stages import (
    cluster_key,
    cluster_network,
    collect,
    finite_seeds,
    load_params,
    own_part,
    same_labels,
    timed,
)
from modularity_jax.runs.summary import ACROSS_COLUMNS, combine_seeds
from modularity_jax.runs.tables import Row, plain, read_table, recover_arrays, recover_csv, write_arrays, write_csv
from modularity_jax.runs.workdir import Workdir

STATISTICS_COLUMNS = ("z_score", "p_value", "p_upper", "p_low", "p_high", "effect_size")
CLUSTERABILITY_COLUMNS = (
    "seed", "phase", "num_clusters", "method", "ncut", "lower_bound", "shuffled_mean", "shuffled_std",
    *STATISTICS_COLUMNS, "num_shuffles", "num_isolated", "num_components", "num_empty", "converged", "test_accuracy",
)  # fmt: skip

# What decides a shuffle test, besides the network, its labels' settings and its place.
_SETTINGS = ("num_shuffles", "shuffles_per_group")

# Controls of one test between two chances to save them and to stop.
CHUNK = 1000
SETTING = "cluster.shuffles_per_group"


class _Place(NamedTuple):
    """A shuffle test, in the order of the table."""

    phase: str
    seed: int
    num_clusters: int
    method: str

    @property
    def group(self) -> Group:
        return self.seed, self.phase, self.num_clusters, self.method

    @property
    def name(self) -> str:
        """For a file."""
        return "-".join(map(str, self))

    @property
    def prefix(self) -> str:
        """Of its arrays."""
        return f"seed_{self.seed}/k_{self.num_clusters}"


class _Tests(NamedTuple):
    """What is finished."""

    rows: dict[Group, Row]
    arrays: dict[str, dict[str, np.ndarray]]  # by phase


def cluster_stage(workdir: Workdir, mesh: Mesh | None = None, team: Team = ALONE) -> None:
    """Cluster every network and its controls, and say what all seeds show together.

    A test whose row and controls are there is not computed again, and a long one that was interrupted goes on after its
    last checkpoint. Mesh: the devices share a test's controls. Team: the processes share the tests.

    Raises:
      ValueError: if a network has fewer connected neurons than clusters, before anything is computed.
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: after saving, if it was asked to stop.
    """
    config = workdir.config
    accuracy = _final_accuracy(workdir)
    phases = [phase for phase in config.phases if phase in config.cluster.phases]
    nets = {phase: load_params(workdir, phase) for phase in phases}
    networks = [(phase, seed) for phase in phases for seed in finite_seeds(workdir, phase)]
    graphs = {(phase, seed): LayeredGraph.from_params(nets[phase][seed]) for phase, seed in networks}
    for graph in graphs.values():
        check_num_clusters(max(config.cluster.num_clusters), graph)
    tests = itertools.product(networks, config.cluster.num_clusters, config.cluster.methods)
    places = [_Place(*network, count, method) for network, count, method in tests]
    add_parts = functools.partial(_add_parts, workdir, places)
    collect(workdir, "cluster", team, add_parts)
    found = _finished(workdir, phases)
    left = [place for place in places if place.group not in found.rows]
    if not left and workdir.across_seeds.exists():
        logging.info("%s holds its clusterings already", workdir.path)
        return
    if team.is_first and left:
        device_share = -(-min(CHUNK, config.cluster.num_shuffles) // jax.local_device_count())
        choose(workdir, SETTING, device_share, functools.partial(_bytes_at, graphs[left[0][:2]], config))
    team.wait()
    part = own_part(workdir, "cluster", team)
    mine = found if part == workdir else _Tests({}, {phase: {} for phase in phases})
    title = f"clustering {len({place[:2] for place in left})} networks"
    with timed(workdir, "cluster", team), Progress(title, len(left)) as progress:
        observed: dict[tuple[str, int, int], Clustering] = {}  # of the network in hand, which all controls share
        for place in left:
            if not team.takes(f"cluster-{place.name}"):
                progress.advance("by another process")
                continue
            graph, key = graphs[place.phase, place.seed], place[:3]
            if key not in observed:
                observed = {key: cluster_network(graph, config, place.seed, place.num_clusters)}
            checkpoints = Checkpoints(workdir.path, f"cluster/{place.name}", config.to_dict())
            test = with_room(
                workdir, SETTING, functools.partial(_test, graph, observed[key], place, config, mesh, checkpoints)
            )
            mine.rows[place.group] = _row(place, test, accuracy[place.phase, place.seed])
            mine.arrays[place.phase] |= _arrays(place, test)
            _write(part, mine, places, place.phase)
            checkpoints.clear()
            progress.advance(
                f"{place.phase} seed {place.seed}, k = {place.num_clusters}, {place.method}: n-cut {test.ncut:.3f}, "
                f"z {test.z_score:.1f}"
            )
            stopping.check()
        team.wait()
    collect(workdir, "cluster", team, add_parts)
    if team.is_first:
        _write_across_seeds(workdir)


def _finished(workdir: Workdir, phases: Sequence[str]) -> _Tests:
    """The rows whose controls are there too, and all arrays."""
    arrays = {phase: recover_arrays(workdir.clusters(phase)) for phase in phases}
    rows = {group_of(row): row for row in recover_csv(workdir.clusterability, CLUSTERABILITY_COLUMNS)}
    name = "seed_{}/k_{}/{}/shuffled_ncut".format
    complete = {group: row for group, row in rows.items() if name(group[0], *group[2:]) in arrays.get(group[1], {})}
    return _Tests(complete, arrays)


def _add_parts(workdir: Workdir, places: Sequence[_Place], parts: Sequence[Workdir]) -> None:
    """To the run's own files what its parts hold."""
    phases = [*dict.fromkeys(place.phase for place in places)]
    mine = _finished(workdir, phases)
    for found in [_finished(part, phases) for part in parts]:
        mine.rows.update(found.rows)
        for phase in phases:
            mine.arrays[phase].update(found.arrays[phase])
    for phase in phases:
        _write(workdir, mine, places, phase)


def take_tests(workdir: Workdir, donor: Workdir, phases: Sequence[str]) -> int:
    """Copy a donor's labels and shuffle tests that hold here too, for phases with the same networks; how many tests.

    What is there already is kept.
    """
    config = workdir.config
    if not same_labels(donor.config, config):
        return 0
    same = all(getattr(donor.config.cluster, name) == getattr(config.cluster, name) for name in _SETTINGS)
    asked = [phase for phase in config.phases if phase in config.cluster.phases]
    networks = itertools.product(asked, range(config.train.num_seeds))
    tests = itertools.product(networks, config.cluster.num_clusters, config.cluster.methods)
    places = [_Place(*network, count, method) for network, count, method in tests]
    mine = _finished(workdir, asked)
    known, sizes = len(mine.rows), {phase: len(arrays) for phase, arrays in mine.arrays.items()}
    for source in (donor, *donor.parts("cluster")):
        theirs = _finished(source, [phase for phase in asked if phase in phases])
        for place in [place for place in places if place.phase in theirs.arrays]:
            names = [f"{place.prefix}/labels", f"{place.prefix}/eigenvalues"]
            if same and place.group in theirs.rows:
                mine.rows.setdefault(place.group, theirs.rows[place.group])
                names.append(f"{place.prefix}/{place.method}/shuffled_ncut")
            for name in names:
                if name in theirs.arrays[place.phase]:
                    mine.arrays[place.phase].setdefault(name, theirs.arrays[place.phase][name])
    for phase in asked:
        if len(mine.arrays[phase]) > sizes[phase]:
            _write(workdir, mine, places, phase)
    return len(mine.rows) - known


def _write(workdir: Workdir, tests: _Tests, places: Sequence[_Place], phase: str) -> None:
    """A phase's arrays, and the table; whoever found what in which order, the files are the same."""
    write_arrays(workdir.clusters(phase), dict(sorted(tests.arrays[phase].items())), keep_previous=True)
    rows = [tests.rows[place.group] for place in places if place.group in tests.rows]
    write_csv(workdir.clusterability, rows, CLUSTERABILITY_COLUMNS, keep_previous=True)


def _write_across_seeds(workdir: Workdir) -> None:
    rows = read_table(workdir.path, "clusterability.csv", CLUSTERABILITY_COLUMNS)
    write_csv(workdir.across_seeds, [across._asdict() for across in combine_seeds(rows)], ACROSS_COLUMNS)


def _bytes_at(graph: LayeredGraph, config: RunConfig, size: int) -> int:
    """Memory of a device that clusters groups of so many controls, by the costliest of the run's tests."""
    settings = config.cluster
    return controls_bytes(
        graph,
        num_clusters=max(settings.num_clusters),
        method=settings.methods[0],
        num_restarts=settings.num_restarts,
        selection=settings.selection,
        solver=settings.solver,
        shuffles_per_group=size,
    )


def _test(
    graph: LayeredGraph,
    observed: Clustering,
    place: _Place,
    config: RunConfig,
    mesh: Mesh | None,
    checkpoints: Checkpoints,
    shuffles_per_group: int,
) -> ShuffleTest:
    """One shuffle test, in chunks where it has many controls."""
    settings, total = config.cluster, config.cluster.num_shuffles
    size = min(CHUNK, total)
    saved = checkpoints.latest() if total > size else None
    parts = [saved.arrays] if saved else []
    for first in range(sum(len(part["ncut"]) for part in parts), total, size):
        # The last chunk is computed whole and cut, so that all share a program.
        ncut, converged = shuffled_ncuts(
            graph,
            cluster_key(config, place.seed),
            num_clusters=place.num_clusters,
            num_shuffles=size,
            first=first,
            method=place.method,
            num_restarts=settings.num_restarts,
            selection=settings.selection,
            solver=settings.solver,
            shuffles_per_group=shuffles_per_group,
            mesh=mesh,
        )
        parts.append({"ncut": np.asarray(ncut)[: total - first], "converged": np.asarray(converged)[: total - first]})
        if first + size < total and (checkpoints.is_due() or stopping.is_wanted()):
            parts = [_join(parts)]
            checkpoints.save(parts[0], {})
            stopping.check()
    whole = {name: jax.numpy.asarray(array) for name, array in _join(parts).items()}
    return jax.device_get(compare_with(observed, whole["ncut"], whole["converged"]))


def _join(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in ("ncut", "converged")}


def _final_accuracy(workdir: Workdir) -> dict[tuple[str, int], float]:
    """Test accuracy at the end of each phase, by phase and seed."""
    rows = read_table(workdir.path, "metrics.csv", ("seed", "phase", "test_accuracy"))
    return {(row["phase"], row["seed"]): row["test_accuracy"] for row in rows}


def _row(place: _Place, test: ShuffleTest, accuracy: float) -> Row:
    found = test.clustering
    row = {
        "seed": place.seed,
        "phase": place.phase,
        "num_clusters": place.num_clusters,
        "method": place.method,
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
    # As a reader of the table will have them, so that what follows is the same whether a row was read or made.
    return {name: plain(value) for name, value in row.items()}


def _arrays(place: _Place, test: ShuffleTest) -> dict[str, np.ndarray]:
    arrays = {
        f"{place.prefix}/labels": test.clustering.labels,
        f"{place.prefix}/eigenvalues": test.clustering.eigenvalues,
        f"{place.prefix}/{place.method}/shuffled_ncut": test.shuffled_ncut,
    }
    return {name: np.asarray(array) for name, array in arrays.items()}
