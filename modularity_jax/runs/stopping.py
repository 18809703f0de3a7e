"""A wish to stop, by Ctrl-C or by SIGTERM from a scheduler, which waits until the piece of work in hand is saved."""

import signal
from types import FrameType

from absl import logging


class StoppedError(Exception):
    """Work ended early because it was asked to; all that was finished is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number  # as a shell reports it


_wish: int | None = None


def install() -> None:
    """Take SIGTERM and SIGINT as a wish to stop; the second one ends the process at once, as if nobody listened."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)


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
        number, _wish = _wish, None
        raise StoppedError(number)


def _on_signal(number: int, frame: FrameType | None) -> None:
    del frame
    global _wish
    _wish = number
    signal.signal(number, signal.SIG_DFL)
    logging.info("%s: saving after the piece of work in hand; once more ends at once", signal.Signals(number).name)
