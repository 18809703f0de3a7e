"""A run's networks as pieces, and as its files: weights/<phase>.npz, metrics.csv and learning_curve.csv."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from absl import logging

from modularity_jax.nets.kernels import named
from modularity_jax.nets.recipes import recipe_of
from modularity_jax.nets.sweep import Epoch
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.stages.curve import CURVE_COLUMNS, NUM_CONTROLS
from modularity_jax.runs.stages.inputs import BITS
from modularity_jax.runs.store import Store, packed, unpacked
from modularity_jax.runs.tables import Row, is_readable, read_csv, write_arrays, write_csv
from modularity_jax.runs.workdir import Workdir, jax_settings

METRICS_COLUMNS = (
    "seed", "phase", "epoch", "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "sparsity",
    "nonfinite_step",
)  # fmt: skip


def _network_key(config: RunConfig, phase: str, seed: int) -> dict[str, Any]:
    """What decides a network at the end of a phase."""
    values = config.to_dict()
    train = {name: value for name, value in values["train"].items() if name not in ("num_seeds", "on_nan")}
    decides = {"data": values["data"], "model": values["model"], "train": train}
    phases = recipe_of(config.train).phases(config.train, config.prune)
    sections = next((own.decided_by for own in phases if own.name == phase), ())
    decides |= {name: values[name] for name in sections if name not in decides}
    return {"piece": "network", "phase": phase, "network": seed, "bits": BITS, **decides, **jax_settings()}


def _curve_key(config: RunConfig, phase: str, seed: int) -> dict[str, Any]:
    """What decides a network's learning curve within a phase."""
    own = config.to_dict()["cluster"]
    others = ("phases", "methods", "num_shuffles")
    settings = {name: value for name, value in own.items() if name not in others}
    return _network_key(config, phase, seed) | {
        "piece": "curve",
        "cluster": settings,
        "controls": NUM_CONTROLS,
    }


def phases_in(store: Store, config: RunConfig, seed: int) -> tuple[str, ...]:
    """The phases of a network that the store has undamaged, from the first on; with their learning curve if asked."""

    def is_there(phase: str) -> bool:
        keys = [_network_key(config, phase, seed)]
        keys += [_curve_key(config, phase, seed)] if config.cluster.curve_epochs else []
        return all(store.get(key) is not None for key in keys)

    return tuple(itertools.takewhile(is_there, config.phases))


def read_network(
    store: Store, config: RunConfig, phase: str, seed: int
) -> tuple[dict[str, np.ndarray], list[Row], list[Row]]:
    """A network's parameters at the end of a phase, as `layer_<ll>/kernel`, and its rows of the two tables.

    Raises:
      ValueError: if a piece is missing or damaged, or its loss was not finite where the config wants to stop at that.
    """
    piece = store.get(_network_key(config, phase, seed))
    curve = store.get(_curve_key(config, phase, seed)) if config.cluster.curve_epochs else {"rows": packed([])}
    if piece is None or curve is None:
        raise ValueError(f"a piece of the {phase} network of seed {seed} was damaged; the same command makes it again")
    rows = unpacked(piece.pop("rows"))
    if config.train.on_nan == "fail":
        check_losses(rows, config)
    return piece, rows, unpacked(curve["rows"])


def keep_networks(
    store: Store, config: RunConfig, epoch: Epoch, seeds: Sequence[int], rows: list[Row], curve: list[Row]
) -> None:
    """The end of a phase as pieces."""
    params = named(epoch.params)
    for index, seed in enumerate(seeds):
        mine = [row for row in rows if (row["phase"], row["seed"]) == (epoch.phase, seed)]
        if config.cluster.curve_epochs:
            points = [row for row in curve if (row["phase"], row["seed"]) == (epoch.phase, seed)]
            store.put(_curve_key(config, epoch.phase, seed), {"rows": packed(points)})
        arrays = {name: leaf[index] for name, leaf in params.items()}
        store.put(_network_key(config, epoch.phase, seed), {"rows": packed(mine), **arrays})


def collate_networks(workdir: Workdir) -> None:
    """The run's files of its pieces; metrics.csv comes last, and so tells that the others are of this training."""
    config, store = workdir.config, workdir.store()
    metrics: list[Row] = []
    curve: list[Row] = []
    for phase in config.phases:
        arrays: dict[str, np.ndarray] = {}
        for seed in range(config.train.num_seeds):
            params, rows, points = read_network(store, config, phase, seed)
            arrays |= {f"seed_{seed}/{name}": array for name, array in params.items()}
            metrics += rows
            curve += points
        write_arrays(workdir.weights(phase), arrays)
    if config.cluster.curve_epochs:
        write_csv(workdir.learning_curve, in_table_order(curve, config), CURVE_COLUMNS)
    write_csv(workdir.metrics, in_table_order(metrics, config), METRICS_COLUMNS)


def in_table_order(rows: Iterable[Row], config: RunConfig) -> list[Row]:
    """Rows of the training's tables in the order of these."""
    return sorted(rows, key=lambda row: (config.phases.index(row["phase"]), row["epoch"], row["seed"]))


def check_losses(rows: list[Row], config: RunConfig) -> None:
    """Says so in the epoch in which a network's loss, in one of its rows, became other than finite; or stops the run.

    Raises:
      ValueError: if the config wants to stop.
    """
    for row in rows:
        step = row["nonfinite_step"]
        if step is None:
            continue
        where = f"seed {row['seed']}: the loss is not finite at step {step} of the {row['phase']} phase"
        if config.train.on_nan == "fail":
            raise ValueError(f"{where} (train.on_nan is 'fail'); a lower train.learning_rate may help")
        if step > row["step"] - row["step"] // row["epoch"]:
            logging.warning("%s; the network is left out of what follows", where)


def is_trained(workdir: Workdir) -> bool:
    """Whether the training stage has left all its files, none of them damaged."""
    config = workdir.config
    tables = [workdir.metrics] + [workdir.learning_curve] * bool(config.cluster.curve_epochs)
    if not all(map(is_readable, (*tables, *map(workdir.weights, config.phases)))):
        return False
    rows = {(row["phase"], row["epoch"]) for row in read_csv(workdir.metrics, ("phase", "epoch"))}
    return all((phase, config.epochs[phase]) in rows for phase in config.phases)
