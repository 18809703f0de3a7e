"""Run what a table lacks, and write the table."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from experiments.papers.cells import TABLES, Cell, Table, cells, table_of
from experiments.papers.compare import COLUMNS, compare_cells
from modularity_jax.report.findings.comparisons import comparison_table
from modularity_jax.report.frames import read_settings, records
from modularity_jax.report.prose import say
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.tables import Row, write_csv
from modularity_jax.runs.workdir import Workdir

# Trains and measures what a workdir lacks; the last argument names workdirs that may hold the same networks.
Runner = Callable[[pathlib.Path, RunConfig, Table, Sequence[pathlib.Path]], Workdir]


def run_table(table: str, root: pathlib.Path, configs: Mapping[str, RunConfig], run: Runner) -> list[Row]:
    """Run what is missing of a table, below `root`, and write `<table>.csv` there.

    A config whose data cannot be had is left out, and its cells say why; the others are not lost. Networks that another
    table below `root` has trained with the same settings are not trained again.

    Args:
      table: one of `TABLES`.
      root: the directory of all tables; each run has the workdir `root / table / config`.
      configs: the configs to run, by name; cells of others are left out.
      run: trains and measures what a workdir lacks.

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
        settings = settings_for(table, configs[name], _phases_needed(found, name))
        donors = [root / other / name for other in TABLES if other != table]
        try:
            workdirs[name] = run(root / table / name, settings, table_of(table), donors)
        except (FileNotFoundError, ConnectionError, ImportError) as error:
            reasons[name] = f"not run: {error}"
    rows = compare_cells(found, workdirs, reasons)
    write_csv(root / f"{table}.csv", rows, COLUMNS)
    return rows


def across_text(table: str, root: pathlib.Path, configs: Iterable[str]) -> str:
    """What the seeds of each config's last phase say together, a paragraph each; one without a run is left out."""
    paragraphs = []
    for name in configs:
        file = root / table / name / "clusterability.csv"
        for run in read_settings(file.parent) if file.exists() else ():
            found = comparison_table(run.tests)
            last = found[found["phase"] == found["phase"].max()]
            paragraphs += [
                f"{', '.join([name, *(f'{axis}={value:g}' for axis, value in run.own.items())])}: {say('across', row)}"
                for row in records(last)
            ]
    return "\n".join(paragraphs)


def settings_for(table: str, config: RunConfig, phases: Sequence[str]) -> RunConfig:
    """A config of the study cut down to what a table needs of it: its seeds, its k, these phases.

    A config with fewer seeds, as the quick variants are, keeps its number.
    """
    needed = table_of(table)
    cluster = dataclasses.replace(
        config.cluster,
        graphs=("weights",),
        num_clusters=needed.num_clusters,
        phases=tuple(phases),
        curve_epochs=needed.curve_epochs,
        num_shuffles=min(config.cluster.num_shuffles, needed.num_shuffles),
        measures=needed.measures,
        methods=needed.methods,
    )
    # The study's tables hold no conditional pairs.
    num_shuffles = config.lesion.num_shuffles if needed.stage == "lesion" else 0
    lesion = dataclasses.replace(config.lesion, num_shuffles=num_shuffles, conditional=0)
    asked = config.specialisation.num_shuffles if needed.stage == "specialise" else 0
    return dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, num_seeds=min(needed.num_seeds, config.train.num_seeds)),
        cluster=cluster,
        lesion=lesion,
        specialisation=dataclasses.replace(config.specialisation, num_shuffles=asked),
    )


def _phases_needed(found: Sequence[Cell], config: str) -> list[str]:
    """The phases of a config that cells speak of, each once."""
    return list(dict.fromkeys(cell.phase for cell in found if cell.config == config))
