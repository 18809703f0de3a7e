"""What training leaves of a run's networks: weights/<phase>.npz, metrics.csv and learning_curve.csv."""

import itertools
from collections.abc import Sequence

from modularity_jax.runs.tables import is_readable, read_arrays, read_csv, read_table, write_arrays, write_csv
from modularity_jax.runs.workdir import Workdir

METRICS_COLUMNS = (
    "seed", "phase", "epoch", "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "sparsity",
    "nonfinite_step",
)  # fmt: skip
CURVE_COLUMNS = (
    "seed", "phase", "epoch", "num_clusters", "ncut", "lower_bound", "num_isolated", "test_accuracy", "sparsity",
)  # fmt: skip


def is_trained(workdir: Workdir) -> bool:
    """Whether the training stage has left all its files, none of them damaged."""
    return finished_phases(workdir) == workdir.config.phases


def finished_phases(workdir: Workdir) -> tuple[str, ...]:
    """The phases that training has left at their end, from the first on, none of their files damaged.

    The rows of metrics.csv are written last, so where they are there the phase's other files are of this training.
    """
    config = workdir.config
    tables = [workdir.metrics] + [workdir.learning_curve] * bool(config.cluster.curve_epochs)
    if not all(map(is_readable, tables)):
        return ()
    last = {"init": 0, "unpruned": config.train.epochs, "pruned": config.prune.epochs}
    rows = {(row["phase"], row["epoch"]) for row in read_csv(workdir.metrics, ("phase", "epoch"))}
    ended = itertools.takewhile(lambda phase: (phase, last[phase]) in rows, config.phases)
    return tuple(itertools.takewhile(lambda phase: is_readable(workdir.weights(phase)), ended))


def copy_networks(source: Workdir, target: Workdir, phases: Sequence[str], seeds: Sequence[int]) -> None:
    """Copy what training has left of some phases and seeds; in the order in which it writes.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: if one is damaged; nothing is written then.
    """
    tables: dict[str, Sequence[str]] = {"learning_curve.csv": CURVE_COLUMNS, "metrics.csv": METRICS_COLUMNS}
    if not target.config.cluster.curve_epochs:
        del tables["learning_curve.csv"]
    prefixes = tuple(f"seed_{seed}/" for seed in seeds)
    weights = {phase: read_arrays(source.path, f"weights/{phase}.npz", prefixes) for phase in phases}
    rows = {name: read_table(source.path, name, columns) for name, columns in tables.items()}
    for phase, arrays in weights.items():
        write_arrays(target.weights(phase), arrays)
    for name, columns in tables.items():
        kept = [row for row in rows[name] if row["phase"] in phases and row["seed"] in seeds]
        write_csv(target.path / name, kept, columns)
