"""CIFAR-10 in grey at 28 x 28, so that the same networks take it as take MNIST."""

import pathlib
import zipfile
import zlib

import numpy as np

from modularity_jax.data.dataset import Dataset, Split, check_labels, one_line

FILES = "data_batch_1.bin .. data_batch_5.bin and test_batch.bin, or cifar10.npz"
SIDE = 32
NEW_SIDE = 28
RECORDS_PER_FILE = 10_000

# ITU-R BT.601, the weights of the usual conversion from RGB to luma.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_RECORD_BYTES = 1 + 3 * SIDE * SIDE
_NPZ_NAMES = ("x_train", "y_train", "x_test", "y_test")
# Colour images as float32 take 12 KB each; a chunk keeps them under 70 MB.
_CHUNK = 5_000


def load(folder: pathlib.Path) -> Dataset:
    """Reads CIFAR-10 from a folder, and turns it grey and 28 x 28.

    The folder holds one of:
    - `cifar10.npz` with the arrays x_train [n, 32, 32, 3] uint8, y_train [n] or [n, 1] integers, and x_test, y_test
      likewise;
    - CIFAR-10's own binary version, `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, directly or inside
      `cifar-10-batches-bin/`, as the archive unpacks.

    Returns:
      The data set, d = 784, in the order of the files.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: if a file is cut off, lacks an array, or holds something else.
    """
    npz = folder / "cifar10.npz"
    if npz.is_file():
        train, test = _read_npz(npz)
    else:
        train = _read_batches(folder, [f"data_batch_{i}.bin" for i in range(1, 6)])
        test = _read_batches(folder, ["test_batch.bin"])
    return Dataset(*to_grey(*train), *to_grey(*test), num_classes=10)


def to_grey(images: np.ndarray, labels: np.ndarray) -> Split:
    """Turns colour images grey and shrinks them, with antialiasing, to 28 x 28.

    In NumPy, so that the pixels do not depend on the device or its matmul precision.

    Args:
      images: [n, 32, 32, 3] uint8, red, green, blue.
      labels: [n] integers.

    Returns:
      x [n, 784] and y [n].
    """
    shrink = resize_weights(SIDE, NEW_SIDE)
    x = np.empty((len(images), NEW_SIDE * NEW_SIDE), np.float32)
    for start in range(0, len(images), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        grey = images[chunk].astype(np.float32) @ _LUMA / np.float32(255)
        x[chunk] = (shrink @ grey @ shrink.T).reshape(len(grey), -1)
    # Weighted means stay in [0, 1] but for rounding.
    return Split(np.clip(x, 0, 1), labels.astype(np.int32))


def resize_weights(size: int, new_size: int) -> np.ndarray:
    """The matrix [new_size, size] that shrinks a line of pixels with a triangle filter.

    New pixel i lies at c_i = (i + 1/2) r - 1/2 on the old line, r = size / new_size; old pixel j weighs
    max(0, 1 - |c_i - j| / r), and each row is scaled to sum to 1. The filter is as wide as the new pixels are: that
    is the antialiasing. It is what `jax.image.resize` does for "linear".
    """
    ratio = size / new_size
    centres = (np.arange(new_size) + 0.5) * ratio - 0.5
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size)) / ratio)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _read_batches(folder: pathlib.Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    records = np.concatenate([_read_batch(_find(folder, name)) for name in names])
    images = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return images, records[:, 0]


def _read_batch(path: pathlib.Path) -> np.ndarray:
    """One binary batch as [10000, 3073] uint8: the label, then the red, green and blue plane, row after row."""
    content = np.fromfile(path, np.uint8)
    expected = RECORDS_PER_FILE * _RECORD_BYTES
    if len(content) != expected:
        raise ValueError(f"{path}: a CIFAR-10 batch has {expected} bytes, got {len(content)}; fetch the file again")
    records = content.reshape(RECORDS_PER_FILE, _RECORD_BYTES)
    check_labels(records[:, 0], path)
    return records


def _find(folder: pathlib.Path, name: str) -> pathlib.Path:
    for path in (folder / name, folder / "cifar-10-batches-bin" / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder}: no file {name}; put it there, the set consists of {FILES}")


def _read_npz(path: pathlib.Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    try:
        with np.load(path) as archive:
            missing = [name for name in _NPZ_NAMES if name not in archive]
            arrays = {name: archive[name] for name in _NPZ_NAMES if name in archive}
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: cut off or no npz file ({one_line(error)}); write it again") from error
    if missing:
        raise ValueError(f"{path}: lacks the array {missing[0]}; it must hold x_train, y_train, x_test and y_test")
    return _check_arrays(path, arrays, "train"), _check_arrays(path, arrays, "test")


def _check_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray], split: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (SIDE, SIDE, 3) or not len(images):
        raise ValueError(f"{path}: x_{split} must be [n, 32, 32, 3] uint8, got {list(images.shape)} {images.dtype}")
    if labels.shape not in [(len(images),), (len(images), 1)] or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: y_{split} must be [{len(images)}] integers, got {list(labels.shape)} {labels.dtype}")
    check_labels(labels.ravel(), path)
    return images, labels.ravel()
