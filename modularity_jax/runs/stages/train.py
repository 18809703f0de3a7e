"""The training stage of a run: metrics.csv, weights/<phase>.npz and learning_curve.csv."""

import contextlib
import itertools
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.nets.sweep import Epoch, ResumePoint, after_unpruned, states_like, train_seeds
from modularity_jax.nets.training import Samples, TrainState, steps_per_epoch
from modularity_jax.runs import signals
from modularity_jax.runs.checkpoints import Checkpoints
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.group_sizes import naming
from modularity_jax.runs.plain_values import plain
from modularity_jax.runs.processes import ALONE, Team
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages.curve import curve_rows
from modularity_jax.runs.stages.inputs import COMPILE_SECONDS, load_samples, timed
from modularity_jax.runs.stages.networks import (
    check_losses,
    collate_networks,
    is_trained,
    keep_networks,
    nested,
    phases_in,
    read_network,
    table_order,
)
from modularity_jax.runs.tables import Row
from modularity_jax.runs.workdir import Workdir


class _Share(NamedTuple):
    """Networks that go through training together: all that are missing, or a part of them."""

    seeds: range

    @property
    def name(self) -> str:
        """Of its checkpoints."""
        return f"seeds_{self.seeds[0]:05d}-{self.seeds[-1]:05d}"


class _Done(NamedTuple):
    """What is known of a training under way."""

    resume: ResumePoint | None
    rows: list[Row]  # of metrics.csv
    curve: list[Row]  # of learning_curve.csv


def train_stage(workdir: Workdir, mesh: Mesh | None = None, team: Team = ALONE) -> None:
    """Train and prune the run's networks; nothing to do where all files are there.

    Where the config asks for it, their n-cut along the way. A network's phase that is in the run's store is not trained
    again, and a training that was interrupted goes on after its last checkpoint, with the same bits. Mesh: the devices
    share the networks of a process. Team: the processes share those of the run; a training that was begun by another
    number of processes keeps its shares.

    Raises:
      StoppedError: after a checkpoint, if it was asked to stop.
    """
    checkpoints = workdir.path / "checkpoints" / "train"
    if is_trained(workdir):
        logging.info("%s holds its trained networks already", workdir.path)
        if team.is_first:  # a process may have ended between the results and this
            _clear(checkpoints)
        return
    samples = load_samples(workdir.config)
    team.wait()  # all have seen that it is not trained
    if team.is_first:
        for share in _divide(workdir, team.count):
            (checkpoints / share.name).mkdir(parents=True, exist_ok=True)
    team.wait()
    shares = _shares(workdir)
    with timed(workdir, "train", team):
        for share in shares:
            if team.takes(f"train-{share.name}"):
                with naming(workdir.config, "train.seeds_per_group"):
                    _train(workdir, share, samples, mesh)
        team.wait()
        if team.is_first:
            collate_networks(workdir)
            _clear(checkpoints)
        team.wait()


def _divide(workdir: Workdir, num_processes: int) -> list[_Share]:
    """The shares that there are, and what no share has in parts for the processes: whole groups, for one is padded."""
    config, store = workdir.config, workdir.store()
    begun = {seed: len(phases_in(store, config, seed)) for seed in range(config.train.num_seeds)}
    missing = {seed for seed, phases in begun.items() if phases < len(config.phases)}
    shares = []
    for share in _shares(workdir):
        folder = workdir.path / "checkpoints" / "train" / share.name
        if missing.issuperset(share.seeds) and any(folder.iterdir()):
            missing -= set(share.seeds)
            shares.append(share)
        else:
            shutil.rmtree(folder)
    # Seeds in a row that go on from the same phase.
    for _, row in itertools.groupby(enumerate(sorted(missing)), key=lambda i: (i[1] - i[0], begun[i[1]])):
        seeds = [seed for _, seed in row]
        groups = np.array_split(range(seeds[0], seeds[-1] + 1, config.train.seeds_per_group), num_processes)
        bounds = [*(int(part[0]) for part in groups if part.size), seeds[-1] + 1]
        shares += [_Share(range(first, end)) for first, end in itertools.pairwise(bounds)]
    return shares


def _shares(workdir: Workdir) -> list[_Share]:
    """The shares into which the training was divided when it began."""
    found = []
    for path in sorted((workdir.path / "checkpoints" / "train").glob("seeds_*")):
        first, last = map(int, path.name.removeprefix("seeds_").split("-"))
        found.append(_Share(range(first, last + 1)))
    return found


def _clear(checkpoints: pathlib.Path) -> None:
    shutil.rmtree(checkpoints, ignore_errors=True)
    with contextlib.suppress(OSError):
        checkpoints.parent.rmdir()


