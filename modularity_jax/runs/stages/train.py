"""The training stage of a run: metrics.csv, weights/<phase>.npz and learning_curve.csv."""

import functools
import itertools
import operator
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.nets.mlp import Params
from modularity_jax.nets.sweep import PHASES, Resume, after_unpruned, states_like, train_seeds
from modularity_jax.nets.sweep import Progress as Epoch
from modularity_jax.nets.training import Samples, TrainState, steps_per_epoch
from modularity_jax.runs import signals as stopping
from modularity_jax.runs.checkpoints import Checkpoints
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.group_sizes import naming
from modularity_jax.runs.processes import ALONE, Team
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages.inputs import (
    COMPILE_SECONDS,
    cluster_network,
    collect,
    load_params,
    load_samples,
    timed,
)
from modularity_jax.runs.stages.left_out import why_not
from modularity_jax.runs.stages.networks import (
    CURVE_COLUMNS,
    METRICS_COLUMNS,
    copy_networks,
    finished_phases,
    is_trained,
)
from modularity_jax.runs.tables import Row, is_readable, plain, read_arrays, read_csv, write_arrays, write_csv
from modularity_jax.runs.workdir import Workdir


class _Share(NamedTuple):
    """Networks that go through training together, and where it leaves them: all the run's, or a part of them."""

    workdir: Workdir
    seeds: tuple[int, ...]


class _Done(NamedTuple):
    """What is known of a training under way."""

    resume: Resume | None
    rows: list[Row]  # of metrics.csv
    curve: list[Row]  # of learning_curve.csv


def train_stage(workdir: Workdir, mesh: Mesh | None = None, team: Team = ALONE) -> None:
    """Train and prune the run's networks; nothing to do where all files are there.

    Where the config asks for it, their n-cut along the way. A training that was interrupted goes on after its last
    checkpoint or the last phase whose files are there, with the same bits. Mesh: the devices share the networks of a
    process. Team: the processes share those of the run; a training that was begun by another number of processes keeps
    its shares.

    Raises:
      StoppedError: after a checkpoint, if it was asked to stop.
    """
    if is_trained(workdir):
        logging.info("%s holds its trained networks already", workdir.path)
        if team.is_first:  # a process may have ended between the results and this
            shutil.rmtree(workdir.path / "parts" / "train", ignore_errors=True)
            Checkpoints(workdir.path, "train", {}).clear()
        return
    samples = load_samples(workdir.config)
    team.wait()  # all have seen that it is not trained
    if team.is_first:
        for share in _divide(workdir, team.count):
            share.workdir.path.mkdir(parents=True, exist_ok=True)
        _hand_on(workdir)
    team.wait()
    shares = _shares(workdir)
    with timed(workdir, "train", team):
        for share in shares:
            if team.takes(f"train-{share.workdir.path.name}") and not is_trained(share.workdir):
                with naming(workdir.config, "train.seeds_per_group"):
                    _train(share, samples, mesh)
        team.wait()
    collect(workdir, "train", team, functools.partial(_add_parts, workdir, shares))


