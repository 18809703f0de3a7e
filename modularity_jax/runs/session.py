"""A run's directory, opened for all processes that work on it."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
from absl import logging

from modularity_jax.runs.commands import command_line
from modularity_jax.runs.config import RunConfig, differences
from modularity_jax.runs.feasibility import check_feasible
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.hosts import agreed, told_by_first
from modularity_jax.runs.lending import as_donor, check_donor, take_from
from modularity_jax.runs.lock import locked
from modularity_jax.runs.workdir import Workdir, check_same_settings, create_workdir, jax_settings, open_workdir


@contextlib.contextmanager
def opened(path: pathlib.Path, config: RunConfig | None = None, donor: pathlib.Path | None = None) -> Iterator[Workdir]:
    """The directory, which nobody else may write meanwhile.

    Args:
      path: the directory.
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
    if donor:
        check_donor(donor, path)  # the same
        config = config and as_donor(config, open_workdir(donor).config)
    stack.enter_context(locked(path))
    workdir = create_workdir(path, config, command_line()) if config else open_workdir(path)
    if donor:
        take_from(workdir, [donor])
    return workdir


def _check_same(workdir: Workdir, config: RunConfig | None, settings: dict[str, object]) -> None:
    """This process is as process 0, whose settings of JAX these are."""
    check_same_settings(workdir.path, settings)
    if config and (fields := differences(workdir.config, resolve(config, workdir.config))):
        raise ValueError(f"all processes must have one config, got (process 0's and mine): {'; '.join(fields)}")
