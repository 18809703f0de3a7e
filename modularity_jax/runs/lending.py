"""Runs that lend another one their finished pieces; its keys decide what of them is valid there."""

import pathlib
from collections.abc import Sequence

from absl import logging

from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.workdir import PACKAGES, Workdir, open_workdir, read_versions, record


def check_donor(donor: pathlib.Path, path: pathlib.Path) -> None:
    """Another run's directory, to take from, and a new one's.

    Raises:
      ValueError: if they are the same, or the other holds no readable config.json.
    """
    if donor.resolve() == path.resolve():
        raise ValueError(f"--fork_workdir must name another directory than --workdir, got {path} for both")
    if not (donor / "config.json").exists():
        raise ValueError(f"--fork_workdir copies from the run in --workdir, but {donor} holds no config.json")
    open_workdir(donor)


def as_donor(config: RunConfig, donor: RunConfig) -> RunConfig:
    """The config with group sizes that it leaves open as the donor's, so that its results are valid."""
    return resolve(config, like=donor)


def take_from(workdir: Workdir, donors: Sequence[pathlib.Path]) -> None:
    """Have the run's store look into those of other runs, which are only read; `versions.json` notes which.

    Networks of other versions or devices are taken too, with a warning, since they round differently.
    """
    known = read_versions(workdir).get("lenders", [])
    new = [donor for donor in donors if str(donor.absolute()) not in known and (donor / "pieces").is_dir()]
    for donor in new:
        logging.info("%s takes from %s what is valid here", workdir.path, donor)
        theirs, mine = (read_versions(Workdir(path, workdir.config)) for path in (donor, workdir.path))
        differ = [name for name in (*PACKAGES, "devices") if theirs.get(name) != mine.get(name)]
        if differ:
            logging.warning("%s was made with another %s and may round differently", donor, ", ".join(differ))
    if new:
        record(workdir, {"lenders": [*known, *(str(donor.absolute()) for donor in new)]})
