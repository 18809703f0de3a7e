"""Work that is under way, saved by Orbax so that a killed run goes on."""

import dataclasses
import json
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
from modularity_jax.runs.tables import read_arrays, write_arrays

NUM_KEPT = 2
_FACTS, _FILE = "facts.json", "work.npz"
SECONDS = 15.0  # between two checkpoints, so that saving stays a small share of the work


class Saved(NamedTuple):
    """A checkpoint."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


class _Handler(ocp.CheckpointHandler):
    """Has Orbax store named arrays as one .npz file, which has checksums.

    Its own format has none, and leaves to process 0 the arrays of all.
    """

    def save(self, directory: pathlib.Path, args: "_Save") -> None:
        write_arrays(directory / _FILE, args.arrays)

    def restore(self, directory: pathlib.Path, args: "_Restore") -> dict[str, np.ndarray]:
        del args
        return read_arrays(directory, _FILE)


@ocp.args.register_with_handler(_Handler, for_save=True)
@dataclasses.dataclass
class _Save(ocp.args.CheckpointArgs):
    arrays: Mapping[str, np.ndarray]


@ocp.args.register_with_handler(_Handler, for_restore=True)
@dataclasses.dataclass
class _Restore(ocp.args.CheckpointArgs):
    pass


class Checkpoints:
    """Checkpoints of one stage, in `checkpoints/<stage>` of a workdir; each is whole or not there.

    Args:
      workdir: the run's directory.
      stage: what is under way.
      settings: what decides its results, as JSON can hold it; a checkpoint of other settings is passed over.
    """

    def __init__(self, workdir: pathlib.Path, stage: str, settings: Mapping[str, Any]) -> None:
        self._path = (workdir / "checkpoints" / stage).absolute()
        self._settings = json.loads(json.dumps(settings))
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last save, or the beginning, is long ago."""
        return time.monotonic() - self._saved_at > SECONDS

    def save(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Save arrays and plain facts as the newest checkpoint; the oldest give way."""
        text = json.dumps({"settings": self._settings, **facts})
        packed = {_FACTS: np.frombuffer(text.encode(), np.uint8), **arrays}
        with self._manager() as manager:
            step = 1 + max(manager.all_steps(), default=0)
            manager.save(step, args=_Save(packed), force=True)
        self._saved_at = time.monotonic()

    def latest(self) -> Saved | None:
        """The newest checkpoint that can be read; a damaged one is named in the log, and the one before is taken."""
        if not self._path.is_dir():
            return None
        with self._manager() as manager:
            for step in sorted(manager.all_steps(), reverse=True):
                try:
                    arrays = manager.restore(step, args=_Restore())
                    facts = json.loads(arrays.pop(_FACTS).tobytes())
                except Exception as error:  # whatever Orbax and what it builds on raise for a damaged file
                    logging.warning(
                        "checkpoint %s is damaged and passed over: %s",
                        self._path / str(step),
                        one_line(repr(error))[:200],
                    )
                    continue
                if facts.pop("settings", None) == self._settings:
                    return Saved(arrays, facts)
        return None

    def clear(self) -> None:
        """Remove them: the stage has left its results."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _manager(self) -> ocp.CheckpointManager:
        # A checkpoint is of one process, whatever the others do.
        mine = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=mine, active_processes={mine}, barrier_sync_key_prefix=f"process_{mine}"
        )
        options = ocp.CheckpointManagerOptions(
            max_to_keep=NUM_KEPT, enable_async_checkpointing=False, multiprocessing_options=alone, create=False
        )
        self._path.mkdir(parents=True, exist_ok=True)  # Orbax makes it for single processes only
        return ocp.CheckpointManager(self._path, options=options)
