"""What of a network does each sub-task need? `python -m experiments.masks`, `--quick` to see that it works."""

from experiments import launcher  # first, because it ends with one line what cannot be imported

# isort: split
import dataclasses
from collections.abc import Sequence

from absl import flags

from experiments.sub_tasks.run import run
from experiments.sub_tasks.tables import markdown
from experiments.sub_tasks.tasks import FULL, QUICK, TASKS
from modularity_jax.runs import signals
from modularity_jax.runs.lock import locked

_QUICK = flags.DEFINE_bool("quick", False, "Toy sizes, to see that it works; the figures mean nothing.")
_TASK = flags.DEFINE_multi_enum("task", [], list(TASKS), "Only this one, or several; those of one digit by default.")


def main(arguments: Sequence[str]) -> None:
    """Train what is missing, print the tables and say where they are."""
    if arguments:
        raise ValueError(f"unknown argument {arguments[0]!r}; --task, --quick and --workdir are all that there is")
    sizes = QUICK if _QUICK.value else FULL
    if _TASK.value:
        sizes = dataclasses.replace(sizes, tasks=tuple(_TASK.value))
    root = launcher.workdir_or("runs/masks-quick" if _QUICK.value else "runs/masks")
    signals.install()
    with locked(root):
        tables = run(root, sizes)
    print(f"{markdown(tables)}\n\nTables and figures: {root}")  # noqa: T201


if __name__ == "__main__":
    launcher.start(main)
