"""A wish to stop, by Ctrl-C, SIGTERM from a scheduler or a process that is gone; work in hand is saved first."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from absl import logging

from modularity_jax.runs.commands import command_line


class StoppedError(Exception):
    """Work ended early because it was asked to; all that was finished is saved."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


_wish: StoppedError | None = None


def install() -> None:
    """Take SIGTERM and SIGINT as a wish to stop; the second one ends the process at once, as if nobody listened."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


def want(reason: str, exit_code: int = 1) -> None:
    """Wish that `check` ends the work for this reason, unless there is a wish already."""
    global _wish
    _wish = _wish or StoppedError(reason, exit_code)


def is_wanted() -> bool:
    """Whether work should be saved now, because `check` will end it."""
    return _wish is not None


def check() -> None:
    """Call between two pieces of work, when all that is finished is saved.

    Raises:
      StoppedError: if it was asked to stop.
    """
    global _wish
    if _wish is not None:
        wish, _wish = _wish, None
        raise wish


def farewell(reason: object) -> str:
    """What a user is told at the end of work that is not done."""
    return f"{reason}; all that was finished is saved, go on with: {command_line()}"


def end_now(reason: str) -> NoReturn:
    """End the process from any thread, when the work in hand does not come to a point where it could be saved."""
    sys.stderr.write(f"error: {farewell(reason)}\n")
    sys.stderr.flush()
    os._exit(1)


def _on_signal(number: int, frame: FrameType | None) -> None:
    del frame
    name = signal.Signals(number).name
    want(f"stopped by {name}", 128 + number)  # as a shell reports it
    signal.signal(number, signal.SIG_DFL)
    logging.info("%s: saving after the piece of work in hand; once more ends at once", name)
