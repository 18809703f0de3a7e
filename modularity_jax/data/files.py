"""Files that hold a published set: where they are, and image sets in one npz file, as Keras keeps them."""

import pathlib
import zipfile
import zlib
from collections.abc import Iterable

import numpy as np

from modularity_jax.data.dataset import check_labels, one_line

_NAMES = ("x_train", "y_train", "x_test", "y_test")

Images = tuple[np.ndarray, np.ndarray]  # [n, ...] uint8 and their labels [n]


def find_file(folder: pathlib.Path, names: Iterable[str], *, called: str, files: str) -> pathlib.Path:
    """The first file of a folder that has one of some names; FileNotFoundError, with what to put there, if none has."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder}: no file {called}; put it there, the set consists of {files}")


def read_npz(path: pathlib.Path, shape: tuple[int, ...]) -> tuple[Images, Images]:
    """Training and test images of a shape.

    Args:
      path: holds the arrays x_train [n, *shape] uint8, y_train [n] or [n, 1] integers, and x_test, y_test likewise.
      shape: of one image.

    Raises:
      ValueError: if the file is cut off, lacks an array, or holds something else.
    """
    try:
        with np.load(path) as archive:
            arrays = {name: archive[name] for name in _NAMES if name in archive}
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: cut off or no npz file ({one_line(error)}); write it again") from error
    for name in _NAMES:
        if name not in arrays:
            raise ValueError(f"{path}: lacks the array {name}; it must hold x_train, y_train, x_test and y_test")
    return _check_arrays(path, arrays, "train", shape), _check_arrays(path, arrays, "test", shape)


def _check_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray], split: str, shape: tuple[int, ...]) -> Images:
    images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
    if images.dtype != np.uint8 or images.shape[1:] != shape or not images.size:
        sizes = ", ".join(map(str, shape))
        raise ValueError(f"{path}: x_{split} must be [n, {sizes}] uint8, got {list(images.shape)} {images.dtype}")
    if labels.shape not in [(len(images),), (len(images), 1)] or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: y_{split} must be [{len(images)}] integers, got {list(labels.shape)} {labels.dtype}")
    check_labels(labels.ravel(), path)
    return images, labels.ravel()
