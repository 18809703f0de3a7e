"""MNIST and its kin from the IDX files they are published as."""

import gzip
import math
import pathlib
import zlib

import numpy as np

from modularity_jax.data.dataset import SIDE, Dataset, Split, check_labels, from_bytes
from modularity_jax.data.files import find_file, read_npz

FILES = "{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]"
_NPZ = "mnist.npz"
# Of each file the names that it goes by; some archives have a dot before idx.
_SPELLINGS = {
    stem: [spelt + end for spelt in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
    for stem in (f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
}
_IDX_NAMES = [name for names in _SPELLINGS.values() for name in names]
NAMES = [_NPZ, *_IDX_NAMES]


def load(folder: pathlib.Path) -> Dataset:
    """Reads a ten-class set of 28 x 28 images from four IDX files, gzipped or not, or from Keras's `mnist.npz`.

    Args:
      folder: holds `{train,t10k}-{images-idx3,labels-idx1}-ubyte`, each with or without `.gz`, and perhaps with a dot
        before `idx`; or `mnist.npz`, see `read_npz`.

    Returns:
      The data set, d = 784, in the order of the files.

    Raises:
      FileNotFoundError: if one of the files is missing.
      ValueError: if a file is cut off, is no such IDX file, or does not fit its twin.
    """
    if not any((folder / name).is_file() for name in _IDX_NAMES) and (folder / _NPZ).is_file():
        train, test = read_npz(folder / _NPZ, (SIDE, SIDE))
        return Dataset(*from_bytes(*train), *from_bytes(*test), num_classes=10)
    return Dataset(*_load_split(folder, "train"), *_load_split(folder, "t10k"), num_classes=10)


def read_idx(path: pathlib.Path, num_dimensions: int) -> np.ndarray:
    """Reads one IDX file of unsigned bytes.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, the size of each dimension as
    a big-endian 32-bit integer, then the values with the last dimension running fastest.

    Args:
      path: the file; gzip is recognised by its content, not by the name.
      num_dimensions: how many dimensions the file must have.

    Returns:
      A uint8 array, not empty.

    Raises:
      ValueError: if the file is cut off, corrupt, empty or of another kind.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: cut off or corrupt gzip ({error}); fetch the file again") from error
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
    images_path, labels_path = (
        find_file(folder, _SPELLINGS[stem], called=f"{stem} or {stem}.gz", files=FILES)
        for stem in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
    )
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != (SIDE, SIDE):
        rows, columns = images.shape[1:]
        raise ValueError(f"{images_path}: images must be {SIDE} x {SIDE} pixels, got {rows} x {columns}")
    if len(images) != len(labels):
        raise ValueError(f"{images_path}: holds {len(images)} images, but {labels_path} {len(labels)} labels")
    check_labels(labels, labels_path)
    return from_bytes(images, labels)
