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
from typing import Any, NamedTuple

import numpy as np

from modularity_jax.data import cifar
from modularity_jax.data.dataset import Dataset, Split, from_bytes, one_line
from modularity_jax.data.paths import local_path

# By itself TensorFlow Datasets tries an unreachable host for more than three minutes.
PROBE_SECONDS = 6.0

_INSTALL = 'pip install "modularity_jax[tfds]"'


class _NoNetworkError(Exception):
    """A download is due and its address does not answer."""


class _Wanted(NamedTuple):
    """What the user asked for, to tell how else to get it."""

    name: str
    folder: pathlib.Path | None
    files: str
    looked: str

    def refusal(self, reason: str, remedy: str) -> str:
        """One line: what was tried, why it failed, and the two ways to go on."""
        if self.folder is None:
            tried, place = "no data folder was given", f"DIR/{self.name} and pass DIR as dir"
        else:
            tried, place = f"there is none of its files in {self.looked}", f"{self.folder / self.name}"
            if not self.folder.is_dir():
                tried = f"there is no folder {self.folder}"
        return f"cannot load {self.name}: {tried}, and {reason}. Either put {self.files} into {place}; or {remedy}"


def load(name: str, folder: pathlib.Path | None, *, files: str, looked: str) -> Dataset:
    """Loads a set through TensorFlow Datasets, which downloads and prepares it where that has not been done.

    TensorFlow Datasets keeps its sets in `TFDS_DATA_DIR`, or in `~/tensorflow_datasets`. A set prepared there earlier
    is used whatever its file format.

    Args:
      name: as TensorFlow Datasets knows the set.
      folder: where the set's files were looked for in vain, for the messages; None if nowhere.
      files: the files that the set could be read from, for the messages.
      looked: the folders where they were looked for, for the messages.

    Returns:
      The data set, its samples in the order of the published files.

    Raises:
      FileNotFoundError: if a package is missing.
      ConnectionError: if a download is due and its address cannot be reached; known within 10 s.
      OSError: if the set cannot be prepared or read.
    """
    wanted = _Wanted(name, folder, files, looked)
    try:
        return _load(name)
    except ImportError as error:
        reason = f"TensorFlow Datasets cannot be used ({one_line(error)})"
        remedy = f"install what TensorFlow Datasets needs: {_INSTALL}"
        raise FileNotFoundError(wanted.refusal(reason, remedy)) from error
    except _NoNetworkError as error:
        remedy = f"load it once with a network, TensorFlow Datasets then keeps it in {_home()}"
        raise ConnectionError(wanted.refusal(f"TensorFlow Datasets {error}", remedy)) from error
    # Whatever a corrupt download or a half-written folder sets off in there: the user needs the two ways, not a trace.
    except Exception as error:
        reason = f"TensorFlow Datasets failed ({type(error).__name__}: {one_line(error)})"
        remedy = f"remove what is broken in {_home()} and try again"
        raise OSError(wanted.refusal(reason, remedy)) from error


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


def _load(name: str) -> Dataset:
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=_home())
    if not builder.data_path.exists():
        _prepare(builder)
    return Dataset(*_read(builder, "train"), *_read(builder, "test"), num_classes=10)


def _prepare(builder: Any) -> None:
    """Downloads what is not in the download cache, and writes the set in a format that needs no TensorFlow to read."""
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError("preparing a set takes tensorflow")
    url = _missing_download(builder)
    problem = unreachable(url) if url else None
    if problem:
        raise _NoNetworkError(f"cannot reach {url} ({problem})")
    _keep_tensorflow_off_gpus()
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


def _keep_tensorflow_off_gpus() -> None:
    """Hides the GPUs, whose memory TensorFlow would claim from JAX to encode images; not from a user's TensorFlow."""
    if "tensorflow" not in sys.modules:
        import tensorflow

        tensorflow.config.set_visible_devices([], "GPU")


def _read(builder: Any, split: str) -> Split:
    size = builder.info.splits[split].num_examples
    images = np.empty((size, *builder.info.features["image"].shape), np.uint8)
    labels = np.empty(size, np.int32)
    for index, example in zip(_stored_order(split, size), _examples(builder, split), strict=True):
        images[index], labels[index] = example["image"], example["label"]
    return cifar.to_grey(images, labels) if builder.name == "cifar10" else from_bytes(images, labels)


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
