"""MNIST and its kin from the IDX files they are published as."""

import gzip
import math
import pathlib
import zlib

import numpy as np

from modularity_jax.data.dataset import Dataset, Split, check_labels, from_bytes
from modularity_jax.data.npz import read_npz

FILES = "{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]"
NPZ = "mnist.npz"
SIDE = 28

_GZIP_START = b"\x1f\x8b"
_STEMS = [f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def load(folder: pathlib.Path) -> Dataset:
    """Reads a ten-class set of 28 x 28 images from four IDX files, gzipped or not, or from Keras's `mnist.npz`.

    Args:
      folder: holds `{train,t10k}-{images-idx3,labels-idx1}-ubyte`, each with or without `.gz`, and perhaps with a dot
        before `idx`, as some archives name them; or `mnist.npz` with the arrays x_train [n, 28, 28] uint8, y_train [n]
        integers, and x_test, y_test likewise.

    Returns:
      The data set, d = 784, in the order of the files.

    Raises:
      FileNotFoundError: if one of the files is missing.
      ValueError: if a file is cut off, is no such IDX file, or does not fit its twin.
    """
    if not any(_places(folder, stem) for stem in _STEMS) and (folder / NPZ).is_file():
        train, test = read_npz(folder / NPZ, (SIDE, SIDE))
        return Dataset(*from_bytes(*train), *from_bytes(*test), num_classes=10)
    return Dataset(*_load_split(folder, "train"), *_load_split(folder, "t10k"), num_classes=10)


def holds(folder: pathlib.Path) -> bool:
    """Whether any of the files that `load` takes lies in a folder."""
    return (folder / NPZ).is_file() or any(_places(folder, stem) for stem in _STEMS)


def read_idx(path: pathlib.Path, num_dimensions: int) -> np.ndarray:
    """Reads one IDX file of unsigned bytes.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, the size of each dimension as
    a big-endian 32-bit integer, then the values with the last dimension running fastest.

    Args:
      path: the file; gzip is recognised by its content, not by the name.
      num_dimensions: how many dimensions the file must have.

    Returns:
      A uint8 array with `num_dimensions` axes, the first of them at least 1 long.

    Raises:
      ValueError: if the file is cut off, corrupt, empty or of another kind.
    """
    content = _read_bytes(path)
    magic = bytes([0, 0, 8, num_dimensions])
    if content[:4] != magic:
        raise ValueError(f"{path}: not the IDX file it should be: starts with {content[:4].hex()}, not {magic.hex()}")
    header = 4 + 4 * num_dimensions
    if len(content) < header:
        raise ValueError(f"{path}: cut off in its header; fetch the file again")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", num_dimensions, offset=4))
    announced, found = math.prod(shape), len(content) - header
    if announced != found:
        sizes = " x ".join(map(str, shape))
        raise ValueError(f"{path}: announces {sizes} = {announced} bytes but holds {found}; fetch the file again")
    if not announced:
        raise ValueError(f"{path}: holds no samples")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _load_split(folder: pathlib.Path, prefix: str) -> Split:
    images_path = _find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != (SIDE, SIDE):
        rows, columns = images.shape[1:]
        raise ValueError(f"{images_path}: images must be {SIDE} x {SIDE} pixels, got {rows} x {columns}")
    if len(images) != len(labels):
        raise ValueError(f"{images_path}: holds {len(images)} images, but {labels_path} {len(labels)} labels")
    check_labels(labels, labels_path)
    return from_bytes(images, labels)


def _places(folder: pathlib.Path, stem: str) -> list[pathlib.Path]:
    """Where a file lies, under any of the names that it goes by."""
    names = [spelt + end for spelt in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
    return [folder / name for name in names if (folder / name).is_file()]


def _find(folder: pathlib.Path, stem: str) -> pathlib.Path:
    if found := _places(folder, stem):
        return found[0]
    raise FileNotFoundError(f"{folder}: no file {stem} or {stem}.gz; put it there, the set consists of {FILES}")


def _read_bytes(path: pathlib.Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_GZIP_START):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: cut off or corrupt gzip ({error}); fetch the file again") from error
