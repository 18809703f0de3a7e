"""The training stage of a run: metrics.csv, weights/<phase>.npz, learning_curve.csv and TensorBoard's files."""

import contextlib
import itertools
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.nets.kernels import nested
from modularity_jax.nets.sweep import Epoch, ResumePoint, after_phase, states_like, train_seeds
from modularity_jax.nets.training import Samples, TrainState, steps_per_epoch
from modularity_jax.runs import signals
from modularity_jax.runs.checkpoints import Checkpoints, Saved
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.pieces import timed
from modularity_jax.runs.plain_values import plain
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages.curve import curve_rows
from modularity_jax.runs.stages.inputs import load_samples
from modularity_jax.runs.stages.networks import check_losses, collate_networks, keep_networks, num_phases, read_phase
from modularity_jax.runs.tables import Row, is_complete, read_table, score_name
from modularity_jax.runs.tensorboard import COMPLETE, EventFiles, check_writer
from modularity_jax.runs.workdir import Workdir


class _Share(NamedTuple):
    """Networks that go through training together, and what is known of them."""

    seeds: list[int]
    resume: ResumePoint | None
    rows: list[Row]  # of metrics.csv
    curve: list[Row]  # of learning_curve.csv


def train_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Train and prune the run's networks; nothing to do where all files are there.

    Where the config asks for it, their n-cut along the way. A network's phase that is in the run's store is not trained
    again, and a training that was interrupted goes on after its last checkpoint, with the same bits. Mesh: the devices,
    of all processes, share the networks.

    Raises:
      StoppedError: after a checkpoint, if it was asked to stop.
      ImportError: if TensorBoard's files are asked for and what writes them is missing.
    """
    config = workdir.config
    if config.report.tensorboard:
        told_by_first(check_writer)
    checkpoints = Checkpoints(workdir.path)
    if told_by_first(lambda: _is_done(workdir)):
        logging.info("%s holds its trained networks already", workdir.path)
        told_by_first(checkpoints.clear)  # a process may have ended between the results and this
        told_by_first(lambda: _complete_events(workdir, range(config.num_networks)))
        return
    samples = load_samples(config)
    saved = checkpoints.latest()
    with timed(workdir, "train"):
        shares = _shares(workdir, saved)
        for share in shares:
            _train(workdir, share, checkpoints, samples, mesh)
        told_by_first(lambda: collate_networks(workdir))
        told_by_first(checkpoints.clear)
        trained = {seed for share in shares for seed in share.seeds}
        told_by_first(lambda: _complete_events(workdir, set(range(config.num_networks)) - trained))


def _is_done(workdir: Workdir) -> bool:
    """Whether the files have the last epoch of each network's phases."""
    config = workdir.config
    others = [f"weights/{phase}.npz" for phase in config.phases] + ["learning_curve.csv"] * bool(
        config.cluster.curve_epochs
    )
    asked = itertools.product(config.epochs.items(), range(config.num_networks))
    place = operator.itemgetter("phase", "epoch", "seed")
    return is_complete(workdir.path, ["metrics.csv"], others, ((*end, seed) for end, seed in asked), place)


def _shares(workdir: Workdir, saved: Saved | None) -> list[_Share]:
    """The networks that lack a phase: those of the checkpoint, and the rest by the phase that they go on from."""
    config, store = workdir.config, workdir.store()
    begun = told_by_first(lambda: {seed: num_phases(store, config, seed) for seed in range(config.num_networks)})
    missing = [seed for seed, phases in begun.items() if phases < len(config.phases)]
    shares = []
    # Where the store has all that comes before the checkpoint's phase, and of one of its networks no more.
    if saved and min(begun[seed] for seed in saved.facts["seeds"]) == config.phases.index(saved.facts["phase"]):
        shares.append(_under_way(config, saved))
        missing = [seed for seed in missing if seed not in saved.facts["seeds"]]
    for phases, own in itertools.groupby(sorted(missing, key=begun.__getitem__), key=begun.__getitem__):
        shares.append(_ended(workdir, list(own), phases))
    for share in shares:
        if share.resume:
            where = share.resume.epoch, share.resume.phase
            logging.info("%s goes on after epoch %d of the %s phase", workdir.path, *where)
    return shares


