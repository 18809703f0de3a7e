"""The tables and arrays of a run's shuffle tests: clusterability.csv and clusters/<phase>.npz."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modularity_jax.metric.shuffle_test import ShuffleTest
from modularity_jax.runs.cluster_files import Group, group_of
from modularity_jax.runs.stages.inputs import (
    same_labels,
)
from modularity_jax.runs.tables import Row, plain, recover_arrays, recover_csv, write_arrays, write_csv
from modularity_jax.runs.workdir import Workdir

STATISTICS_COLUMNS = ("z_score", "p_value", "p_upper", "p_low", "p_high", "effect_size")


CLUSTERABILITY_COLUMNS = (
    "seed", "phase", "num_clusters", "method", "ncut", "lower_bound", "shuffled_mean", "shuffled_std",
    *STATISTICS_COLUMNS, "num_shuffles", "num_left_out", "num_isolated", "num_components", "num_empty", "converged",
    "test_accuracy",
)  # fmt: skip


# What decides a shuffle test, besides the network, its labels' settings and its place.
_SETTINGS = ("num_shuffles", "shuffles_per_group")


class Place(NamedTuple):
    """A shuffle test, in the order of the table."""

    phase: str
    seed: int
    num_clusters: int
    method: str

    @property
    def group(self) -> Group:
        """The key of its row."""
        return self.seed, self.phase, self.num_clusters, self.method

    @property
    def name(self) -> str:
        """For a file."""
        return "-".join(map(str, self))

    @property
    def prefix(self) -> str:
        """Of its arrays."""
        return f"seed_{self.seed}/k_{self.num_clusters}"


class Tests(NamedTuple):
    """What is finished."""

    rows: dict[Group, Row]
    arrays: dict[str, dict[str, np.ndarray]]  # by phase


def finished(workdir: Workdir, phases: Sequence[str]) -> Tests:
    """The rows whose controls are there too, and all arrays."""
    arrays = {phase: recover_arrays(workdir.clusters(phase)) for phase in phases}
    rows = {group_of(row): row for row in recover_csv(workdir.clusterability, CLUSTERABILITY_COLUMNS)}
    name = "seed_{}/k_{}/{}/shuffled_ncut".format
    complete = {group: row for group, row in rows.items() if name(group[0], *group[2:]) in arrays.get(group[1], {})}
    return Tests(complete, arrays)


def add_parts(workdir: Workdir, places: Sequence[Place], parts: Sequence[Workdir]) -> None:
    """To the run's own files what its parts hold."""
    phases = [*dict.fromkeys(place.phase for place in places)]
    mine = finished(workdir, phases)
    for found in [finished(part, phases) for part in parts]:
        mine.rows.update(found.rows)
        for phase in phases:
            mine.arrays[phase].update(found.arrays[phase])
    for phase in phases:
        write(workdir, mine, places, phase)


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
    places = [Place(*network, count, method) for network, count, method in tests]
    mine = finished(workdir, asked)
    known, sizes = len(mine.rows), {phase: len(arrays) for phase, arrays in mine.arrays.items()}
    for source in (donor, *donor.parts("cluster")):
        theirs = finished(source, [phase for phase in asked if phase in phases])
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
            write(workdir, mine, places, phase)
    return len(mine.rows) - known


def write(workdir: Workdir, tests: Tests, places: Sequence[Place], phase: str) -> None:
    """A phase's arrays, and the table; whoever found what in which order, the files are the same."""
    write_arrays(workdir.clusters(phase), dict(sorted(tests.arrays[phase].items())), keep_previous=True)
    rows = [tests.rows[place.group] for place in places if place.group in tests.rows]
    write_csv(workdir.clusterability, rows, CLUSTERABILITY_COLUMNS, keep_previous=True)


def row_of(place: Place, test: ShuffleTest, accuracy: float) -> Row:
    """Of the table; accuracy is the network's on the test set."""
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
        "num_left_out": test.num_left_out,
        "num_isolated": found.num_isolated,
        "num_components": found.num_components,
        "num_empty": found.num_empty,
        "converged": bool(found.converged and test.all_converged),
        "test_accuracy": accuracy,
    }
    # As a reader of the table will have them, so that what follows is the same whether a row was read or made.
    plain_row = {name: plain(value) for name, value in row.items()}
    return {name: None if value != value else value for name, value in plain_row.items()}  # nan: no control compares


def arrays_of(place: Place, test: ShuffleTest) -> dict[str, np.ndarray]:
    """What the table leaves out: labels, eigenvalues and each control's n-cut."""
    arrays = {
        f"{place.prefix}/labels": test.clustering.labels,
        f"{place.prefix}/eigenvalues": test.clustering.eigenvalues,
        f"{place.prefix}/{place.method}/shuffled_ncut": test.shuffled_ncut,
    }
    return {name: np.asarray(array) for name, array in arrays.items()}
