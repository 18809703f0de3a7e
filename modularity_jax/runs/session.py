"""A run's directory, opened for all processes that work on it, and the runs that lend it their finished pieces."""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import jax
from absl import logging

from modularity_jax.runs.commands import command_line
from modularity_jax.runs.config import RunConfig, differences
from modularity_jax.runs.feasibility import check_feasible
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.hosts import agreed, told_by_first
from modularity_jax.runs.lock import locked
from modularity_jax.runs.workdir import (
    PACKAGES,
    Workdir,
    check_jax_settings,
    create_workdir,
    jax_settings,
    open_workdir,
    read_versions,
    record,
)


@contextlib.contextmanager
def opened(path: pathlib.Path, config: RunConfig | None = None, donor: pathlib.Path | None = None) -> Iterator[Workdir]:
    """The directory, which nobody else may write meanwhile.

    Args:
      config: makes the directory where it is missing; None takes one that is there as it is.
      donor: a run of another config, of which all that is valid here is copied.

    Raises:
      ValueError: if the config asks for what no network allows; if another run uses the directory, it holds another
        config, or there is none; if there is no such donor; or if the processes differ in the config or in JAX's
        settings.
    """
    left_out = check_feasible(config) if config else []
    with contextlib.ExitStack() as stack:
        workdir = told_by_first(lambda: _open(stack, path, config, donor))
        settings = told_by_first(jax_settings)
        agreed(lambda: _check_same(workdir, config, settings))
        if jax.process_index() == 0:
            for sentence in left_out:
                logging.warning("%s", sentence)
        yield workdir


def _open(
    stack: contextlib.ExitStack, path: pathlib.Path, config: RunConfig | None, donor: pathlib.Path | None
) -> Workdir:
    """As `opened`, in the process that reads and writes; the stack gets the lock."""
    if config is None:
        open_workdir(path)  # or an error, before the lock makes the directory
    if donor:  # the same
        if donor.resolve() == path.resolve():
            raise ValueError(f"--fork_workdir must name another directory than --workdir, got {path} for both")
        if not (donor / "config.json").exists():
            raise ValueError(f"--fork_workdir copies from the run in --workdir, but {donor} holds no config.json")
        theirs = open_workdir(donor).config
        config = config and resolve(config, like=theirs)
    stack.enter_context(locked(path))
    workdir = create_workdir(path, config, command_line()) if config else open_workdir(path)
    if donor:
        take_from(workdir, [donor])
    return workdir


def take_from(workdir: Workdir, donors: Sequence[pathlib.Path]) -> None:
    """Have the run's store look into those of other runs, which are only read; `versions.json` notes which.

    The pieces' keys decide what of them is valid here. Networks of other versions or devices are taken too, with a
    warning, since they round differently.
    """
    known = read_versions(workdir.path).get("lenders", [])
    new = [donor for donor in donors if str(donor.absolute()) not in known and (donor / "pieces").is_dir()]
    for donor in new:
        logging.info("%s takes from %s what is valid here", workdir.path, donor)
        theirs, mine = map(read_versions, (donor, workdir.path))
        differ = [name for name in (*PACKAGES, "devices") if theirs.get(name) != mine.get(name)]
        if differ:
            logging.warning("%s was made with another %s and may round differently", donor, ", ".join(differ))
    if new:
        record(workdir.path, {"lenders": [*known, *(str(donor.absolute()) for donor in new)]})


def _check_same(workdir: Workdir, config: RunConfig | None, settings: dict[str, object]) -> None:
    """This process is as process 0, whose settings of JAX these are."""
    check_jax_settings(workdir.path, settings)
    if config and (fields := differences(workdir.config, resolve(config, workdir.config))):
        raise ValueError(f"all processes must have one config, got (process 0's and mine): {'; '.join(fields)}")
