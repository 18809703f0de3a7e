"""The lesion stage of a run: lesions.csv, double_lesions.csv and lesions/<phase>.npz."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.metric.checks import check_num_clusters
from modularity_jax.metric.graph import LayeredGraph
from modularity_jax.nets.lesions.lesion_test import (
    KINDS,
    DoubleLesionTest,
    LesionTest,
    accuracy,
    double_lesion_test,
    lesion_test,
)
from modularity_jax.nets.lesions.measure import Keep, Sums, part_bytes
from modularity_jax.nets.lesions.verdicts import p_values
from modularity_jax.nets.training import Samples
from modularity_jax.runs import stopping
from modularity_jax.runs.checkpoints import Checkpoints
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.memory import choose, with_room
from modularity_jax.runs.processes import ALONE, Team
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages import (
    cluster_key,
    cluster_network,
    collect,
    finite_seeds,
    load_params,
    load_samples,
    own_part,
    same_labels,
    timed,
)
from modularity_jax.runs.tables import Row, recover_arrays, recover_csv, write_arrays, write_csv
from modularity_jax.runs.workdir import Workdir

LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "layer", "cluster", "num_units", "share", "accuracy", "diff", "control_mean",
    "control_std", "z_score", "p_value", "p_adjusted", "taxonomy", "taxonomy_adjusted", "p_strict", "num_shuffles",
)  # fmt: skip
DOUBLE_LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "kind", "layer_a", "cluster_a", "layer_b", "cluster_b", "accuracy", "diff",
    "score", "p_value", "p_adjusted", "important", "important_adjusted", "control_mean", "control_std", "z_score",
    "num_shuffles",
)  # fmt: skip

# Tells the lesions' randomness from that of the shuffle tests of the same network.
_LESION_STREAM = 2**32 - 2
SETTING = "lesion.samples_per_batch"


class _Place(NamedTuple):
    """A test of one network, in the order of the tables."""

    phase: str
    seed: int
    kind: str  # "single", "joint" or "conditional"

    @property
    def name(self) -> str:
        """For a file."""
        return "-".join(map(str, self))


class _Tests(NamedTuple):
    """What is finished."""

    rows: dict[_Place, list[Row]]
    arrays: dict[str, dict[str, np.ndarray]]  # by phase


def lesion_stage(workdir: Workdir, mesh: Mesh | None = None, team: Team = ALONE) -> None:
    """Damage every sub-module and pair of the run's networks, on the test set.

    A test whose rows and controls are there is not computed again, and a long one that was interrupted goes on after
    its last checkpoint. Mesh: the devices share the samples. Team: the processes share the tests.

    Raises:
      ValueError: if a network has fewer connected neurons than clusters, before anything is computed.
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: after saving, if it was asked to stop.
    """
    config, settings = workdir.config, workdir.config.lesion
    phases = _phases(config)
    nets = {phase: load_params(workdir, phase) for phase in phases}
    networks = [(phase, seed) for phase in phases for seed in finite_seeds(workdir, phase)]
    places = [_Place(*network, kind) for network, kind in itertools.product(networks, _kinds(config))]
    add_parts = functools.partial(_add_parts, workdir, places)
    collect(workdir, "lesion", team, add_parts)
    found = _finished(workdir, phases)
    left = [place for place in places if place not in found.rows]
    if not left:
        logging.info("%s holds its lesions already, or its config asks for none", workdir.path)
        return
    graphs = {place[:2]: LayeredGraph.from_params(nets[place.phase][place.seed]) for place in left}
    for graph in graphs.values():
        check_num_clusters(settings.num_clusters, graph)
    samples = load_samples(config)
    if team.is_first:
        bytes_at = functools.partial(_bytes_at, nets[left[0].phase][left[0].seed], samples, config)
        choose(workdir, SETTING, samples.y_test.size, bytes_at)
    team.wait()
    part = own_part(workdir, "lesion", team)
    mine = found if part == workdir else _Tests({}, {phase: {} for phase in phases})
    with timed(workdir, "lesion", team), Progress(f"damaging {len(graphs)} networks", len(left)) as progress:
        for place in left:
            if not team.takes(f"lesion-{place.name}"):
                progress.advance("by another process")
                continue
            labels = _labels(workdir, part, place, graphs[place[:2]])
            checkpoints = Checkpoints(workdir.path, f"lesion/{place.name}", config.to_dict())
            params, keep = nets[place.phase][place.seed], _Parts(checkpoints)
            test = with_room(
                workdir, SETTING, functools.partial(_test, params, labels, samples, place, config, mesh, keep)
            )
            head = {"seed": place.seed, "phase": place.phase, "num_clusters": settings.num_clusters}
            made = _single_rows(head, test) if isinstance(test, LesionTest) else _double_rows(head, place.kind, test)
            mine.rows[place] = made
            mine.arrays[place.phase] |= _arrays(_prefix(place, settings.num_clusters), test)
            _write(part, mine, places, place.phase)
            checkpoints.clear()
            progress.advance(f"{place.phase} seed {place.seed}, {place.kind}: {_outcome(test)}")
            stopping.check()
        team.wait()
    collect(workdir, "lesion", team, add_parts)


def _phases(config: RunConfig) -> list[str]:
    """Those whose networks are damaged."""
    return [phase for phase in config.phases if phase in config.lesion.phases and config.lesion.num_shuffles]


def _kinds(config: RunConfig) -> list[str]:
    return ["single", *(kind for kind in KINDS if getattr(config.lesion, kind))]


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


def _finished(workdir: Workdir, phases: Sequence[str]) -> _Tests:
    """The rows of tests whose controls are there too, and all arrays."""
    count = workdir.config.lesion.num_clusters
    arrays = {phase: recover_arrays(workdir.lesion_arrays(phase)) for phase in phases}
    found: dict[_Place, list[Row]] = {}
    for row in recover_csv(workdir.lesions, LESION_COLUMNS):
        found.setdefault(_Place(row["phase"], row["seed"], "single"), []).append(row)
    for row in recover_csv(workdir.double_lesions, DOUBLE_LESION_COLUMNS):
        found.setdefault(_Place(row["phase"], row["seed"], row["kind"]), []).append(row)
    complete = {
        place: rows
        for place, rows in found.items()
        if f"{_prefix(place, count)}/control_accuracy" in arrays.get(place.phase, {})
    }
    return _Tests(complete, arrays)


def _add_parts(workdir: Workdir, places: Sequence[_Place], parts: Sequence[Workdir]) -> None:
    """To the run's own files what its parts hold, labels included."""
    phases = [*dict.fromkeys(place.phase for place in places)]
    mine = _finished(workdir, phases)
    labels = {phase: recover_arrays(workdir.clusters(phase)) for phase in phases}
    for part in parts:
        found = _finished(part, phases)
        mine.rows.update(found.rows)
        for phase in phases:
            mine.arrays[phase].update(found.arrays[phase])
            labels[phase].update(recover_arrays(part.clusters(phase)))
    for phase in phases:
        _write(workdir, mine, places, phase)
        write_arrays(workdir.clusters(phase), dict(sorted(labels[phase].items())), keep_previous=True)


