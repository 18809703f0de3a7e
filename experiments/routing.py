"""Do experts learn the rules? `python -m experiments.routing`, `--quick` to see that it works."""

from experiments import launcher  # first, because it ends with one line what cannot be imported

# isort: split
from collections.abc import Sequence

from absl import flags

from experiments.known_modules.routers import FULL, QUICK, markdown, run
from modularity_jax.runs import signals
from modularity_jax.runs.lock import locked

_QUICK = flags.DEFINE_bool("quick", False, "Toy sizes, to see that it works; the figures mean nothing.")


def main(arguments: Sequence[str]) -> None:
    """Run what is missing, print the table and say where it is."""
    if arguments:
        raise ValueError(f"unknown argument {arguments[0]!r}; --quick and --workdir are all that there is")
    root = launcher.workdir_or("runs/routing-quick" if _QUICK.value else "runs/routing")
    signals.install()
    with locked(root):
        rows = run(root, QUICK if _QUICK.value else FULL)
    print(f"{markdown(rows)}\n\nTable: {root / 'routing.csv'}")  # noqa: T201


if __name__ == "__main__":
    launcher.start(main)
