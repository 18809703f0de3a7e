"""Progress of long work: a bar on a terminal, log lines elsewhere."""

import sys
import time
from typing import Self

from absl import logging
from tqdm.auto import tqdm

from modularity_jax.runs.compilation import CompileWatch

LOG_SECONDS = 30.0
# tqdm's own time left would count compilation, which comes once, to every piece.
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class Progress:
    """Counts finished pieces of work; use it as a context manager.

    Compilation is named while it lasts, and the time left is that of the pieces alone.

    Args:
      title, total: what is being done, and in how many pieces.
      done: how many of them an earlier process has finished.
    """

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self._title, self._total, self._done, self._before = title, total, done, done
        self._text = "starting; compilation, the first time, takes seconds to a minute"
        self._start = self._logged = time.monotonic()
        self._watch = CompileWatch(self._name_program)
        self._bar = tqdm(
            total=total, initial=done, desc=title, bar_format=_BAR, disable=not sys.stderr.isatty(), dynamic_ncols=True
        )

    def __enter__(self) -> Self:
        self._watch.__enter__()
        self._bar.set_postfix_str(self._text)
        if self._bar.disable:
            self._log()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.__exit__()
        self._bar.close()

    def advance(self, what: str) -> None:
        """One piece is finished, here or elsewhere; `what` tells how things stand."""
        self._done += 1
        now = time.monotonic()
        working = max(0, now - self._start - self._watch.seconds - self._watch.tracing)
        left = working / (self._done - self._before) * (self._total - self._done)
        self._text = f"{what}, about {left:.0f} s left"
        self._bar.set_postfix_str(self._text, refresh=False)
        self._bar.update()
        if self._bar.disable and (now - self._logged > LOG_SECONDS or self._done == self._total):
            self._logged = now
            self._log()

    def _name_program(self, name: str) -> None:
        """On a terminal, what is being compiled, in place of how things stood."""
        self._bar.set_postfix_str(f"compiling {name}; {self._text}" if name else self._text)

    def _log(self) -> None:
        logging.info("%s: %d of %d, %s", self._title, self._done, self._total, self._text)
