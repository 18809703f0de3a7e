"""A run that begins with what is still valid of a run with another config."""

import itertools
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from absl import logging

from modularity_jax.runs.adopt import other_rounding, same_networks
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.stages import cluster_tables, lesion_tables
from modularity_jax.runs.stages.networks import METRICS_COLUMNS, copy_networks, finished_phases, is_trained
from modularity_jax.runs.stages.train import training_settings
from modularity_jax.runs.tables import read_json, read_table
from modularity_jax.runs.workdir import Workdir, open_workdir, record

_CURVE = ("num_clusters", "num_restarts", "selection", "solver", "curve_epochs")


def check_fork(donor: pathlib.Path, path: pathlib.Path) -> None:
    """Another run's directory, to copy from, and a new one's.

    Raises:
      ValueError: if they are the same, or the other holds no readable config.json.
    """
    if donor.resolve() == path.resolve():
        raise ValueError(f"--fork_workdir must name another directory than --workdir, got {path} for both")
    if not (donor / "config.json").exists():
        raise ValueError(f"--fork_workdir copies from the run in --workdir, but {donor} holds no config.json")
    open_workdir(donor)


def as_donor(config: RunConfig, donor: RunConfig) -> RunConfig:
    """The config with group sizes that it leaves open as the donor's, where that has networks to lend."""
    resolved = resolve(config, like=donor)
    return resolved if same_networks(donor, resolved) else config


def fork_workdir(workdir: Workdir, donor: Workdir) -> None:
    """Copy from a donor, which is only read, what it holds and a run with this config would make again.

    What is here already is kept, and a fork that is done is not done again. A damaged file is named in the log and not
    copied. Networks of other versions or devices are taken too, with a warning, but no test without its network: a
    network that is trained here would not be quite the same. `versions.json` notes what was taken.
    """
    noted = read_json(workdir.path, "versions.json").get("forked_from", {})
    if "taken" in noted:
        logging.info("%s was forked from %s already", workdir.path, noted["workdir"])
        return
    same = same_networks(donor.config, workdir.config)
    versions, differ = _versions(donor, workdir)
    source: dict[str, Any] = {"workdir": str(donor.path), "git_commit": versions.get("git_commit")}
    if differ:
        logging.warning("%s was made with another %s and may round differently", donor.path, ", ".join(differ))
        source["differs_in"] = differ
    record(workdir, {"forked_from": source})
    networks = _take_networks(workdir, donor, same)
    trusted = networks if differ else same
    taken = {
        "networks": list(networks),
        "training": bool(same) and _take_training(workdir, donor),
        "shuffle_tests": cluster_tables.take_tests(workdir, donor, trusted),
        "lesion_tests": lesion_tables.take_tests(workdir, donor, trusted),
    }
    record(workdir, {"forked_from": source | {"taken": taken}})
    told = ", ".join(f"{name}: {_told(value)}" for name, value in taken.items() if value)
    logging.info("%s takes from %s: %s", workdir.path, donor.path, told or "nothing, for nothing is valid here")


def _told(value: object) -> str:
    return " ".join(value) if isinstance(value, list) else "under way" if value is True else str(value)


def _versions(donor: Workdir, workdir: Workdir) -> tuple[dict[str, Any], list[str]]:
    """The donor's versions.json, and in what it differs so that results are rounded differently."""
    try:
        return read_json(donor.path, "versions.json"), other_rounding(donor, workdir)
    except (ValueError, OSError) as error:
        logging.warning("%s", error)
        return {}, ["versions.json"]


def _take_networks(workdir: Workdir, donor: Workdir, same: Sequence[str]) -> tuple[str, ...]:
    """Copy the finished phases, of those with the same networks; says which they are.

    A learning curve needs the networks along the way, so where it is another one they are trained again.
    """
    config, seeds = workdir.config, range(workdir.config.train.num_seeds)
    if donor.config.train.num_seeds < len(seeds) or not _same_curve(donor.config, config):
        return ()
    try:
        as_here = Workdir(donor.path, config)
        phases = [phase for phase in finished_phases(as_here) if phase in same]
        if config.train.on_nan == "fail" and phases:
            rows = read_table(donor.path, "metrics.csv", METRICS_COLUMNS)
            lost = {row["phase"] for row in rows if row["seed"] in seeds and row["nonfinite_step"] is not None}
            phases = list(itertools.takewhile(lambda phase: phase not in lost, phases))
        if len(phases) <= len(finished_phases(workdir)):
            return ()
        copy_networks(as_here, workdir, phases, seeds)
    except (ValueError, OSError) as error:
        logging.warning("%s cannot lend its networks: %s", donor.path, error)
        return ()
    return tuple(phases)


def _same_curve(donor: RunConfig, config: RunConfig) -> bool:
    """Whether the donor's learning curve is the one that is asked for, if any is."""
    same = all(getattr(donor.cluster, name) == getattr(config.cluster, name) for name in _CURVE)
    return same or not config.cluster.curve_epochs


def _take_training(workdir: Workdir, donor: Workdir) -> bool:
    """Copy the checkpoints of a training under way, if they would be accepted here; whether there are any."""
    if training_settings(donor.config) != training_settings(workdir.config) or is_trained(workdir):
        return False
    taken = [_copy_folder(donor.path, workdir.path, name) for name in ("checkpoints/train", "parts/train")]
    return any(taken)


def _copy_folder(source: pathlib.Path, target: pathlib.Path, name: str) -> bool:
    """Whole or not at all, where it is not there yet."""
    if not (source / name).is_dir() or (target / name).exists():
        return False
    temporary = target / f".{pathlib.PurePath(name).parts[0]}.fork"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        shutil.copytree(source / name, temporary)
    except OSError as error:  # shutil's own, which names the files
        logging.warning("%s is not copied: %s", source / name, error)
        return False
    (target / name).parent.mkdir(exist_ok=True)
    temporary.rename(target / name)
    return True
