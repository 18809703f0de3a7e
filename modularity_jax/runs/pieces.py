"""The loop of a run's stages: what the store holds is taken from there, the rest is computed, with progress."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from absl import logging

from modularity_jax.probes.measure import Sums
from modularity_jax.runs import signals
from modularity_jax.runs.checkpoints import SECONDS
from modularity_jax.runs.compilation import CompileWatch
from modularity_jax.runs.config import GROUP_SIZES
from modularity_jax.runs.group_sizes import naming
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.store import Key, Store
from modularity_jax.runs.workdir import Workdir, check_jax_settings, read_versions, record_seconds

C = TypeVar("C")
R = TypeVar("R")


def results(
    workdir: Workdir,
    title: str,
    stage: str,
    keys: Mapping[C, Sequence[Key]],
    result_of: Callable[[C], R],
    told: Callable[[C, R], str],
) -> dict[C, R]:
    """The result of each case, in their order.

    Args:
      workdir, title, stage: where it is done, and what.
      keys: of the pieces that a case's result is made of.
      result_of: the result, of pieces in the store, where it puts what is missing, with `signals.check` between two.
      told: a result in words.

    Raises:
      StoppedError: between two pieces, if it was asked to stop.
      ValueError: if JAX is set otherwise than it was for the run's other results.
    """
    told_by_first(lambda: check_jax_settings(workdir.path, read_versions(workdir.path).get("jax_settings", {})))
    store = workdir.store()
    left = told_by_first(lambda: [case for case, own in keys.items() if not all(key in store for key in own)])
    with Progress(title, len(left)) as progress:
        computed = {}
        for case in left:
            computed[case] = result_of(case)
            progress.advance(told(case, computed[case]))
        return {case: computed[case] if case in computed else result_of(case) for case in keys}


@contextlib.contextmanager
def timed(workdir: Workdir, stage: str, section: str | None = None) -> Iterator[Any]:
    """Logs and notes a stage's time, and how much of it went to compilation or to fetching compiled programs.

    Section: of the config, whose group size bounds the memory; by default the stage's own.

    Raises:
      MemoryError: where the memory runs out; it names the flag to lower.
    """
    start = time.monotonic()
    (setting,) = (name for name in GROUP_SIZES if name.startswith(section or stage))
    with CompileWatch() as watch, naming(workdir.config, setting):
        yield
    seconds = time.monotonic() - start
    logging.info("%s took %.1f s, of which compilation %.1f s", stage, seconds, watch.seconds)
    told_by_first(lambda: record_seconds(workdir, stage, seconds, watch.seconds))


class KeptSums:
    """Keeps the finished parts of a long test as a piece, and stops between two where that is wanted."""

    def __init__(self, store: Store, key: dict[str, Any]) -> None:
        self._store, self._key = store, key
        self._arrays = store.get(key) or {}
        self._saved_at = time.monotonic()

    def __call__(self, start: int, compute: Callable[[], Sums]) -> Sums:
        """A part's sums, by its first trial, computed if they are not kept yet."""
        names = f"{start:08d}/undamaged", f"{start:08d}/damaged"
        if names[0] in self._arrays:
            return self._arrays[names[0]], self._arrays[names[1]]
        # Asked before a part rather than after it: the last needs no saving, its test is about to be.
        if self._arrays and (signals.is_wanted() or told_by_first(lambda: time.monotonic() - self._saved_at > SECONDS)):
            self._store.put(self._key, self._arrays)
            self._saved_at = time.monotonic()
            signals.check()
        sums = compute()
        self._arrays |= dict(zip(names, map(np.asarray, sums), strict=True))
        return sums

    def drop(self) -> None:
        """The test is done."""
        self._store.drop(self._key)
