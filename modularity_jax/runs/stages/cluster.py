"""The clustering stage of a run: clusterability.csv and clusters/<phase>.npz."""

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.metric.clustering import Clustering
from modularity_jax.metric.shuffle_test import ShuffleTest, compare_with, shuffled_ncuts
from modularity_jax.runs import signals as stopping
from modularity_jax.runs.checkpoints import Checkpoints
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.group_sizes import naming
from modularity_jax.runs.processes import ALONE, Team
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages.cluster_tables import (
    Place,
    Tests,
    add_parts,
    arrays_of,
    finished,
    row_of,
    write,
)
from modularity_jax.runs.stages.inputs import (
    COMPILE_SECONDS,
    cluster_key,
    cluster_network,
    collect,
    finite_seeds,
    left_out,
    load_params,
    own_part,
    timed,
)
from modularity_jax.runs.stages.left_out import Case, why_not
from modularity_jax.runs.tables import read_table
from modularity_jax.runs.workdir import Workdir, check_jax_settings

# Controls of one test between two chances to save them and to stop.
CHUNK = 1000

Graphs = Mapping[tuple[str, int], LayeredGraph]  # by phase and seed


def cluster_stage(workdir: Workdir, mesh: Mesh | None = None, team: Team = ALONE) -> None:
    """Cluster every network and its controls.

    A test whose row and controls are there is not computed again, and a long one that was interrupted goes on after its
    last checkpoint. A network with fewer connected neurons than clusters is left out, and `left_out.csv` says so.
    Mesh: the devices share a test's controls. Team: the processes share the tests.

    Raises:
      ValueError: if no network can be clustered.
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: after saving, if it was asked to stop.
    """
    config = workdir.config
    accuracy = _final_accuracy(workdir)
    phases = [phase for phase in config.phases if phase in config.cluster.phases]
    nets = {phase: load_params(workdir, phase) for phase in phases}
    networks = [(phase, seed) for phase in phases for seed in finite_seeds(workdir, phase)]
    graphs = {(phase, seed): LayeredGraph.from_params(nets[phase][seed]) for phase, seed in networks}
    tests = itertools.product(networks, config.cluster.num_clusters, config.cluster.methods)
    places = [Place(*network, count, method) for network, count, method in tests]
    collect(workdir, "cluster", team, functools.partial(add_parts, workdir, places))
    found = finished(workdir, phases)
    left = _missing(workdir, places, found, graphs, team)
    if not left:
        logging.info("%s holds its clusterings already", workdir.path)
        return
    check_jax_settings(workdir)
    part = own_part(workdir, "cluster", team)
    mine = found if part == workdir else Tests({}, {phase: {} for phase in phases})
    title = f"clustering {len({place[:2] for place in left})} networks"
    shown = Progress(title, len(left), compiling=COMPILE_SECONDS["cluster"])
    with timed(workdir, "cluster", team), shown as progress:
        observed: dict[tuple[str, int, int], Clustering] = {}  # of the network in hand, which all controls share
        for place in left:
            if not team.takes(f"cluster-{place.name}"):
                progress.advance("by another process")
                continue
            graph, key = graphs[place.phase, place.seed], place[:3]
            if key not in observed:
                observed = {key: cluster_network(graph, config, place.seed, place.num_clusters, mesh)}
            checkpoints = Checkpoints(workdir.path, f"cluster/{place.name}", config.to_dict())
            with naming(config, "cluster.shuffles_per_group"):
                test = _test(graph, observed[key], place, config, mesh, checkpoints)
            mine.rows[place.group] = row_of(place, test, accuracy[place.phase, place.seed])
            mine.arrays[place.phase] |= arrays_of(place, test)
            write(part, mine, places, place.phase)
            checkpoints.clear()
            progress.advance(
                f"{place.phase} seed {place.seed}, k = {place.num_clusters}, {place.method}: n-cut {test.ncut:.3f}, "
                f"z {test.z_score:.1f}"
            )
            stopping.check()
        team.wait()
    collect(workdir, "cluster", team, functools.partial(add_parts, workdir, places))


def _missing(workdir: Workdir, places: Sequence[Place], found: Tests, graphs: Graphs, team: Team) -> list[Place]:
    """The tests to be done; those that a network does not allow are noted, and named in the log."""
    left = [place for place in places if place.group not in found.rows]
    cases = dict.fromkeys(Case(*place[:3]) for place in left)
    asked = {case: why_not(graphs[case.phase, case.seed], case.num_clusters) for case in cases}
    reasons = {case: why for case, why in asked.items() if why}
    if team.is_first:
        left_out.note(workdir, "cluster", reasons)
        left_out.warn(workdir, "cluster")
    left = [place for place in left if Case(*place[:3]) not in reasons]
    if not left and not found.rows:
        first = next(iter(reasons.values()), "none has a finite loss; try a lower train.learning_rate")
        raise ValueError(f"{workdir.path}: no network can be clustered: {first}")
    return left


def _test(
    graph: LayeredGraph,
    observed: Clustering,
    place: Place,
    config: RunConfig,
    mesh: Mesh | None,
    checkpoints: Checkpoints,
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
            shuffles_per_group=settings.shuffles_per_group,
            mesh=mesh,
        )
        parts.append({"ncut": np.asarray(ncut)[: total - first], "converged": np.asarray(converged)[: total - first]})
        if first + size < total and (checkpoints.is_due() or stopping.is_wanted()):
            parts = [_join(parts)]
            checkpoints.save(parts[0], {})
            stopping.check()
    whole = _join(parts)
    return compare_with(observed, whole["ncut"], whole["converged"])


def _join(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in ("ncut", "converged")}


def _final_accuracy(workdir: Workdir) -> dict[tuple[str, int], float]:
    """Test accuracy at the end of each phase, by phase and seed."""
    rows = read_table(workdir.path, "metrics.csv", ("seed", "phase", "test_accuracy"))
    return {(row["phase"], row["seed"]): row["test_accuracy"] for row in rows}
