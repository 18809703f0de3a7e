"""Processes that a benchmark starts."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def left_to_the_parent() -> Iterator[None]:
    """Processes that are started within it do not hear Ctrl-C: the parent ends them, and says the one line."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
