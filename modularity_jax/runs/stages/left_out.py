"""left_out.csv: the networks that a stage could not test, and why; all others are tested."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from absl import logging

from modularity_jax.graphs.checks import check_num_clusters
from modularity_jax.graphs.protocol import Graph
from modularity_jax.runs.tables import Row, is_readable, read_csv
from modularity_jax.runs.workdir import Workdir

FILE = "left_out.csv"
COLUMNS = ("stage", "phase", "seed", "graph", "num_clusters", "reason")
_TESTS = {"cluster": "clustered", "lesion": "damaged", "specialise": "tested for specialisation"}
_FLAGS = {
    "cluster": "--config.cluster.phases and --config.cluster.num_clusters can leave them out",
    "lesion": "--config.lesion.phases can leave them out, --config.lesion.num_shuffles=0 all lesions",
    "specialise": "--config.specialisation.num_shuffles=0 leaves out all of it",
}


class Case(NamedTuple):
    """A network and the number of clusters for which a stage tests it."""

    phase: str
    seed: int
    graph: str
    num_clusters: int


def why_not(graph: Graph, num_clusters: int) -> str | None:
    """Why a network cannot be cut into so many clusters; None if it can."""
    try:
        check_num_clusters(num_clusters, graph)
    except ValueError as error:
        return str(error)
    return None


def impossible(graphs: Mapping[Case, Graph]) -> dict[Case, str]:
    """The cases that cannot be tested, and why."""
    reasons = {case: why_not(graph, case.num_clusters) for case, graph in graphs.items()}
    return {case: why for case, why in reasons.items() if why}


def read(workdir: Workdir, stage: str) -> set[Case]:
    """What a stage has noted."""
    return {Case(*(row[name] for name in Case._fields)) for row in _rows(workdir) if row["stage"] == stage}


def note(workdir: Workdir, stage: str, reasons: Mapping[Case, str]) -> None:
    """Put a stage's reasons into the table, whatever the other stage has there, and name them in the log."""
    there = _rows(workdir)
    mine = [{"stage": stage, **case._asdict(), "reason": why} for case, why in reasons.items()]
    rows = [row for row in there if row["stage"] != stage] + mine
    rows.sort(key=lambda row: (row["graph"], row["num_clusters"], row["seed"]))
    rows.sort(key=lambda row: ([*_TESTS].index(row["stage"]), workdir.config.phases.index(row["phase"])))
    if rows != there:
        workdir.write_table(FILE, rows, COLUMNS)
    for sentence in sentences(mine):
        logging.warning("%s %s", sentence, _FLAGS[stage])


def sentences(rows: Iterable[Row]) -> list[str]:
    """One for all seeds of a phase, number of clusters and reason."""
    seeds: dict[tuple[str, str, int, str], list[int]] = {}
    for row in rows:
        seeds.setdefault((row["stage"], row["phase"], row["num_clusters"], row["reason"]), []).append(row["seed"])
    return [
        f"The {phase} network{'s' if len(own) > 1 else ''} of seed{'s' if len(own) > 1 else ''} "
        f"{', '.join(map(str, own))} could not be {_TESTS[stage]} at k = {count}: {reason}."
        for (stage, phase, count, reason), own in seeds.items()
    ]


def _rows(workdir: Workdir) -> list[Row]:
    file = workdir.path / FILE
    rows = read_csv(file, COLUMNS) if is_readable(file) else []
    return [{name: row[name] for name in COLUMNS} for row in rows]