def _divide(workdir: Workdir, num_processes: int) -> list[_Share]:
    """The shares that there are, or one for each process; each has whole groups, since a group is padded."""
    config, size = workdir.config.train, workdir.config.train.seeds_per_group
    if len(shares := _shares(workdir)) > 1 or num_processes == 1 or (workdir.path / "checkpoints" / "train").exists():
        return shares
    groups = np.array_split(range(-(-config.num_seeds // size)), num_processes)
    bounds = [min(int(part[-1] + 1) * size, config.num_seeds) for part in groups if part.size]
    return [
        _Share(workdir.part("train", f"seeds_{first:05d}-{last - 1:05d}"), tuple(range(first, last)))
        for first, last in itertools.pairwise([0, *bounds])
    ]


def _shares(workdir: Workdir) -> list[_Share]:
    """The shares into which the training was divided when it began."""
    found = []
    for part in workdir.parts("train"):
        first, last = map(int, part.path.name.removeprefix("seeds_").split("-"))
        found.append(_Share(part, tuple(range(first, last + 1))))
    return found or [_Share(workdir, tuple(range(workdir.config.train.num_seeds)))]


def _hand_on(workdir: Workdir) -> None:
    """The phases that the run has finished, to those of its shares that have nothing yet."""
    phases = finished_phases(workdir)
    for share in _shares(workdir):
        if phases and not share.workdir.metrics.exists():
            copy_networks(workdir, share.workdir, phases, share.seeds)


def _add_parts(workdir: Workdir, shares: Sequence[_Share], parts: Sequence[Workdir]) -> None:
    """Make the run's own files of its shares'."""
    del parts
    for phase in workdir.config.phases:
        arrays = [read_arrays(share.workdir.path, f"weights/{phase}.npz") for share in shares]
        write_arrays(workdir.weights(phase), functools.reduce(operator.or_, arrays))
    if workdir.config.cluster.curve_epochs:
        curves = [read_csv(share.workdir.learning_curve, CURVE_COLUMNS) for share in shares]
        write_csv(workdir.learning_curve, sorted(itertools.chain(*curves), key=_when), CURVE_COLUMNS)
    metrics = [read_csv(share.workdir.metrics, METRICS_COLUMNS) for share in shares]
    write_csv(workdir.metrics, sorted(itertools.chain(*metrics), key=_when), METRICS_COLUMNS)


def _when(row: Mapping[str, Any]) -> tuple[int, int, int]:
    """The place of a row in the training's tables."""
    return PHASES.index(row["phase"]), row["epoch"], row["seed"]


def _train(share: _Share, samples: Samples, mesh: Mesh | None) -> None:
    """Train a share's networks, from where it was left on."""
    workdir, config, size = share.workdir, share.workdir.config, len(share.seeds)
    checkpoints = Checkpoints(workdir.path, "train", training_settings(config))
    done = _left(share, checkpoints)
    rows, curve = done.rows, done.curve
    total = config.train.epochs + config.prune.epochs + 1
    settings: dict[str, Any] = {"model": config.model, "train": config.train, "prune": config.prune}
    title, before = f"training {size} networks", _num_epochs(done.resume, config)
    with Progress(title, total, before, COMPILE_SECONDS["train"]) as progress:
        for epoch in train_seeds(samples, **settings, mesh=mesh, seed_ids=share.seeds, resume=done.resume):
            rows += _metrics_rows(epoch, share.seeds, rows[-size:], config, samples.y_train.size)
            _check_finite(rows[-size:], config)
            curve += _curve_rows(epoch, share.seeds, rows, config, mesh)
            if epoch.epoch == epoch.num_epochs:
                write_arrays(workdir.weights(epoch.phase), _flatten(epoch.params, share.seeds))
                if config.cluster.curve_epochs:
                    write_csv(workdir.learning_curve, curve, CURVE_COLUMNS)
                write_csv(workdir.metrics, rows, METRICS_COLUMNS)
            accuracy = epoch.metrics.test_accuracy.mean()
            progress.advance(f"{epoch.phase} {epoch.epoch}/{epoch.num_epochs}, test accuracy {accuracy:.3f}")
            if epoch.states and (checkpoints.is_due() or stopping.is_wanted()):
                _save(checkpoints, epoch, rows, curve)
            stopping.check()
    checkpoints.clear()


def _check_finite(rows: list[Row], config: RunConfig) -> None:
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


def training_settings(config: RunConfig) -> dict[str, Any]:
    """What decides the training's results."""
    values = config.to_dict()
    return {name: values[name] for name in ("data", "model", "train", "prune", "cluster")}


def _save(checkpoints: Checkpoints, epoch: Epoch, rows: list[Row], curve: list[Row]) -> None:
    leaves = jax.device_get(jax.tree.leaves(epoch.states))
    arrays = {f"leaf_{index:03d}": leaf for index, leaf in enumerate(leaves)}
    facts = {"phase": epoch.phase, "epoch": epoch.epoch, "rows": rows, "curve": curve}
    checkpoints.save(arrays, facts)


def _left(share: _Share, checkpoints: Checkpoints) -> _Done:
    """Where a share was left: at its last checkpoint, or at the end of a phase if that is further."""
    workdir, config = share.workdir, share.workdir.config
    done = max(_ended(share), _saved(workdir, checkpoints), key=lambda done: _num_epochs(done.resume, config))
    if done.resume:
        logging.info("%s goes on after epoch %d of the %s phase", workdir.path, done.resume.epoch, done.resume.phase)
    return done


def _ended(share: _Share) -> _Done:
    """The end of the unpruned phase, if its files are there; what is there of initial networks is soon made again."""
    workdir, config, phases = share.workdir, share.workdir.config, finished_phases(share.workdir)
    if "unpruned" not in phases:
        return _Done(None, [], [])
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *load_params(workdir, "unpruned", share.seeds))
    rows = [row for row in read_csv(workdir.metrics, METRICS_COLUMNS) if row["phase"] in phases]
    curve = read_csv(workdir.learning_curve, CURVE_COLUMNS) if config.cluster.curve_epochs else []
    curve = [row for row in curve if row["phase"] in phases]
    return _Done(after_unpruned(params, model=config.model, train=config.train), rows, curve)


def _saved(workdir: Workdir, checkpoints: Checkpoints) -> _Done:
    """The last checkpoint; nothing where there is none, or a file that an earlier phase has left is gone."""
    config, saved = workdir.config, checkpoints.latest()
    if saved is None:
        return _Done(None, [], [])
    phase, epoch = saved.facts["phase"], saved.facts["epoch"]
    before = [name for name in config.phases if PHASES.index(name) < PHASES.index(phase)]
    if not all(is_readable(workdir.weights(name)) for name in before):
        return _Done(None, [], [])
    structure = jax.tree.structure(states_like(config.model, config.train, phase))
    states: TrainState = jax.tree.unflatten(structure, [saved.arrays[name] for name in sorted(saved.arrays)])
    return _Done(Resume(phase, epoch, states), saved.facts["rows"], saved.facts["curve"])


def _num_epochs(place: Resume | None, config: RunConfig) -> int:
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


def _curve_rows(
    epoch: Epoch, seeds: Sequence[int], metrics: list[Row], config: RunConfig, mesh: Mesh | None
) -> list[Row]:
    """n-cut of each network after this epoch, if it is one of those asked for; each phase's last one is.

    Clustered with the key of the shuffle tests, so that a phase's last row agrees with clusterability.csv. A network
    whose loss was not finite, by its rows of metrics.csv, has none, and neither has one with too few connected neurons.
    """
    wanted = config.cluster.curve_epochs
    if not wanted or (epoch.epoch not in wanted and epoch.epoch != epoch.num_epochs):
        return []
    rows: list[Row] = []
    bad = {row["seed"] for row in metrics if row["nonfinite_step"] is not None}
    for index, seed in enumerate(seeds):
        if seed in bad:
            continue
        graph = LayeredGraph.from_params(jax.tree.map(lambda leaf, index=index: np.asarray(leaf[index]), epoch.params))
        for count in config.cluster.num_clusters:
            if why := why_not(graph, count):
                if epoch.epoch == epoch.num_epochs:
                    where = f"the {epoch.phase} phase, seed {seed}, k = {count}"
                    logging.warning("learning_curve.csv does not go on to the end of %s: %s", where, why)
                continue
            found = cluster_network(graph, config, seed, count, mesh)
            row: Row = {"seed": seed, "phase": epoch.phase, "epoch": epoch.epoch, "num_clusters": count}
            row |= {name: plain(getattr(found, name)) for name in ("ncut", "lower_bound", "num_isolated")}
            row |= {name: plain(getattr(epoch.metrics, name)[index]) for name in ("test_accuracy", "sparsity")}
            rows.append(row)
    return rows


def _flatten(params: Params, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """Arrays `seed_<id>/layer_<ll>/kernel` and `/bias` of stacked parameters [S, ...]."""
    host = jax.device_get(params)
    return {
        f"seed_{seed}/{layer}/{name}": values[index]
        for index, seed in enumerate(seeds)
        for layer, parts in sorted(host.items())
        for name, values in sorted(parts.items(), reverse=True)
    }