def take_tests(workdir: Workdir, donor: Workdir, phases: Sequence[str]) -> int:
    """Copy a donor's labels and lesion tests that hold here too, for phases with the same networks; how many tests.

    A test goes with its labels, which the stage would not make for tests that are there. What is there is kept.
    """
    config, count = workdir.config, workdir.config.lesion.num_clusters
    if not same_labels(donor.config, config):
        return 0
    asked, kinds = _phases(config), [kind for kind in _kinds(config) if _same(donor.config, config, kind)]
    seeds = range(config.train.num_seeds)
    mine = _finished(workdir, asked)
    known = set(mine.rows)
    for source, phase in itertools.product((donor, *donor.parts("lesion")), [p for p in asked if p in phases]):
        theirs, labels = _finished(source, [phase]), recover_arrays(workdir.clusters(phase))
        found, names = recover_arrays(source.clusters(phase)), {f"seed_{seed}/k_{count}/labels" for seed in seeds}
        if new := names & found.keys() - labels.keys():
            labels |= {name: found[name] for name in new}
            write_arrays(workdir.clusters(phase), dict(sorted(labels.items())), keep_previous=True)
        for place in [_Place(phase, seed, kind) for seed, kind in itertools.product(seeds, kinds)]:
            if place in theirs.rows and place not in mine.rows and f"seed_{place.seed}/k_{count}/labels" in labels:
                mine.rows[place] = theirs.rows[place]
                prefix = f"{_prefix(place, count)}/"
                mine.arrays[phase] |= {n: array for n, array in theirs.arrays[phase].items() if n.startswith(prefix)}
    places = [_Place(*place) for place in itertools.product(asked, seeds, _kinds(config))]
    for phase in {place.phase for place in mine.rows.keys() - known}:
        _write(workdir, mine, places, phase)
    return len(mine.rows) - len(known)


