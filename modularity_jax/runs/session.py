"""A run's directory, opened by every process that works on it."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

import jax
from absl import logging

from modularity_jax.runs.commands import command_line
from modularity_jax.runs.config import RunConfig, differences
from modularity_jax.runs.feasibility import check_feasible
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.lending import as_donor, check_donor, take_from
from modularity_jax.runs.lock import locked
from modularity_jax.runs.processes import Team, joined, team_of
from modularity_jax.runs.workdir import Workdir, check_jax_settings, create_workdir, open_workdir


@contextlib.contextmanager
def opened(
    path: pathlib.Path, config: RunConfig | None = None, donor: pathlib.Path | None = None
) -> Iterator[tuple[Workdir, Team]]:
    """The directory and the processes that share it; nobody else may write there meanwhile.

    Args:
      path: the directory.
      config: makes the directory where it is missing; None takes one that is there as it is.
      donor: a run of another config, of which all that is valid here is copied.

    Yields:
      The workdir, and the team that every stage is given.

    Raises:
      ValueError: if the config asks for what no network allows; if another run uses the directory, it holds another
        config, or there is none; or there is no such donor.
      StoppedError: if another process of the team leaves.
    """
    left_out = check_feasible(config) if config else []
    if config is None:
        open_workdir(path)  # or an error, before the lock makes the directory
    if donor:
        check_donor(donor, path)  # the same
        config = config and as_donor(config, open_workdir(donor).config)
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(locked(path))
            shutil.rmtree(path / "processes", ignore_errors=True)  # of a start that was cut short
        team = stack.enter_context(joined(team_of(path)))
        if team.is_first:
            workdir = create_workdir(path, config, command_line()) if config else open_workdir(path)
            for sentence in left_out:
                logging.warning("%s", sentence)
            if donor:
                take_from(workdir, [donor])
        team.wait()
        if not team.is_first:
            workdir = open_workdir(path)
            check_jax_settings(workdir)
            if config and (fields := differences(workdir.config, resolve(config, workdir.config))):
                raise ValueError(f"all processes must have one config, got (process 0's and mine): {'; '.join(fields)}")
        yield workdir, team