def _train(workdir: Workdir, share: _Share, samples: Samples, mesh: Mesh | None) -> None:
    """Train a share's networks, from where it was left on."""
    config, store, size = workdir.config, workdir.store(), len(share.seeds)
    checkpoints = Checkpoints(workdir.path, f"train/{share.name}", training_settings(config))
    done = _left(workdir, share, checkpoints)
    rows, curve = done.rows, done.curve
    total = config.train.epochs + config.prune.epochs + 1
    settings: dict[str, Any] = {"model": config.model, "train": config.train, "prune": config.prune}
    title, before = f"training {size} networks", _num_epochs(done.resume, config)
    with Progress(title, total, before, COMPILE_SECONDS["train"]) as progress:
        for epoch in train_seeds(samples, **settings, mesh=mesh, seed_ids=share.seeds, resume=done.resume):
            rows += _metrics_rows(epoch, share.seeds, rows[-size:], config, samples.y_train.size)
            check_losses(rows[-size:], config)
            curve += curve_rows(epoch, share.seeds, rows, config, mesh)
            if epoch.epoch == epoch.num_epochs:
                keep_networks(store, config, epoch, share.seeds, rows, curve)
            accuracy = epoch.metrics.test_accuracy.mean()
            progress.advance(f"{epoch.phase} {epoch.epoch}/{epoch.num_epochs}, test accuracy {accuracy:.3f}")
            if epoch.states and (checkpoints.is_due() or signals.is_wanted()):
                _save(checkpoints, epoch, rows, curve)
            signals.check()


def training_settings(config: RunConfig) -> dict[str, Any]:
    """What decides the training's results."""
    values = config.to_dict()
    return {name: values[name] for name in ("data", "model", "train", "prune", "cluster")}


def _save(checkpoints: Checkpoints, epoch: Epoch, rows: list[Row], curve: list[Row]) -> None:
    leaves = jax.device_get(jax.tree.leaves(epoch.states))
    arrays = {f"leaf_{index:03d}": leaf for index, leaf in enumerate(leaves)}
    facts = {"phase": epoch.phase, "epoch": epoch.epoch, "rows": rows, "curve": curve}
    checkpoints.save(arrays, facts)


def _left(workdir: Workdir, share: _Share, checkpoints: Checkpoints) -> _Done:
    """Where a share was left: at its last checkpoint, or at the end of a phase if that is further."""
    found = _ended(workdir, share), _saved(workdir, share, checkpoints)
    done = max(found, key=lambda done: _num_epochs(done.resume, workdir.config))
    if done.resume:
        logging.info("%s goes on after epoch %d of the %s phase", workdir.path, done.resume.epoch, done.resume.phase)
    return done


def _ended(workdir: Workdir, share: _Share) -> _Done:
    """The end of the unpruned phase, if it is in the store; initial networks are soon made again."""
    config, store = workdir.config, workdir.store()
    if not all("unpruned" in phases_in(store, config, seed) for seed in share.seeds):
        return _Done(None, [], [])
    phases = config.phases[: config.phases.index("unpruned") + 1]
    try:
        found = {(phase, seed): read_network(store, config, phase, seed) for phase in phases for seed in share.seeds}
    except ValueError as error:
        logging.warning("%s", error)
        return _Done(None, [], [])
    params = [nested(found["unpruned", seed][0]) for seed in share.seeds]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *params)
    rows = sorted((row for _, own, _ in found.values() for row in own), key=table_order)
    curve = sorted((row for _, _, own in found.values() for row in own), key=table_order)
    return _Done(after_unpruned(stacked, model=config.model, train=config.train), rows, curve)


def _saved(workdir: Workdir, share: _Share, checkpoints: Checkpoints) -> _Done:
    """The last checkpoint; nothing where there is none, or the end of an earlier phase is gone."""
    config, saved = workdir.config, checkpoints.latest()
    if saved is None:
        return _Done(None, [], [])
    phase, epoch = saved.facts["phase"], saved.facts["epoch"]
    before = set(config.phases[: config.phases.index(phase)])
    if not all(before <= {*phases_in(workdir.store(), config, seed)} for seed in share.seeds):
        return _Done(None, [], [])
    structure = jax.tree.structure(states_like(config.model, config.train, phase))
    states: TrainState = jax.tree.unflatten(structure, [saved.arrays[name] for name in sorted(saved.arrays)])
    return _Done(ResumePoint(phase, epoch, states), saved.facts["rows"], saved.facts["curve"])


def _num_epochs(place: ResumePoint | None, config: RunConfig) -> int:
    """Finished pieces of the training, the initial networks being the first."""
    if place is None:
        return 0
    return 1 + place.epoch + (config.train.epochs if place.phase == "pruned" else 0)


def _metrics_rows(epoch: Epoch, seeds: Sequence[int], last: list[Row], config: RunConfig, num_train: int) -> list[Row]:
    """A row for each network; `last` are those of the epoch before, which know of a loss that was not finite."""
    steps = steps_per_epoch(num_train, config.train.batch_size)
    rows = []
    for index, seed in enumerate(seeds):
        row: Row = {"seed": seed, "phase": epoch.phase, "epoch": epoch.epoch, "step": epoch.epoch * steps}
        row |= {name: plain(values[index]) for name, values in epoch.metrics._asdict().items()}
        since = last[index]["nonfinite_step"] if last and last[index]["phase"] == epoch.phase else None
        here = row["nonfinite_step"] + (epoch.epoch - 1) * steps if row["nonfinite_step"] else None
        rows.append(row | {"nonfinite_step": since or here})
    return rows
