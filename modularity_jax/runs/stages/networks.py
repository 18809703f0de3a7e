"""A run's networks as pieces, and as its files: weights/<phase>.npz, metrics.csv and learning_curve.csv."""

import itertools
import operator
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
from modularity_jax.runs.tables import Row, score_name, write_arrays
from modularity_jax.runs.workdir import Workdir, jax_settings

METRICS_COLUMNS = (
    "seed", "phase", "epoch", "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "sparsity",
    "nonfinite_step",
)  # fmt: skip


def _network_key(config: RunConfig, phase: str, seed: int) -> dict[str, Any]:
    """What decides a network at the end of a phase: its own settings, whatever is trained beside it."""
    own = config.alone(seed)
    values = own.to_dict()
    train = {name: value for name, value in values["train"].items() if name not in ("num_seeds", "on_nan")}
    model = {name: value for name, value in values["model"].items() if name not in ("wiring", "weights")}
    decides = {"data": values["data"], "model": model, "train": train}
    phases = recipe_of(own.train).phases(own.train, own.prune)
    sections = next((own.decided_by for own in phases if own.name == phase), ())
    decides |= {name: values[name] for name in sections if name not in decides}
    return {
        "piece": "network",
        "phase": phase,
        "network": config.network(seed).seed,
        "bits": BITS,
        **decides,
        **jax_settings(),
    }


def _curve_key(config: RunConfig, phase: str, seed: int) -> dict[str, Any]:
    """What decides a network's learning curve within a phase."""
    own = config.to_dict()["cluster"]
    others = ("phases", "methods", "num_shuffles")
    settings = {name: value for name, value in own.items() if name not in others}
    return _network_key(config, phase, seed) | {"piece": "curve", "cluster": settings, "controls": NUM_CONTROLS}


def num_phases(store: Store, config: RunConfig, seed: int) -> int:
    """How many phases of a network the store has undamaged, from the first on; with their learning curve if asked."""

    def is_there(phase: str) -> bool:
        keys = [_network_key(config, phase, seed)]
        keys += [_curve_key(config, phase, seed)] if config.cluster.curve_epochs else []
        return all(store.get(key) is not None for key in keys)

    return len([*itertools.takewhile(is_there, config.phases)])


def read_phase(
    store: Store, config: RunConfig, phase: str, seeds: Iterable[int]
) -> tuple[dict[int, dict[str, np.ndarray]], list[Row], list[Row]]:
    """Networks at the end of a phase: their parameters, as `layer_<ll>/kernel`, and its rows of the two tables.

    Raises:
      ValueError: if a piece is missing or damaged, or a loss was not finite where the config wants to stop at that.
    """
    params, metrics, curve = {}, [], []
    for seed in seeds:
        piece = store.get(_network_key(config, phase, seed))
        points = store.get(_curve_key(config, phase, seed)) if config.cluster.curve_epochs else {"rows": packed([])}
        if piece is None or points is None:
            raise ValueError(f"a piece of the {phase} network of seed {seed} was damaged; the same command remakes it")
        # A run with other networks beside it may have made the pieces, under another number.
        metrics += [row | {"seed": seed} for row in unpacked(piece.pop("rows"))]
        curve += [row | {"seed": seed} for row in unpacked(points["rows"])]
        params[seed] = piece
    if config.train.on_nan == "fail":
        check_losses(metrics, config)
    place = operator.itemgetter("epoch", "seed")
    return params, sorted(metrics, key=place), sorted(curve, key=place)


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
        params, rows, points = read_phase(store, config, phase, range(config.num_networks))
        arrays = {f"seed_{seed}/{name}": array for seed, own in params.items() for name, array in own.items()}
        write_arrays(workdir.path / f"weights/{phase}.npz", arrays)
        metrics += rows
        curve += points
    if config.cluster.curve_epochs:
        workdir.write_table("learning_curve.csv", curve, (*CURVE_COLUMNS, score_name(metrics)))
    workdir.write_table("metrics.csv", metrics, METRICS_COLUMNS)


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
