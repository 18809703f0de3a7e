"""Progress of long work: a bar on a terminal, log lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from absl import logging
from tqdm.auto import tqdm

LOG_SECONDS = 30.0


class Progress:
    """Counts finished pieces of work; use it as a context manager.

    Args:
      title: what is being done.
      total: number of pieces.
      done: how many of them an earlier process has finished.
    """

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self._title, self._total, self._done, self._before = title, total, done, done
        self._start = self._logged = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, desc=title, unit="", disable=not sys.stderr.isatty(), dynamic_ncols=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def advance(self, what: str) -> None:
        """One piece is finished, here or elsewhere; `what` tells how things stand."""
        self._done += 1
        self._bar.set_postfix_str(what, refresh=False)
        self._bar.update()
        now = time.monotonic()
        if self._bar.disable and (now - self._logged > LOG_SECONDS or self._done == self._total):
            self._logged = now
            left = (now - self._start) / (self._done - self._before) * (self._total - self._done)
            logging.info("%s: %d of %d, %s, about %.0f s left", self._title, self._done, self._total, what, left)
