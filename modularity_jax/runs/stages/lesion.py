"""The lesion stage of a run: lesions.csv, double_lesions.csv and lesions/<phase>.npz."""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.nets.training import Samples
from modularity_jax.probes.lesion_test import (
    KINDS,
    DoubleLesionTest,
    LesionTest,
    double_lesion_test,
    lesion_test,
)
from modularity_jax.probes.measure import Keep, Sums
from modularity_jax.runs import signals as stopping
from modularity_jax.runs.checkpoints import Checkpoints
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.group_sizes import naming
from modularity_jax.runs.processes import ALONE, Team
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages.inputs import (
    COMPILE_SECONDS,
    cluster_key,
    cluster_network,
    collect,
    finite_seeds,
    left_out,
    load_params,
    load_samples,
    own_part,
    timed,
)
from modularity_jax.runs.stages.left_out import Case, why_not
from modularity_jax.runs.stages.lesion_tables import (
    Place,
    Tests,
    add_parts,
    arrays_of,
    double_rows,
    finished,
    lesion_kinds,
    lesion_phases,
    prefix_of,
    single_rows,
    write,
)
from modularity_jax.runs.tables import recover_arrays, write_arrays
from modularity_jax.runs.workdir import Workdir, check_jax_settings

# Tells the lesions' randomness from that of the shuffle tests of the same network.
_LESION_STREAM = 2**32 - 2


def lesion_stage(workdir: Workdir, mesh: Mesh | None = None, team: Team = ALONE) -> None:
    """Damage every sub-module and pair of the run's networks, on the test set.

    A test whose rows and controls are there is not computed again, and a long one that was interrupted goes on after
    its last checkpoint. A network that cannot be tested is left out, and `left_out.csv` says why. Mesh: the devices
    share the samples. Team: the processes share the tests.

    Raises:
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: after saving, if it was asked to stop.
    """
    config = workdir.config
    phases = lesion_phases(config)
    nets = {phase: load_params(workdir, phase) for phase in phases}
    networks = [(phase, seed) for phase in phases for seed in finite_seeds(workdir, phase)]
    places = [Place(*network, kind) for network, kind in itertools.product(networks, lesion_kinds(config))]
    collect(workdir, "lesion", team, functools.partial(add_parts, workdir, places))
    found = finished(workdir, phases)
    graphs = {network: LayeredGraph.from_params(nets[network[0]][network[1]]) for network in networks}
    reasons = left_out.read(workdir, "lesion") | _impossible(config, graphs)
    left = [place for place in places if place not in found.rows and _case(place, config) not in reasons]
    if not left:
        _name_left_out(workdir, team, reasons)
        logging.info("%s holds its lesions already, or its config asks for none", workdir.path)
        return
    check_jax_settings(workdir)
    samples = load_samples(config)
    part = own_part(workdir, "lesion", team)
    mine = found if part == workdir else Tests({}, {phase: {} for phase in phases})
    shown = Progress(f"damaging {len(graphs)} networks", len(left), compiling=COMPILE_SECONDS["lesion"])
    with timed(workdir, "lesion", team), shown as progress:
        for place in left:
            if not team.takes(f"lesion-{place.name}"):
                progress.advance("by another process")
                continue
            labels = _labels(workdir, part, place, graphs[place[:2]], mesh)
            checkpoints = Checkpoints(workdir.path, f"lesion/{place.name}", config.to_dict())
            params, keep = nets[place.phase][place.seed], _Parts(checkpoints)
            with naming(config, "lesion.samples_per_batch"):
                test = _attempt(params, labels, samples, place, config, mesh, keep)
            if isinstance(test, str):
                left_out.note(part, "lesion", {_case(place, config): test})
            else:
                _add(mine, place, config, test)
                write(part, mine, places, place.phase)
            checkpoints.clear()
            progress.advance(f"{place.phase} seed {place.seed}, {place.kind}: {_outcome(test)}")
            stopping.check()
        team.wait()
    collect(workdir, "lesion", team, functools.partial(add_parts, workdir, places))
    _name_left_out(workdir, team, reasons)


def _case(place: Place, config: RunConfig) -> Case:
    return Case(place.phase, place.seed, config.lesion.num_clusters)


