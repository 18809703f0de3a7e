"""Train what is missing, and write tables and figures."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator

import pandas as pd

from experiments.pieces import kept_rows, rows_of
from experiments.sub_tasks import rows, training
from experiments.sub_tasks.figures import draw_accuracy, draw_overlap
from experiments.sub_tasks.tasks import TASKS, Sizes, Task
from modularity_jax.report.figures.style import house_style, save
from modularity_jax.runs import signals
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.tables import Row, write_csv


def run(root: pathlib.Path, sizes: Sizes) -> dict[str, pd.DataFrame]:
    """The tables by name, written below root with two figures.

    A task that was finished with the same sizes is not run again.

    Raises:
      StoppedError: between two steps, if it was asked to stop; the tasks that were finished are kept.
    """
    folder, settings = root / "pieces", {name: _settings(name, sizes) for name in sizes.tasks}
    left = [name for name in sizes.tasks if kept_rows(folder, name, settings[name]) is None]
    with Progress("masks", sum(training.num_pieces(TASKS[name], sizes) for name in left)) as progress:

        def advance(name: str, what: str) -> None:
            progress.advance(f"{name}: {what}")
            signals.check()

        found = []
        for name in sizes.tasks:
            make = functools.partial(_rows, TASKS[name], sizes, functools.partial(advance, name))
            found += [{"task": name} | row for row in rows_of(folder, name, settings[name], make)]
    tables = {}
    for table in rows.TABLES:
        own = [{key: value for key, value in row.items() if key != "table"} for row in found if row["table"] == table]
        write_csv(root / f"{table}.csv", own, list(own[0]))
        tables[table] = pd.DataFrame(own)
    with house_style():
        save(draw_accuracy(tables[rows.ACCURACY]), root / "figures", "accuracy")
        save(draw_overlap(tables[rows.OVERLAP]), root / "figures", "overlap")
    return tables


def _rows(task: Task, sizes: Sizes, advance: Callable[[str], None]) -> Iterator[Row]:
    yield from rows.task_rows(task, training.train(task, sizes, advance))


def _settings(name: str, sizes: Sizes) -> dict[str, object]:
    """All that decides a task's rows, as JSON gives it back."""
    own = dataclasses.asdict(sizes) | TASKS[name]._replace(load=None)._asdict()  # type: ignore[arg-type]
    del own["tasks"]
    settings: dict[str, object] = json.loads(json.dumps(own))
    return settings
