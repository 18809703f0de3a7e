"""Work that is under way, saved by Orbax so that a killed run goes on; every process saves and reads its part."""

import pathlib
import shutil
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from modularity_jax.data.dataset import one_line
from modularity_jax.runs.hosts import told_by_first

NUM_KEPT = 2
SECONDS = 15.0  # between two checkpoints, so that saving stays a small share of the work


class Saved(NamedTuple):
    """A checkpoint."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class Checkpoints:
    """A training's checkpoints, in `checkpoints/train` of a workdir; each is whole or not there.

    They are of the workdir's config, which cannot change while there are any.

    Args:
      workdir: the run's directory, the same for all processes.
    """

    def __init__(self, workdir: pathlib.Path) -> None:
        self._path = (workdir / "checkpoints" / "train").absolute()
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last save, or the beginning, is long ago, by the clock of process 0."""
        return told_by_first(lambda: time.monotonic() - self._saved_at > SECONDS)

    def save(self, arrays: Mapping[str, jax.Array], facts: Mapping[str, Any]) -> None:
        """Save arrays, on whichever devices, and plain facts as the newest checkpoint; the oldest give way."""
        with self._manager() as manager:
            step = 1 + max(manager.all_steps(), default=0)
            parts = {"arrays": ocp.args.PyTreeSave(dict(arrays)), "facts": ocp.args.JsonSave(dict(facts))}
            manager.save(step, args=ocp.args.Composite(**parts), force=True)
        self._saved_at = time.monotonic()

    def latest(self) -> Saved | None:
        """The newest checkpoint that can be read; a damaged one is named in the log, and the one before is taken."""
        if not told_by_first(self._path.is_dir):
            return None
        with self._manager() as manager:
            for step in sorted(manager.all_steps(), reverse=True):
                try:
                    return self._restored(manager, step)
                except Exception as error:  # whatever Orbax and what it builds on raise for a damaged file
                    file, why = self._path / str(step), one_line(repr(error))[:200]
                    logging.warning("checkpoint %s is damaged and passed over: %s", file, why)
        return None

    def clear(self) -> None:
        """Remove them: the stage has left its results."""
        shutil.rmtree(self._path.parent, ignore_errors=True)

    def _restored(self, manager: ocp.CheckpointManager, step: int) -> Saved:
        """A checkpoint, its arrays whole on the host."""
        names = manager.item_metadata(step)["arrays"]
        whole = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
        parts = {"arrays": ocp.args.PyTreeRestore(restore_args=whole), "facts": ocp.args.JsonRestore()}
        found = manager.restore(step, args=ocp.args.Composite(**parts))
        return Saved(dict(found["arrays"]), found["facts"])

    def _manager(self) -> ocp.CheckpointManager:
        handlers = {"arrays": ocp.PyTreeCheckpointHandler(), "facts": ocp.JsonCheckpointHandler()}
        options = ocp.CheckpointManagerOptions(max_to_keep=NUM_KEPT, enable_async_checkpointing=False)
        return ocp.CheckpointManager(self._path, options=options, item_handlers=handlers)