def _same(donor: RunConfig, config: RunConfig, kind: str) -> bool:
    """Whether tests of a kind are the same for the same network and labels."""
    names = ("num_clusters", "correction", "samples_per_batch", "num_shuffles" if kind == "single" else kind)
    return all(getattr(donor.lesion, name) == getattr(config.lesion, name) for name in names)


def _write(workdir: Workdir, tests: _Tests, places: Sequence[_Place], phase: str) -> None:
    """A phase's arrays, and both tables; whoever found what in which order, the files are the same."""
    write_arrays(workdir.lesion_arrays(phase), dict(sorted(tests.arrays[phase].items())), keep_previous=True)
    by_class = tuple(f"accuracy_{c}" for c in range(workdir.config.model.widths[-1]))
    singles = [row for place in places if place.kind == "single" for row in tests.rows.get(place, ())]
    doubles = [row for place in places if place.kind != "single" for row in tests.rows.get(place, ())]
    write_csv(workdir.lesions, singles, LESION_COLUMNS + by_class, keep_previous=True)
    write_csv(workdir.double_lesions, doubles, DOUBLE_LESION_COLUMNS, keep_previous=True)


def _prefix(place: _Place, num_clusters: int) -> str:
    return f"seed_{place.seed}/k_{num_clusters}/{place.kind}"


def _labels(workdir: Workdir, part: Workdir, place: _Place, graph: LayeredGraph) -> np.ndarray:
    """The network's labels at the lesions' number of clusters: the clustering stage's, or made as it would."""
    count = workdir.config.lesion.num_clusters
    name = f"seed_{place.seed}/k_{count}/labels"
    for source in dict.fromkeys((workdir, part)):
        arrays = recover_arrays(source.clusters(place.phase))
        if name in arrays:
            return arrays[name]
    arrays[name] = np.asarray(cluster_network(graph, workdir.config, place.seed, count).labels)
    write_arrays(part.clusters(place.phase), dict(sorted(arrays.items())), keep_previous=True)
    return arrays[name]


def _bytes_at(params: Mapping[str, Any], samples: Samples, config: RunConfig, size: int) -> int:
    """Memory of a device that passes so many samples at once, for the costliest kind of test."""
    settings, count = config.lesion, config.lesion.num_clusters
    labels = np.arange(sum(config.model.widths)) % count
    return part_bytes(
        "joint",
        params,
        labels,
        samples.x_test,
        samples.y_test,
        num_clusters=count,
        num_shuffles=max(settings.joint, 1),
        metric=accuracy,
        samples_per_batch=size,
    )


