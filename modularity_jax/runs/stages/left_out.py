"""left_out.csv: the networks that a stage could not test, and why; all others are tested."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from absl import logging

from modularity_jax.graphs.checks import check_num_clusters
from modularity_jax.graphs.protocol import Graph
from modularity_jax.runs.tables import Row, is_readable, read_csv, write_csv
from modularity_jax.runs.workdir import Workdir

COLUMNS = ("stage", "phase", "seed", "graph", "num_clusters", "reason")
_STAGES = ("cluster", "lesion")
_TESTS = {"cluster": "clustered", "lesion": "damaged"}
_FLAGS = {
    "cluster": "--config.cluster.phases and --config.cluster.num_clusters can leave them out",
    "lesion": "--config.lesion.phases can leave them out, --config.lesion.num_shuffles=0 all lesions",
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


def read(workdir: Workdir, stage: str) -> dict[Case, str]:
    """The reasons that a stage has noted."""
    return {Case(*(row[name] for name in Case._fields)): row["reason"] for row in _rows(workdir, (stage,))}


def note(workdir: Workdir, stage: str, reasons: dict[Case, str]) -> None:
    """Add reasons to those that are noted, in whatever order they come, and name all in the log."""
    noted = read(workdir, stage)
    if reasons.keys() - noted.keys():
        mine = [{"stage": stage, **case._asdict(), "reason": why} for case, why in (noted | reasons).items()]
        others = [name for name in _STAGES if name != stage]
        places = {phase: place for place, phase in enumerate(workdir.config.phases)}
        rows = [*mine, *_rows(workdir, others)]
        rows.sort(key=lambda row: (row["graph"], row["num_clusters"], row["seed"]))
        rows.sort(key=lambda row: (_STAGES.index(row["stage"]), places[row["phase"]]))
        write_csv(workdir.left_out, rows, COLUMNS)
    for sentence in sentences(_rows(workdir, (stage,))):
        logging.warning("%s %s", sentence, _FLAGS[stage])


def sentences(rows: Iterable[Row]) -> list[str]:
    """One for all seeds of a phase, number of clusters and reason."""
    seeds: dict[tuple[str, str, int, str], list[int]] = {}
    for row in rows:
        seeds.setdefault((row["stage"], row["phase"], row["num_clusters"], row["reason"]), []).append(row["seed"])
    return [
        f"The {phase} network{'s' if len(own) > 1 else ''} of seed{'s' if len(own) > 1 else ''} "
        f"{', '.join(map(str, own))} could not be {_TESTS.get(stage, stage)} at k = {count}: {reason}."
        for (stage, phase, count, reason), own in seeds.items()
    ]


def _rows(workdir: Workdir, stages: Collection[str]) -> list[Row]:
    rows = read_csv(workdir.left_out, COLUMNS) if is_readable(workdir.left_out) else []
    return [row for row in rows if row["stage"] in stages]
