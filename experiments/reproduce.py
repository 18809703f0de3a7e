"""A table of the papers beside ours: `python -m experiments.reproduce --table=ncut_k4 --data_dir=DATA`."""

from experiments import launcher  # first, because it ends with one line what cannot be imported

# isort: split
import dataclasses
import importlib.util
import pathlib
from collections.abc import Sequence

import jax
from absl import flags

from experiments.papers import TABLES, Table, across_text, cells, run_table, table_text
from modularity_jax.data.paths import local_path
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs import signals
from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.session import opened, take_from
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.specialise import specialise_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.workdir import Workdir

_STAGES = {"cluster": cluster_stage, "lesion": lesion_stage, "specialise": specialise_stage}

_TABLE = flags.DEFINE_enum("table", None, tuple(TABLES), "The table.")
_CONFIGS = flags.DEFINE_list("configs", None, "Only these configs of the table, e.g. mnist,mnist_dropout.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder with the data sets' files; empty takes TensorFlow Datasets.")
_QUICK = flags.DEFINE_bool("quick", False, "Toy sizes, to see that it works; the figures mean nothing.")


def _load(name: str) -> RunConfig:
    """The config of a file, or for a name with `_dropout` and no file of its own, that variant of it."""
    file, words = name, ["quick"] * _QUICK.value
    if importlib.util.find_spec(f"configs.{name}") is None:
        file, words = name.removesuffix("_dropout"), [*words, "dropout"]
    config = from_dict(importlib.import_module(f"configs.{file}").get_config(",".join(words)).to_dict())
    return dataclasses.replace(config, data=dataclasses.replace(config.data, dir=_DATA_DIR.value))


def _run(path: pathlib.Path, config: RunConfig, table: Table, donors: Sequence[pathlib.Path]) -> Workdir:
    with opened(path, config) as workdir:
        told_by_first(lambda: take_from(workdir, donors))
        train_stage(workdir, seed_mesh())
        _STAGES[table.stage](workdir, seed_mesh())
        return workdir


def main(arguments: Sequence[str]) -> None:
    """Run what is missing, print the table and say where it is."""
    if arguments or not _TABLE.value:
        raise ValueError(f"--table must be one of {', '.join(TABLES)}, got {' '.join(arguments) or 'none'}")
    local_path("--data_dir", _DATA_DIR.value)
    root = launcher.workdir_or("runs/reproduce-quick" if _QUICK.value else "runs/reproduce")
    known = dict.fromkeys(cell.config for cell in cells(_TABLE.value))
    chosen = _CONFIGS.value or list(known)
    if unknown := [name for name in chosen if name not in known]:
        raise ValueError(f"--configs must name configs of the table, {', '.join(known)}, got {', '.join(unknown)}")
    signals.install()
    rows = run_table(_TABLE.value, root, {name: _load(name) for name in chosen}, _run)
    together = across_text(_TABLE.value, root, chosen)
    if jax.process_index() == 0:
        print("\n\n".join(filter(None, (table_text(rows), together, f"Table: {root / _TABLE.value}.csv"))))  # noqa: T201


if __name__ == "__main__":
    launcher.start(main)