def _train(workdir: Workdir, share: _Share, checkpoints: Checkpoints, samples: Samples, mesh: Mesh | None) -> None:
    """Train a share's networks, from where it was left on."""
    config, store, size = workdir.config, workdir.store(), len(share.seeds)
    rows, curve = share.rows, share.curve
    total = 1 + sum(config.epochs.values())
    settings: dict[str, Any] = {"model": config.model, "train": config.train, "prune": config.prune}
    title, before = f"training {size} networks", _num_epochs(share.resume, config)
    with Progress(title, total, before) as progress, contextlib.closing(_events(workdir, share.seeds)) as events:
        networks = [config.network(seed) for seed in share.seeds]
        for epoch in train_seeds(samples, **settings, mesh=mesh, networks=networks, resume=share.resume):
            rows += _metrics_rows(epoch, share.seeds, rows[-size:], config, len(samples.y_train))
            check_losses(rows[-size:], config)
            curve += curve_rows(epoch, share.seeds, rows, config, mesh)
            events.write(rows, curve)
            if epoch.epoch == epoch.num_epochs:
                keep_networks(store, config, epoch, share.seeds, rows, curve)
            score = score_name(rows[-size:])
            told = f"{score.replace('_', ' ')} {getattr(epoch.metrics, score).mean():.3f}"
            progress.advance(f"{epoch.phase} {epoch.epoch}/{epoch.num_epochs}, {told}")
            wanted = signals.is_wanted()
            if epoch.states and epoch.epoch < epoch.num_epochs and (wanted or checkpoints.is_due()):
                leaves = {f"leaf_{index:03d}": leaf for index, leaf in enumerate(jax.tree.leaves(epoch.states))}
                facts = {"phase": epoch.phase, "epoch": epoch.epoch, "pruned": epoch.states.masks is not None}
                checkpoints.save(leaves, facts | {"seeds": share.seeds, "rows": rows, "curve": curve})
            if wanted:
                signals.check()


def _events(workdir: Workdir, seeds: Iterable[int]) -> EventFiles:
    """The event files of these networks, if the config asks for them; the folders' names have what was swept."""
    config, names = workdir.config, {}
    for seed in seeds if config.report.tensorboard else ():
        own = (f"{path.partition('.')[2]}={value}" for path, value in config.network(seed).own)
        names[seed] = ",".join([f"seed_{seed}", *own])
    return EventFiles(workdir.path / "tensorboard", names, config.epochs)


def _complete_events(workdir: Workdir, seeds: Iterable[int]) -> None:
    """The event files of these networks, which were not trained just now, from the tables, if any are asked for."""
    config, complete = workdir.config, workdir.path / "tensorboard" / COMPLETE
    if not config.report.tensorboard or complete.exists():
        return
    curve = read_table(workdir.path, "learning_curve.csv") if config.cluster.curve_epochs else []
    with contextlib.closing(_events(workdir, seeds)) as events:
        events.write(read_table(workdir.path, "metrics.csv"), curve)
    complete.touch()


def _ended(workdir: Workdir, seeds: list[int], num_phases: int) -> _Share:
    """Networks whose first phases the store has; initial networks are soon made again."""
    config, store, share = workdir.config, workdir.store(), _Share(seeds, None, [], [])
    if num_phases < 2:
        return share
    for phase in config.phases[:num_phases]:
        params, rows, curve = read_phase(store, config, phase, seeds)
        share.rows.extend(rows)
        share.curve.extend(curve)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(nested(params[seed]) for seed in seeds))
    resume = after_phase(phase, config.epochs[phase], stacked, model=config.model, train=config.train)
    return share._replace(resume=resume)


def _under_way(config: RunConfig, saved: Saved) -> _Share:
    """A checkpoint's networks."""
    seeds, phase, epoch, rows, curve = (saved.facts[name] for name in ("seeds", "phase", "epoch", "rows", "curve"))
    networks = [config.network(seed) for seed in seeds]
    structure = jax.tree.structure(states_like(config.model, config.train, networks, pruned=saved.facts["pruned"]))
    states: TrainState = jax.tree.unflatten(structure, [saved.arrays[name] for name in sorted(saved.arrays)])
    return _Share(seeds, ResumePoint(phase, epoch, states), rows, curve)


def _num_epochs(place: ResumePoint | None, config: RunConfig) -> int:
    """Finished pieces of the training, the initial networks being the first."""
    if place is None:
        return 0
    before = list(config.epochs)[: list(config.epochs).index(place.phase)]
    return 1 + place.epoch + sum(config.epochs[phase] for phase in before)


def _metrics_rows(epoch: Epoch, seeds: Sequence[int], last: list[Row], config: RunConfig, num_train: int) -> list[Row]:
    """A row for each network; `last` are those of the epoch before, which know of a loss that was not finite."""
    steps = steps_per_epoch(num_train, config.train.batch_size)
    rows = []
    for index, seed in enumerate(seeds):
        row: Row = {"seed": seed, "phase": epoch.phase, "epoch": epoch.epoch, "step": epoch.epoch * steps}
        values = epoch.metrics._asdict().items()
        row |= {name: None if own is None else plain(own[index]) for name, own in values}
        since = last[index]["nonfinite_step"] if last and last[index]["phase"] == epoch.phase else None
        here = row["nonfinite_step"] + (epoch.epoch - 1) * steps if row["nonfinite_step"] else None
        rows.append(row | {"nonfinite_step": since or here})
    return rows
