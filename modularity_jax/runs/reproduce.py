"""The papers' tables beside our own: which cells a table has, the runs it needs, and how both figures compare."""

import dataclasses
import importlib.resources
import math
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from modularity_jax.metric.checks import check_choice
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.tables import Row, read_csv, write_csv
from modularity_jax.runs.workdir import Workdir

COLUMNS = (
    "config", "phase", "epoch", "num_clusters", "quantity", "paper_mean", "paper_std", "paper_trainings", "mean", "std",
    "seeds", "distance", "p_value", "verdict", "source",
)  # fmt: skip

# A mean within so many combined standard deviations of the paper's agrees with it.
AGREEMENT = 3.0


class Table(NamedTuple):
    """A table of the papers."""

    num_clusters: tuple[int, ...]
    num_seeds: int  # as many as the paper trained; of one published curve, enough to see how far seeds scatter
    curve_every: int = 0  # epochs between two points of a learning curve; 0 for the figures at the ends of phases


TABLES = {
    "ncut_k4": Table((4,), 10),
    "ncut_k": Table((4, 7), 10),
    "ncut_k12": Table((12,), 5),
    "learning_curve": Table((4,), 5, curve_every=5),
}


class Cell(NamedTuple):
    """One figure of a paper, and where ours is to be found."""

    config: str
    phase: str
    num_clusters: int
    quantity: str  # "n-cut", "z layer", "z layer_nonzero" or "test accuracy"
    mean: float
    std: float | None  # over trainings, where it was published
    trainings: int
    source: str
    epoch: int | None = None  # of a learning curve


def cells(table: str) -> list[Cell]:
    """All cells of a table, in the order of the published file.

    Raises:
      ValueError: if the table is unknown.
    """
    check_choice("table", table, tuple(TABLES))
    if TABLES[table].curve_every:
        return [_point(row) for row in _published("learning_curve.csv")]
    rows = _published("ncut.csv")
    return [cell for row in rows if row["k"] in TABLES[table].num_clusters for cell in _cells_of(row)]


def settings_for(table: str, config: RunConfig, phases: Sequence[str]) -> RunConfig:
    """A config of the study cut down to what a table needs of it: its seeds, its k, these phases, no lesions.

    A config with fewer seeds, as the quick variants are, keeps its number.
    """
    needed = TABLES[table]
    return dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, num_seeds=min(needed.num_seeds, config.train.num_seeds)),
        cluster=dataclasses.replace(
            config.cluster,
            num_clusters=needed.num_clusters,
            phases=tuple(phases),
            curve_every=needed.curve_every,
        ),
        lesion=dataclasses.replace(config.lesion, num_shuffles=0),
    )


def phases_needed(found: Sequence[Cell], config: str) -> list[str]:
    """The phases of a config that cells speak of, each once."""
    return list(dict.fromkeys(cell.phase for cell in found if cell.config == config))


def compare_cells(found: Sequence[Cell], workdirs: Mapping[str, Workdir], reasons: Mapping[str, str]) -> list[Row]:
    """A row for each cell: the paper's figure, ours, and a verdict.

    Args:
      found: the cells.
      workdirs: a finished run for each config.
      reasons: why a config was not run; its cells have no figure of ours.
    """
    values = {cell: _ours(cell, workdirs[cell.config]) if cell.config in workdirs else None for cell in found}
    return [_compare(cell, ours, reasons.get(cell.config, "not run")) for cell, ours in values.items()]


def run_table(
    table: str,
    root: pathlib.Path,
    configs: Mapping[str, RunConfig],
    run: Callable[[pathlib.Path, RunConfig], Workdir],
) -> list[Row]:
    """Run what is missing of a table, below `root`, and write `<table>.csv` there.

    A config whose data cannot be had is left out, and its cells say why; the others are not lost.

    Args:
      table: one of `TABLES`.
      root: the directory of all tables; each run has the workdir `root / table / config`.
      configs: the configs to run, by name; cells of others are left out.
      run: trains and clusters what a workdir lacks.

    Raises:
      ValueError: if the table is unknown, or no config is one of its own.
    """
    found = [cell for cell in cells(table) if cell.config in configs]
    if not found:
        known = dict.fromkeys(cell.config for cell in cells(table))
        raise ValueError(f"config must name one of {', '.join(known)} for the table {table}, got {', '.join(configs)}")
    workdirs: dict[str, Workdir] = {}
    reasons: dict[str, str] = {}
    for name in dict.fromkeys(cell.config for cell in found):
        try:
            workdirs[name] = run(root / table / name, settings_for(table, configs[name], phases_needed(found, name)))
        except (OSError, ImportError) as error:
            reasons[name] = f"not run: {error}"
    rows = compare_cells(found, workdirs, reasons)
    write_csv(root / f"{table}.csv", rows, COLUMNS)
    return rows


