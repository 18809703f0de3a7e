"""A run's files as typed pandas frames, read once; all that the report says or draws comes from here."""

import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from modularity_jax.report.arrays import (
    Arrays,
    DrawnNetwork,
    arrays_in,
    comparisons_of,
    drawn_network,
    eigenvalues_in,
    lesion_arrays_in,
    shuffled_in,
)
from modularity_jax.runs.sweeps import joined, settings_in, split_sweeps
from modularity_jax.runs.tables import Row, read_json, read_table, score_name
from modularity_jax.runs.workdir import Comparison


class Group(NamedTuple):
    """Networks of all seeds against one control."""

    phase: str
    graph: str
    measure: str
    num_clusters: int
    method: str


KEYS = list(Group._fields)

_NETWORK = {"seed": "int64", "phase": "str"}
_EPOCH = _NETWORK | {"epoch": "int64"}
# What the report needs of each table; other columns have the dtype of what they hold.
_CLUSTERABILITY = _NETWORK | {"graph": "str", "measure": "str", "num_clusters": "int64", "method": "str"}
_CLUSTERABILITY |= dict.fromkeys(("observed", "bound", "shuffled_mean", "z_score", "p_value", "p_opposite"), "float64")
_CLUSTERABILITY |= {"num_shuffles": "Int64"}
_OPTIONAL = {
    "effect_size": "float64",
    **dict.fromkeys(("depth_share", "test_accuracy", "test_loss"), "float64"),
    "num_left_out": "Int64",
    "converged": "boolean",
}
_LESIONS = _NETWORK | {"num_clusters": "int64", "layer": "int64", "cluster": "int64", "num_units": "int64"}
_LESIONS |= dict.fromkeys(("share", "accuracy", "diff", "control_mean", "z_score", "p_value", "p_adjusted"), "float64")
_LESIONS |= {"taxonomy": "str", "taxonomy_adjusted": "str"}
_DOUBLE_LESIONS = _NETWORK | {"kind": "str", "score": "float64", "important": "bool", "important_adjusted": "bool"}
_DOUBLE_LESIONS |= dict.fromkeys(("layer_a", "cluster_a", "layer_b", "cluster_b"), "int64")
_PARTITIONING = _NETWORK | {"graph": "str", "scope": "str"}
_PARTITIONINGS = _PARTITIONING | {"layer": "int64", "num_units": "int64", "num_clusters": "int64", "ncut": "float64"}
_SUBMODULES = _PARTITIONING | {"layer": "int64", "cluster": "int64", "num_units": "int64", "share": "float64"}
_SUBMODULES |= dict.fromkeys(("importance_effect", "coherence_effect", "input_coherence_effect"), "float64")
_SPECIALISATION = _PARTITIONING | {
    "statistic": "str",
    "num_shuffles": "int64",
    "num_tested": "int64",
    "num_na": "int64",
}
_SPECIALISATION |= dict.fromkeys(("p_network", "p_max_t", "p_fisher", "median_effect"), "float64")
_LEFT_OUT = _NETWORK | {"stage": "str", "graph": "str", "num_clusters": "int64", "reason": "str"}
_CURVE = _EPOCH | {"graph": "str", "measure": "str", "num_clusters": "int64", "observed": "float64"}
_CURVE_OPTIONAL = dict.fromkeys(("shuffled_mean", "test_accuracy", "test_loss"), "float64")


