"""A wish to stop, by Ctrl-C or SIGTERM from a scheduler; work in hand is saved first.

With several processes JAX takes SIGTERM, whichever of them gets it, and tells all to stop after the same piece.
"""

import os
import signal
from types import FrameType

import jax
from absl import logging
from jax.experimental import multihost_utils

from modularity_jax.runs.commands import command_line


class StoppedError(Exception):
    """Work ended early because it was asked to; all that was finished is saved."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


_wish: StoppedError | None = None
_asked = 0  # how often: the same number in all processes at the same place of their work


def install() -> None:
    """Take SIGTERM and SIGINT as a wish to stop; the second one ends the process at once, as if nobody listened."""
    signal.signal(signal.SIGINT, _on_signal)
    if jax.process_count() == 1:
        signal.signal(signal.SIGTERM, _on_signal)


def want(number: int) -> None:
    """Wish that `check` ends the work because of this signal, unless there is a wish already."""
    global _wish
    # The exit code is as a shell reports it.
    _wish = _wish or StoppedError(f"stopped by {signal.Signals(number).name}", 128 + number)


def is_wanted() -> bool:
    """Whether work should be saved now, because `check` will end it; of several processes all ask in step."""
    global _asked
    if _wish is None and jax.process_count() > 1:
        _asked += 1
        if multihost_utils.reached_preemption_sync_point(_asked):
            want(signal.SIGTERM)
    return _wish is not None


def check() -> None:
    """`is_wanted`, and no return then: call it between two pieces of work, when all that is finished is saved.

    Raises:
      StoppedError: if it was asked to stop.
    """
    global _wish
    if is_wanted() and _wish:
        wish, _wish = _wish, None
        raise wish


def farewell(reason: object) -> str:
    """What a user is told at the end of work that is not done."""
    return f"{reason}; all that was finished is saved, go on with: {command_line()}"


def _on_signal(number: int, frame: FrameType | None) -> None:
    del frame
    name = signal.Signals(number).name
    signal.signal(number, signal.SIG_DFL)
    logging.info("%s: saving after the piece of work in hand; once more ends at once", name)
    if jax.process_count() > 1:
        os.kill(os.getpid(), signal.SIGTERM)  # whose way to the other processes is JAX's
    else:
        want(number)
