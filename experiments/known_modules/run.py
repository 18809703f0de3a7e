"""Run what the bench lacks, and write its tables and figure."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Iterator

from experiments.known_modules.bench import CURVED, curve_rows, task_rows
from experiments.known_modules.functional import PROBES
from experiments.known_modules.measures import CONTROLS, WAYS
from experiments.known_modules.tables import draw
from experiments.known_modules.tasks import TASKS, Sizes
from experiments.pieces import kept_rows, rows_of
from modularity_jax.report.figures.style import house_style, save
from modularity_jax.runs import signals
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.tables import Row, write_csv

# Of sizes and a function to be told of each step, the rows of a piece.
MakeRows = Callable[[Sizes, Callable[[str], None]], Iterator[Row]]


def run(root: pathlib.Path, sizes: Sizes) -> list[Row]:
    """The rows of `truth.csv`, which is written below root with `curves.csv` and `figures/curves.png`.

    A task that was finished with the same sizes, measures and controls is not run again.

    Raises:
      StoppedError: between two steps, if it was asked to stop; the tasks that were finished are kept.
    """
    tasks: dict[str, MakeRows] = {name: functools.partial(task_rows, name) for name in sizes.tasks or TASKS}
    curves: dict[str, MakeRows] = {
        f"{k} kernels, {m} modules": functools.partial(curve_rows, k, m) for k, m in sizes.curves
    }
    about = {"sizes": dataclasses.asdict(sizes), "measures": [*WAYS, *PROBES], "controls": [*CONTROLS]}
    settings = json.loads(json.dumps(about))
    folder = root / "pieces"
    left = {name for name in tasks | curves if kept_rows(folder, name, settings) is None}
    steps = 1 + len(WAYS) * len(CONTROLS) + len(PROBES)
    total = sum(steps if name in tasks else len(CURVED) for name in left)
    with Progress("known modules", total) as progress:

        def advance(what: str) -> None:
            progress.advance(what)
            signals.check()

        found = {
            name: rows_of(folder, name, settings, functools.partial(make, sizes, advance))
            for name, make in (tasks | curves).items()
        }
    rows, points = ([row for name in own for row in found[name]] for own in (tasks, curves))
    write_csv(root / "truth.csv", rows, list(rows[0]))
    write_csv(root / "curves.csv", points, list(points[0]))
    with house_style():
        save(draw(points), root / "figures", "curves")
    return rows