def _test(
    params: Mapping[str, Any],
    labels: np.ndarray,
    samples: Samples,
    place: _Place,
    config: RunConfig,
    mesh: Mesh | None,
    keep: Keep,
    samples_per_batch: int,
) -> LesionTest | DoubleLesionTest:
    """One test of one network, with a key of its own."""
    settings, x, y = config.lesion, samples.x_test, samples.y_test
    stream = jax.random.fold_in(cluster_key(config, place.seed), _LESION_STREAM)
    keys = dict(zip(("single", *KINDS), jax.random.split(stream, 1 + len(KINDS)), strict=True))
    shared: dict[str, Any] = {
        "num_clusters": settings.num_clusters,
        "correction": settings.correction,
        "samples_per_batch": samples_per_batch,
        "mesh": mesh,
        "keep": keep,
    }
    key = keys[place.kind]
    if place.kind == "single":
        return lesion_test(params, labels, x, y, key, num_shuffles=settings.num_shuffles, **shared)
    count = getattr(settings, place.kind)
    return double_lesion_test(params, labels, x, y, key, kind=place.kind, num_shuffles=count, **shared)


def _single_rows(head: Mapping[str, Any], test: LesionTest) -> list[Row]:
    strict = p_values(test.accuracy, test.control_accuracy, ties="strict")
    columns = {
        **test.submodules._asdict(),
        "accuracy": test.accuracy,
        "diff": test.diff,
        "control_mean": test.control_mean,
        "control_std": test.control_std,
        "z_score": test.z_score,
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
        "taxonomy": test.taxonomy,
        "taxonomy_adjusted": test.taxonomy_adjusted,
        "p_strict": np.where(np.isnan(test.p_value), np.nan, strict),
        "num_shuffles": [len(test.control_accuracy)] * len(test.diff),
        **{f"accuracy_{c}": values for c, values in enumerate(test.accuracy_by_class.T)},
    }
    return _to_rows(head, columns)


def _double_rows(head: Mapping[str, Any], kind: str, test: DoubleLesionTest) -> list[Row]:
    modules = test.submodules
    columns = {
        "kind": [kind] * len(test.diff),
        "layer_a": modules.layer[test.first],
        "cluster_a": modules.cluster[test.first],
        "layer_b": modules.layer[test.second],
        "cluster_b": modules.cluster[test.second],
        "accuracy": test.accuracy,
        "diff": test.diff,
        "score": test.score,
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
        "important": test.important,
        "important_adjusted": test.important_adjusted,
        "control_mean": test.control_mean,
        "control_std": test.control_std,
        "z_score": test.z_score,
        "num_shuffles": [len(test.control_accuracy)] * len(test.diff),
    }
    return _to_rows(head, columns)


def _to_rows(head: Mapping[str, Any], columns: Mapping[str, Sequence[Any] | np.ndarray]) -> list[Row]:
    """A row per entry; floats to 7 digits, which is what float32 sums are good for, and nan as an empty cell."""
    return [
        {**head, **dict(zip(columns, map(_plain, values), strict=True))}
        for values in zip(*columns.values(), strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(f"{value:.7g}")
    return value.item() if isinstance(value, np.generic) else value


def _arrays(prefix: str, test: LesionTest | DoubleLesionTest) -> dict[str, np.ndarray]:
    """What the tables leave out: each control's accuracy, and by class."""
    arrays = {"control_accuracy": test.control_accuracy}
    if isinstance(test, LesionTest):
        arrays |= {
            "control_accuracy_by_class": test.control_accuracy_by_class,
            "undamaged_by_class": test.undamaged_by_class,
            "undamaged": np.asarray(test.undamaged),
        }
    return {f"{prefix}/{name}": array.astype(np.float32) for name, array in arrays.items()}


def _outcome(test: LesionTest | DoubleLesionTest) -> str:
    if isinstance(test, LesionTest):
        return f"{test.taxonomy.count('important')} of {len(test.taxonomy)} sub-modules important"
    return f"{test.important.sum()} of {len(test.important)} pairs important"
