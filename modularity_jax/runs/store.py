"""Finished pieces of a run's work, one file each, found by what decides them.

A piece's key holds everything that its content depends on: settings, and digests of networks and samples. What has its
key here is not computed again, whether a run goes on after a kill, its config has changed or another run lends it.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.tables import read_arrays, write_arrays

Key = Mapping[str, Any]  # as JSON has it; "piece" says of what kind it is

_KEY = "key"


class Store:
    """The pieces in a folder.

    Args:
      folder: is made with the first piece.
      lenders: folders of other stores, which are only read; what is missing here and found there is copied when it is
        asked for.
    """

    def __init__(self, folder: pathlib.Path, lenders: Sequence[pathlib.Path] = ()) -> None:
        self._folder, self._lenders = folder, lenders

    def __contains__(self, key: Key) -> bool:
        """Whether the piece is there, or with a lender; `get` tells whether it can be read."""
        return told_by_first(lambda: any((own / _name(key)).is_file() for own in (self._folder, *self._lenders)))

    def get(self, key: Key) -> dict[str, np.ndarray] | None:
        """A piece's arrays by name; None where it is missing, or damaged, which the log says."""
        return told_by_first(lambda: self._get(key))

    def put(self, key: Key, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a piece; whole or not at all."""
        content = {_KEY: np.frombuffer(_text(key), np.uint8), **arrays}
        told_by_first(lambda: write_arrays(self._folder / _name(key), content))

    def drop(self, key: Key) -> None:
        """Forget a piece."""
        told_by_first(lambda: (self._folder / _name(key)).unlink(missing_ok=True))

    def _get(self, key: Key) -> dict[str, np.ndarray] | None:
        found = _read(self._folder, key)
        if found is None:
            self.drop(key)  # damaged, or not there
            lent = (_read(folder, key) for folder in self._lenders)
            found = next((arrays for arrays in lent if arrays is not None), None)
            if found is not None:
                self.put(key, found)
        return found


def packed(value: Any) -> np.ndarray:
    """What JSON can hold, as an array of a piece."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def unpacked(array: np.ndarray) -> Any:
    """The reverse of `packed`."""
    return json.loads(array.tobytes())


def digest(arrays: Iterable[Any]) -> str:
    """What tells arrays apart: of their types, shapes and bytes, in this order."""
    found = hashlib.sha256()
    for array in map(np.asarray, arrays):
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:32]


def _read(folder: pathlib.Path, key: Key) -> dict[str, np.ndarray] | None:
    """A piece of a folder, as `get` has it."""
    file = folder / _name(key)
    if not file.is_file():
        return None
    try:
        arrays = read_arrays(folder, file.name)
        if arrays.pop(_KEY, np.empty(0, np.uint8)).tobytes() != _text(key):
            raise ValueError(f"{file} is damaged: it belongs to another key")
    except ValueError as error:
        logging.warning("%s; it is made again", error)
        return None
    return arrays


def _name(key: Key) -> str:
    return f"{key['piece']}-{hashlib.sha256(_text(key)).hexdigest()[:32]}.npz"


def _text(key: Key) -> bytes:
    return json.dumps(dict(key), sort_keys=True).encode()