def _impossible(config: RunConfig, graphs: Mapping[tuple[str, int], LayeredGraph]) -> dict[Case, str]:
    """What is known of the networks without their labels: what they do not allow, and why."""
    count = config.lesion.num_clusters
    if len(config.model.widths) < 3:
        return {Case(*network, count): "there is no hidden layer whose neurons could be damaged" for network in graphs}
    found = {Case(*network, count): why_not(graph, count) for network, graph in graphs.items()}
    return {case: why for case, why in found.items() if why}


def _name_left_out(workdir: Workdir, team: Team, reasons: dict[Case, str]) -> None:
    if team.is_first:
        left_out.note(workdir, "lesion", reasons)
        left_out.warn(workdir, "lesion")


def _add(tests: Tests, place: Place, config: RunConfig, test: LesionTest | DoubleLesionTest) -> None:
    head = {"seed": place.seed, "phase": place.phase, "num_clusters": config.lesion.num_clusters}
    made = single_rows(head, test) if isinstance(test, LesionTest) else double_rows(head, place.kind, test)
    tests.rows[place] = made
    tests.arrays[place.phase] |= arrays_of(prefix_of(place, config.lesion.num_clusters), test)


class _Parts:
    """Keeps the finished parts of a test in checkpoints, and stops between two where that is wanted."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        saved = checkpoints.latest()
        self._arrays = dict(saved.arrays) if saved else {}

    def __call__(self, start: int, compute: Callable[[], Sums]) -> Sums:
        names = f"{start:08d}/undamaged", f"{start:08d}/damaged"
        if names[0] in self._arrays:
            return self._arrays[names[0]], self._arrays[names[1]]
        # Asked before a part rather than after it: the last needs no checkpoint, its test is about to be written.
        if self._arrays and (self._checkpoints.is_due() or stopping.is_wanted()):
            self._checkpoints.save(self._arrays, {})
            stopping.check()
        sums = compute()
        self._arrays |= dict(zip(names, sums, strict=True))
        return sums


def _labels(workdir: Workdir, part: Workdir, place: Place, graph: LayeredGraph, mesh: Mesh | None) -> np.ndarray:
    """The network's labels at the lesions' number of clusters: the clustering stage's, or made as it would."""
    count = workdir.config.lesion.num_clusters
    name = f"seed_{place.seed}/k_{count}/labels"
    for source in dict.fromkeys((workdir, part)):
        arrays = recover_arrays(source.clusters(place.phase))
        if name in arrays:
            return arrays[name]
    arrays[name] = np.asarray(cluster_network(graph, workdir.config, place.seed, count, mesh).labels)
    write_arrays(part.clusters(place.phase), dict(sorted(arrays.items())), keep_previous=True)
    return arrays[name]


def _test(
    params: Mapping[str, Any],
    labels: np.ndarray,
    samples: Samples,
    place: Place,
    config: RunConfig,
    mesh: Mesh | None,
    keep: Keep,
) -> LesionTest | DoubleLesionTest:
    """One test of one network, with a key of its own."""
    settings, x, y = config.lesion, samples.x_test, samples.y_test
    stream = jax.random.fold_in(cluster_key(config, place.seed), _LESION_STREAM)
    keys = dict(zip(("single", *KINDS), jax.random.split(stream, 1 + len(KINDS)), strict=True))
    shared: dict[str, Any] = {
        "num_clusters": settings.num_clusters,
        "correction": settings.correction,
        "samples_per_batch": settings.samples_per_batch,
        "mesh": mesh,
        "keep": keep,
    }
    key = keys[place.kind]
    if place.kind == "single":
        return lesion_test(params, labels, x, y, key, num_shuffles=settings.num_shuffles, **shared)
    count = getattr(settings, place.kind)
    return double_lesion_test(params, labels, x, y, key, kind=place.kind, num_shuffles=count, **shared)


def _attempt(*given: Any) -> LesionTest | DoubleLesionTest | str:
    """`_test`, or why the network does not allow it: what is wrong with the settings ends a run before it trains."""
    try:
        return _test(*given)
    except ValueError as error:
        return str(error)


def _outcome(test: LesionTest | DoubleLesionTest | str) -> str:
    if isinstance(test, str):
        return f"left out, {test}"
    if isinstance(test, LesionTest):
        return f"{test.taxonomy.count('important')} of {len(test.taxonomy)} sub-modules important"
    return f"{test.important.sum()} of {len(test.important)} pairs important"
