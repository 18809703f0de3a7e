"""The published sets through TensorFlow Datasets, which downloads, checks and keeps them.

It and TensorFlow are imported only when a set is wanted: preparing a set takes both, reading a prepared one only the
former. Written for the version of tensorflow-datasets that the `tfds` extra pins.
"""

import hashlib
import importlib.util
import os
import pathlib
import queue
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from modularity_jax.data import cifar
from modularity_jax.data.dataset import Dataset, Split, from_bytes, one_line
from modularity_jax.data.paths import local_path

# By itself TensorFlow Datasets tries an unreachable host for more than three minutes.
PROBE_SECONDS = 6.0


class _NoNetworkError(Exception):
    """A download is due and its address does not answer."""


def load(name: str, folder: pathlib.Path | None, *, files: str, looked: str, colour: bool = False) -> Dataset:
    """Loads a set through TensorFlow Datasets, which downloads and prepares it where that has not been done.

    TensorFlow Datasets keeps its sets in `TFDS_DATA_DIR`, or in `~/tensorflow_datasets`. A set prepared there earlier
    is used whatever its file format.

    Args:
      name: as TensorFlow Datasets knows the set.
      folder, files, looked: what was given, which files were wanted, and where they are not; for the messages.
      colour: leaves CIFAR-10 as it is.

    Returns:
      The data set, its samples in the order of the published files.

    Raises:
      FileNotFoundError: if a package is missing.
      ConnectionError: if a download is due and its address cannot be reached; known within 10 s.
      OSError: if the set cannot be prepared or read.
    """
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder(name, data_dir=_home())
        if not builder.data_path.exists():
            _prepare(builder)
        return Dataset(*_read(builder, "train", colour), *_read(builder, "test", colour), num_classes=10)
    # Whatever a corrupt download or a half-written folder sets off in there: the user needs the two ways, not a trace.
    except Exception as error:
        kind, reason, remedy = _explained(error)
        if folder is None:
            tried, place = "no data folder was given", f"DIR/{name} and pass DIR as dir"
        else:
            there_is = f"none of its files in {looked}" if folder.is_dir() else f"no folder {folder}"
            tried, place = f"there is {there_is}", str(folder / name)
        ways = f"Either put {files} into {place}; or {remedy}"
        raise kind(f"cannot load {name}: {tried}, and TensorFlow Datasets {reason}. {ways}") from error


def _explained(error: Exception) -> tuple[type[OSError], str, str]:
    """What is raised for an error: its type, what TensorFlow Datasets did, and how to make it work."""
    if isinstance(error, ImportError):
        remedy = 'install what TensorFlow Datasets needs: pip install "modularity_jax[tfds]"'
        return FileNotFoundError, f"cannot be used ({one_line(error)})", remedy
    if isinstance(error, _NoNetworkError):
        remedy = f"load it once with a network, TensorFlow Datasets then keeps it in {_home()}"
        return ConnectionError, str(error), remedy
    reason = f"failed ({type(error).__name__}: {one_line(error)})"
    return OSError, reason, f"remove what is broken in {_home()} and try again"


def unreachable(url: str, seconds: float = PROBE_SECONDS) -> str | None:
    """Why a download from an address would fail, known within the given time; None if it answers.

    Asks as TensorFlow Datasets does, by a GET through the proxies of the environment, but reads no body.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # Looking up a host's name has no time limit of its own; a daemon thread can be left behind.
    threading.Thread(target=lambda: answers.put(_ask(url, seconds)), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return f"no answer within {seconds:g} s"


def _ask(url: str, seconds: float) -> str | None:
    import requests

    try:
        with requests.get(url, stream=True, timeout=seconds) as response:
            return None if response.status_code == 200 else f"it answers {response.status_code}"
    except requests.RequestException as error:
        return type(error).__name__


def _prepare(builder: Any) -> None:
    """Downloads what is not in the download cache, and writes the set in a format that needs no TensorFlow to read."""
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError("preparing a set takes tensorflow")
    url = _missing_download(builder)
    problem = unreachable(url) if url else None
    if problem:
        raise _NoNetworkError(f"cannot reach {url} ({problem})")
    # Or TensorFlow would claim the GPUs' memory from JAX to encode images; one that the user imported is left alone.
    if "tensorflow" not in sys.modules:
        import tensorflow

        tensorflow.config.set_visible_devices([], "GPU")
    builder.download_and_prepare(file_format="array_record")


def _missing_download(builder: Any) -> str | None:
    """The first address that is neither in the download cache nor laid by hand into `downloads/manual`."""
    from tensorflow_datasets.core.download import resource

    downloads = builder.data_dir_root / "downloads"
    for url, info in builder.url_infos.items():
        cached = resource.get_dl_fname(url, info.checksum)
        places = (downloads / builder.name / cached, downloads / cached)
        by_hand = downloads / "manual" / info.filename
        if not by_hand.exists() and not any(map(resource.is_locally_cached, places)):
            return url
    return None


def _read(builder: Any, split: str, colour: bool) -> Split:
    size = builder.info.splits[split].num_examples
    images = np.empty((size, *builder.info.features["image"].shape), np.uint8)
    labels = np.empty(size, np.int32)
    for index, example in zip(_stored_order(split, size), _examples(builder, split), strict=True):
        images[index], labels[index] = example["image"], example["label"]
    grey = builder.name == "cifar10" and not colour
    return cifar.to_grey(images, labels) if grey else from_bytes(images, labels)


def _examples(builder: Any, split: str) -> Iterable[Mapping[str, Any]]:
    if builder.info.file_format.value == "array_record":
        return builder.as_data_source(split)
    import tensorflow_datasets as tfds

    # One file after the other, or the order would not be the stored one.
    return tfds.as_numpy(builder.as_dataset(split=split, read_config=tfds.ReadConfig(interleave_cycle_length=1)))


def _stored_order(split: str, size: int) -> list[int]:
    """Where each stored sample stands in the published files, so that both sources give the same arrays.

    TensorFlow Datasets writes samples sorted by the MD5 of the split's name and the sample's key, and the key of these
    sets is the sample's running number.
    """
    digests = [hashlib.md5(f"{split}{index}".encode(), usedforsecurity=False).digest() for index in range(size)]
    return sorted(range(size), key=digests.__getitem__)


def _home() -> str:
    """The default of TensorFlow Datasets, which itself looks at the environment only when it is first imported."""
    return os.environ.get("TFDS_DATA_DIR") or str(local_path("TFDS_DATA_DIR", "~/tensorflow_datasets"))
