"""The tables and arrays of a run's lesion tests: lesions.csv, double_lesions.csv and lesions/<phase>.npz."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from modularity_jax.probes.lesion_test import (
    KINDS,
    DoubleLesionTest,
    LesionTest,
)
from modularity_jax.probes.verdicts import p_values
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.stages.inputs import (
    same_labels,
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


class Place(NamedTuple):
    """A test of one network, in the order of the tables."""

    phase: str
    seed: int
    kind: str  # "single", "joint" or "conditional"

    @property
    def name(self) -> str:
        """For a file."""
        return "-".join(map(str, self))


class Tests(NamedTuple):
    """What is finished."""

    rows: dict[Place, list[Row]]
    arrays: dict[str, dict[str, np.ndarray]]  # by phase


def lesion_phases(config: RunConfig) -> list[str]:
    """Those whose networks are damaged."""
    return [phase for phase in config.phases if phase in config.lesion.phases and config.lesion.num_shuffles]


def lesion_kinds(config: RunConfig) -> list[str]:
    """The kinds of test that are asked for."""
    return ["single", *(kind for kind in KINDS if getattr(config.lesion, kind))]


def finished(workdir: Workdir, phases: Sequence[str]) -> Tests:
    """The rows of tests whose controls are there too, and all arrays."""
    count = workdir.config.lesion.num_clusters
    arrays = {phase: recover_arrays(workdir.lesion_arrays(phase)) for phase in phases}
    found: dict[Place, list[Row]] = {}
    for row in recover_csv(workdir.lesions, LESION_COLUMNS):
        found.setdefault(Place(row["phase"], row["seed"], "single"), []).append(row)
    for row in recover_csv(workdir.double_lesions, DOUBLE_LESION_COLUMNS):
        found.setdefault(Place(row["phase"], row["seed"], row["kind"]), []).append(row)
    complete = {
        place: rows
        for place, rows in found.items()
        if f"{prefix_of(place, count)}/control_accuracy" in arrays.get(place.phase, {})
    }
    return Tests(complete, arrays)


def add_parts(workdir: Workdir, places: Sequence[Place], parts: Sequence[Workdir]) -> None:
    """To the run's own files what its parts hold, labels included."""
    phases = [*dict.fromkeys(place.phase for place in places)]
    mine = finished(workdir, phases)
    labels = {phase: recover_arrays(workdir.clusters(phase)) for phase in phases}
    for part in parts:
        found = finished(part, phases)
        mine.rows.update(found.rows)
        for phase in phases:
            mine.arrays[phase].update(found.arrays[phase])
            labels[phase].update(recover_arrays(part.clusters(phase)))
    for phase in phases:
        write(workdir, mine, places, phase)
        write_arrays(workdir.clusters(phase), dict(sorted(labels[phase].items())), keep_previous=True)


def take_tests(workdir: Workdir, donor: Workdir, phases: Sequence[str]) -> int:
    """Copy a donor's labels and lesion tests that hold here too, for phases with the same networks; how many tests.

    A test goes with its labels, which the stage would not make for tests that are there. What is there is kept.
    """
    config, count = workdir.config, workdir.config.lesion.num_clusters
    if not same_labels(donor.config, config):
        return 0
    asked, kinds = lesion_phases(config), [kind for kind in lesion_kinds(config) if _same(donor.config, config, kind)]
    seeds = range(config.train.num_seeds)
    mine = finished(workdir, asked)
    known = set(mine.rows)
    for source, phase in itertools.product((donor, *donor.parts("lesion")), [p for p in asked if p in phases]):
        theirs, labels = finished(source, [phase]), recover_arrays(workdir.clusters(phase))
        found, names = recover_arrays(source.clusters(phase)), {f"seed_{seed}/k_{count}/labels" for seed in seeds}
        if new := names & found.keys() - labels.keys():
            labels |= {name: found[name] for name in new}
            write_arrays(workdir.clusters(phase), dict(sorted(labels.items())), keep_previous=True)
        for place in [Place(phase, seed, kind) for seed, kind in itertools.product(seeds, kinds)]:
            if place in theirs.rows and place not in mine.rows and f"seed_{place.seed}/k_{count}/labels" in labels:
                mine.rows[place] = theirs.rows[place]
                prefix = f"{prefix_of(place, count)}/"
                mine.arrays[phase] |= {n: array for n, array in theirs.arrays[phase].items() if n.startswith(prefix)}
    places = [Place(*place) for place in itertools.product(asked, seeds, lesion_kinds(config))]
    for phase in {place.phase for place in mine.rows.keys() - known}:
        write(workdir, mine, places, phase)
    return len(mine.rows) - len(known)


def _same(donor: RunConfig, config: RunConfig, kind: str) -> bool:
    """Whether tests of a kind are the same for the same network and labels."""
    names = ("num_clusters", "correction", "samples_per_batch", "num_shuffles" if kind == "single" else kind)
    return all(getattr(donor.lesion, name) == getattr(config.lesion, name) for name in names)


def write(workdir: Workdir, tests: Tests, places: Sequence[Place], phase: str) -> None:
    """A phase's arrays, and both tables; whoever found what in which order, the files are the same."""
    write_arrays(workdir.lesion_arrays(phase), dict(sorted(tests.arrays[phase].items())), keep_previous=True)
    by_class = tuple(f"accuracy_{c}" for c in range(workdir.config.model.widths[-1]))
    singles = [row for place in places if place.kind == "single" for row in tests.rows.get(place, ())]
    doubles = [row for place in places if place.kind != "single" for row in tests.rows.get(place, ())]
    write_csv(workdir.lesions, singles, LESION_COLUMNS + by_class, keep_previous=True)
    write_csv(workdir.double_lesions, doubles, DOUBLE_LESION_COLUMNS, keep_previous=True)


def prefix_of(place: Place, num_clusters: int) -> str:
    """Of a test's arrays."""
    return f"seed_{place.seed}/k_{num_clusters}/{place.kind}"


def single_rows(head: Mapping[str, Any], test: LesionTest) -> list[Row]:
    """Of lesions.csv, one for each sub-module; head tells seed, phase and number of clusters."""
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


def double_rows(head: Mapping[str, Any], kind: str, test: DoubleLesionTest) -> list[Row]:
    """Of double_lesions.csv, one for each pair; head as `single_rows`."""
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


def arrays_of(prefix: str, test: LesionTest | DoubleLesionTest) -> dict[str, np.ndarray]:
    """What the tables leave out: each control's accuracy, and by class."""
    arrays = {"control_accuracy": test.control_accuracy}
    if isinstance(test, LesionTest):
        arrays |= {
            "control_accuracy_by_class": test.control_accuracy_by_class,
            "undamaged_by_class": test.undamaged_by_class,
            "undamaged": np.asarray(test.undamaged),
        }
    return {f"{prefix}/{name}": array.astype(np.float32) for name, array in arrays.items()}
