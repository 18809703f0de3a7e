"""Networks that another run has trained already with the same settings."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

from absl import logging

from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.stages.networks import copy_networks, is_trained
from modularity_jax.runs.tables import read_json
from modularity_jax.runs.workdir import PACKAGES, Workdir, open_workdir, record


def adopt_networks(workdir: Workdir, donors: Iterable[pathlib.Path]) -> None:
    """Copy weights and metrics from the first run that holds what this one would train: nothing, if none does.

    A network depends on its seed and the settings of data, model, training and pruning alone, so a run with more seeds
    serves one with fewer. Runs by other versions of the packages or on other devices round differently and are passed
    over. `versions.json` notes where the networks came from, and from which commit. A run that asks for a learning
    curve trains by itself.
    """
    if is_trained(workdir) or workdir.config.cluster.curve_epochs:
        return
    for donor in _serving(workdir, donors):
        copy_networks(donor, workdir, workdir.config.phases, range(workdir.config.train.num_seeds))
        commit = read_json(donor.path, "versions.json").get("git_commit")
        record(workdir, {"networks_from": {"workdir": str(donor.path), "git_commit": commit}})
        logging.info("%s takes its networks from %s", workdir.path, donor.path)
        return


def same_networks(donor: RunConfig, wanted: RunConfig) -> tuple[str, ...]:
    """The wanted phases in which the networks of two runs' common seeds are the same, up to rounding."""
    train = dataclasses.replace(donor.train, num_seeds=wanted.train.num_seeds, on_nan=wanted.train.on_nan)
    if (donor.data, donor.model, train) != (wanted.data, wanted.model, wanted.train):
        return ()
    return tuple(phase for phase in wanted.phases if phase != "pruned" or donor.prune == wanted.prune)


def other_rounding(donor: Workdir, workdir: Workdir) -> list[str]:
    """In what two runs differ that rounds differently: names of packages, "devices", or settings of JAX, some of which
    decide random bits too.

    Raises:
      FileNotFoundError: if a versions.json is missing.
      ValueError: if one is damaged.
    """
    theirs, mine = (read_json(place.path, "versions.json") for place in (donor, workdir))
    found = [name for name in (*PACKAGES, "devices") if theirs.get(name) != mine.get(name)]
    noted, now = (versions.get("jax_settings", {}) for versions in (theirs, mine))
    return found + [name for name in noted if name in now and noted[name] != now[name]]


def _serving(workdir: Workdir, donors: Iterable[pathlib.Path]) -> Iterator[Workdir]:
    for path in donors:
        if not (path / "config.json").exists():
            continue
        try:
            donor = open_workdir(path)
            differ = other_rounding(donor, workdir)
        except (ValueError, OSError) as error:
            logging.warning("%s cannot lend its networks: %s", path, error)
            continue
        enough = donor.config.train.num_seeds >= workdir.config.train.num_seeds
        same = same_networks(donor.config, workdir.config) == workdir.config.phases
        if same and enough and not differ and is_trained(donor):
            yield donor