def table_text(rows: Sequence[Row]) -> str:
    """Rows as aligned text: each cell with the paper's figure, ours and the verdict."""
    header = ("config", "phase", "epoch", "k", "quantity", "paper", "ours", "seeds", "sds apart", "p", "verdict")
    lines = [header, *(_line(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)] + [0]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "-" * max(map(len, text)), *text[1:]])


def _cells_of(row: Row) -> Iterator[Cell]:
    """The cells of a row of the published file."""
    # Networks that were never trained do not depend on the data; they come with MNIST's.
    data = "mnist" if row["dataset"] == "none" else row["dataset"]
    where = f"{data}_dropout" if row["dropout"] else data, row["phase"], row["k"]
    quantities = {
        "n-cut": (row["ncut_mean"], row["ncut_std"]),
        "z layer": (row["layer_z_mean"], None),
        "z layer_nonzero": (row["nonzero_z_mean"], None),
        "test accuracy": (row["test_accuracy"], None),
    }
    for quantity, (mean, std) in quantities.items():
        if mean is not None:
            yield Cell(*where, quantity, mean, std, row["trainings"], row["source"])


def _published(name: str) -> list[Row]:
    """Rows of a file of published figures."""
    file = importlib.resources.files("modularity_jax.runs.published").joinpath(name)
    with importlib.resources.as_file(file) as path:
        return read_csv(path)


def _point(row: Row) -> Cell:
    """A point of a published learning curve, which is one network's."""
    config = f"{row['dataset']}_dropout" if row["dropout"] else row["dataset"]
    return Cell(
        config, row["phase"], row["k"], "n-cut", row["ncut"], None, row["trainings"], row["source"], row["epoch"]
    )


def _compare(cell: Cell, values: np.ndarray | None, reason: str) -> Row:
    """The cell beside ours, values [seeds]: a distance in standard deviations, and a test.

    Where the paper gives a spread the distance is in combined sds and the test Welch's. Where it shows one network the
    distance is in our sds, and the test asks whether that network could be one more of our seeds (the t distribution of
    a prediction).
    """
    common = cell._asdict()
    paper = {f"paper_{name}": common.pop(name) for name in ("mean", "std", "trainings")}
    row: Row = dict.fromkeys(COLUMNS) | common | paper | {"verdict": reason}
    if values is None:
        return row
    mean, std = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan
    row |= {"mean": mean, "std": None if math.isnan(std) else std, "seeds": len(values), "verdict": "no spread given"}
    if math.isnan(std) or (cell.std is None and cell.trainings > 1):
        return row
    count = len(values)
    if cell.std is None:
        distance = (mean - cell.mean) / std
        p_value = 2 * scipy.stats.t.sf(abs(distance) / math.sqrt(1 + 1 / count), count - 1)
    else:
        distance = (mean - cell.mean) / math.hypot(cell.std, std)
        welch = (mean, std, count, cell.mean, cell.std, cell.trainings)
        p_value = scipy.stats.ttest_ind_from_stats(*welch, equal_var=False).pvalue
    verdict = "agrees" if abs(distance) <= AGREEMENT else "differs"
    if verdict == "agrees" and p_value <= 0.05:
        verdict = "agrees; the means differ by more than chance"
    return row | {"distance": distance, "p_value": float(p_value), "verdict": verdict}


def _ours(cell: Cell, workdir: Workdir) -> np.ndarray:
    """The cell's quantity for each seed of our run."""
    if cell.epoch is not None:
        place = (cell.phase, cell.epoch, cell.num_clusters)
        rows = read_csv(workdir.learning_curve)
        return np.array([r["ncut"] for r in rows if (r["phase"], r["epoch"], r["num_clusters"]) == place])
    rows = read_csv(workdir.clusterability)
    column = {"n-cut": "ncut", "test accuracy": "test_accuracy"}.get(cell.quantity, "z_score")
    method = cell.quantity.removeprefix("z ") if column == "z_score" else rows[0]["method"]
    wanted = (cell.phase, cell.num_clusters, method)
    return np.array([r[column] for r in rows if (r["phase"], r["num_clusters"], r["method"]) == wanted])


def _line(row: Row) -> tuple[str, ...]:
    def figure(mean: Any, std: Any) -> str:
        return "" if mean is None else f"{mean:.3f}" + ("" if std is None else f" ± {std:.3f}")

    def number(value: Any) -> str:
        return "" if value is None else f"{value:.2g}"

    return (
        row["config"],
        row["phase"],
        str(row["epoch"] or ""),
        str(row["num_clusters"]),
        row["quantity"],
        f"{figure(row['paper_mean'], row['paper_std'])} ({row['paper_trainings']})",
        figure(row["mean"], row["std"]),
        str(row["seeds"] or ""),
        number(row["distance"]),
        number(row["p_value"]),
        row["verdict"],
    )
