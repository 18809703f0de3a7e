"""Work that is under way, saved by Orbax so that a killed run goes on."""

import io
import json
import pathlib
import shutil
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from modularity_jax.data.dataset import one_line

NUM_KEPT = 2
_FACTS = "facts.json"
SECONDS = 15.0  # between two checkpoints, so that saving stays a small share of the work


class Saved(NamedTuple):
    """A checkpoint."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


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
        packed = _pack(arrays, {"settings": self._settings, **facts})
        with self._manager() as manager:
            step = 1 + max(manager.all_steps(), default=0)
            manager.save(step, args=ocp.args.StandardSave({"packed": packed}), force=True)
        self._saved_at = time.monotonic()

    def latest(self) -> Saved | None:
        """The newest checkpoint that can be read; a damaged one is named in the log, and the one before is taken."""
        if not self._path.is_dir():
            return None
        with self._manager() as manager:
            for step in sorted(manager.all_steps(), reverse=True):
                try:
                    found = manager.restore(step, args=ocp.args.StandardRestore())
                    arrays, facts = _unpack(np.asarray(found["packed"]))
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
        options = ocp.CheckpointManagerOptions(max_to_keep=NUM_KEPT, create=True, enable_async_checkpointing=False)
        return ocp.CheckpointManager(self._path, options=options)


def _pack(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> np.ndarray:
    """All in one, as the bytes of an .npz file: it has checksums, which the files of a checkpoint have not."""
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **{_FACTS: text, **arrays})  # type: ignore[arg-type]
    return np.frombuffer(file.getbuffer(), np.uint8)


def _unpack(packed: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with np.load(io.BytesIO(packed.tobytes())) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(arrays.pop(_FACTS).tobytes())