class Run(NamedTuple):
    """A run; a table without a file is empty."""

    workdir: pathlib.Path
    config: Mapping[str, Any]
    versions: Mapping[str, Any]
    clusterability: pd.DataFrame  # every row
    tests: pd.DataFrame  # the rows with a p; num_shuffles are the controls that it rests on
    metrics: pd.DataFrame
    lesions: pd.DataFrame  # of the last phase with lesions
    double_lesions: pd.DataFrame  # of that phase
    partitionings: pd.DataFrame
    submodules: pd.DataFrame
    specialisation: pd.DataFrame
    left_out: pd.DataFrame
    learning_curve: pd.DataFrame
    shuffled: Mapping[Comparison, np.ndarray]  # [R], of the controls that could be compared, where at hand
    eigenvalues: Arrays  # [S, k] by phase, of the largest k
    network: DrawnNetwork | None  # the first seed of the last phase, where its labels and weights are at hand
    lesion_arrays: Arrays  # of the first seed with lesions
    sweep: pd.DataFrame  # the tests of all settings, with a column for each that is swept; empty without a sweep
    axes: Mapping[str, Sequence[float]]  # the swept settings

    @property
    def controlled(self) -> pd.DataFrame:
        """The tests whose controls' values [R] are at hand, with these in the column `controls`."""
        found = [self.shuffled.get(key, np.empty(0)) for key in comparisons_of(self.tests)]
        tests = self.tests.assign(controls=pd.Series(found, self.tests.index, dtype="object"))
        return tests[tests["controls"].map(len) > 0]

    @property
    def own(self) -> dict[str, float]:
        """What it has of the swept settings."""
        values = {field: value for section in self.config.values() for field, value in section.items()}
        return {axis: values[axis] for axis in self.axes}

    @property
    def score(self) -> str:
        """The column that tells how good the networks are."""
        return score_name(records(self.metrics))

    @property
    def lead(self) -> Group:
        """The comparison that the report leads with."""
        return lead_of(self.tests)

    def leading(self, frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
        """The rows of a table that have the graph, the measure, and these other keys of the leading comparison."""
        for key in ("graph", "measure", *keys):
            frame = frame[frame[key] == getattr(self.lead, key)]
        return frame


def read_run(workdir: str | os.PathLike[str], setting: int = 0) -> Run:
    """Reads a run, of a sweep one combination of its settings; raises as `write_report` does."""
    workdir = pathlib.Path(workdir)
    every = read_table(workdir, "clusterability.csv", list(_CLUSTERABILITY))
    config, swept = split_sweeps(read_json(workdir, "config.json"))
    config = joined(config, dict(settings_in(swept)[setting]))

    def mine(rows: list[Row]) -> list[Row]:
        return [row for row in rows if not swept or row["seed"] // config["train"]["num_seeds"] == setting]

    def table(name: str, needed: Mapping[str, str], **optional: str) -> pd.DataFrame:
        rows = read_table(workdir, name, list(needed)) if (workdir / name).is_file() else []
        return typed(mine(rows), {**needed, **optional}, str(workdir / name))

    whole = typed(mine(every), _CLUSTERABILITY | _OPTIONAL, str(workdir / "clusterability.csv"))
    tests = with_p(mine(every))
    clusters = {phase: arrays_in(workdir, f"clusters/{phase}.npz") for phase in tests["phase"].cat.categories}
    lesions, doubles = table("lesions.csv", _LESIONS), table("double_lesions.csv", _DOUBLE_LESIONS)
    lesions = lesions[lesions["phase"] == lesions["phase"].max()]
    return Run(
        workdir,
        config=config,
        versions=read_json(workdir, "versions.json") if (workdir / "versions.json").is_file() else {},
        clusterability=whole,
        tests=tests,
        metrics=table("metrics.csv", _EPOCH, nonfinite_step="Int64"),
        lesions=lesions,
        double_lesions=doubles[doubles["phase"] == lesions["phase"].max()],
        partitionings=table("partitionings.csv", _PARTITIONINGS),
        submodules=table("submodules.csv", _SUBMODULES),
        specialisation=table("specialisation.csv", _SPECIALISATION),
        left_out=table("left_out.csv", _LEFT_OUT),
        learning_curve=table("learning_curve.csv", _CURVE, **_CURVE_OPTIONAL),
        shuffled=shuffled_in(tests, clusters),
        eigenvalues=eigenvalues_in(tests, clusters),
        network=drawn_network(workdir, tests, clusters),
        lesion_arrays=lesion_arrays_in(workdir, lesions),
        sweep=with_p(every) if swept else pd.DataFrame(),
        axes={path.partition(".")[2]: values for path, values in swept},
    )


def read_settings(workdir: str | os.PathLike[str]) -> list[Run]:
    """Reads a run once for each combination of the settings that it sweeps."""
    first = read_run(workdir)
    return [first, *other_settings(first)]


def other_settings(first: Run) -> list[Run]:
    """Reads the other combinations of what a run sweeps."""
    return [read_run(first.workdir, number) for number in range(1, math.prod(map(len, first.axes.values())))]


def with_p(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows of `clusterability.csv` that have a p, with the number of controls that it rests on."""
    tests = typed([row for row in rows if row["p_value"] is not None], _CLUSTERABILITY | _OPTIONAL)
    return tests.assign(num_shuffles=(tests["num_shuffles"] - tests["num_left_out"].fillna(0)).astype("int64"))


def typed(rows: Sequence[Row], dtypes: Mapping[str, str], source: str = "the table") -> pd.DataFrame:
    """Rows with the same keys as a frame; phases, graphs, measures and controls are ordered as they come.

    A column of `dtypes` that the rows lack holds nothing; other columns have the dtype of their values.

    Raises:
      ValueError: if a column cannot have its dtype, with the source.
    """
    data = {}
    for name in dict.fromkeys([*(rows[0] if rows else ()), *dtypes]):
        values = [row.get(name) for row in rows]
        dtype = dtypes.get(name) or _dtype(values)
        try:
            data[name] = pd.Series(values, dtype=dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}: the column {name} should be {dtype}: {error}") from error
    frame = pd.DataFrame(data)
    for name in ("phase", "graph", "measure", "method"):
        if name in frame:
            frame[name] = pd.Categorical(frame[name], list(dict.fromkeys(frame[name].dropna())), ordered=True)
    return frame


def records(frame: pd.DataFrame) -> list[Row]:
    """A frame's rows as plain values, None where one is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def several(compared: pd.DataFrame) -> list[str]:
    """Which of graph and measure a table has to name."""
    return [name for name in ("graph", "measure") if compared[name].nunique() > 1]


def lead_of(tests: pd.DataFrame) -> Group:
    """The comparison that a report leads with: the first of the last phase."""
    first = tests[tests["phase"] == tests["phase"].max()].sort_values(KEYS).iloc[0]
    return Group(*(first[name] for name in KEYS))


def _dtype(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    return {str: "str", bool: "boolean", int: "Int64"}.get(kinds.pop(), "float64") if len(kinds) == 1 else "float64"
