"""CIFAR-10 in grey at 28 x 28, so that the same networks take it as take MNIST."""

import itertools
import pathlib
import pickle

import numpy as np

from modularity_jax.data.dataset import SIDE, Dataset, Split, check_labels, from_bytes, one_line
from modularity_jax.data.files import Images, find_file, read_npz

FILES = "data_batch_1.bin .. data_batch_5.bin and test_batch.bin, or the Python version's without .bin, or cifar10.npz"
RECORDS_PER_FILE = 10_000

# ITU-R BT.601, the weights of the usual conversion from RGB to luma.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_OLD_SIDE = 32
_RECORD_BYTES = 1 + 3 * _OLD_SIDE * _OLD_SIDE
_NPZ = "cifar10.npz"
_BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
# Where batches lie: as they are, or in the folder that the archive unpacks to, which torchvision and Keras keep.
_BINARY = [(f"{name}.bin", f"cifar-10-batches-bin/{name}.bin") for name in _BATCHES]
_PYTHON = [(name, f"cifar-10-batches-py/{name}") for name in _BATCHES]
NAMES = [_NPZ, *itertools.chain(*_PYTHON, *_BINARY)]
# What a pickled batch is made of; anything else could run code.
_PICKLED = {
    "_codecs": ("encode",),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("_reconstruct",),
    "numpy._core.multiarray": ("_reconstruct",),
}
# Colour images as float32 take 12 KB each; a chunk keeps them under 70 MB.
_CHUNK = 5_000


def load(folder: pathlib.Path, *, colour: bool = False) -> Dataset:
    """Reads CIFAR-10 from a folder, and turns it grey and 28 x 28, if it is not to be as it is.

    The folder holds one of:
    - `cifar10.npz`, see `read_npz`, with images [n, 32, 32, 3];
    - CIFAR-10's Python version, `data_batch_1` to `data_batch_5` and `test_batch`, directly or inside
      `cifar-10-batches-py/`;
    - its binary version, the same with `.bin`, directly or inside `cifar-10-batches-bin/`.

    Returns:
      The data set, d = 784 or, in colour, 3072 (row, column, channel), in the order of the files.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: if a file is cut off, lacks an array, or holds something else.
    """
    if (folder / _NPZ).is_file():
        train, test = read_npz(folder / _NPZ, (_OLD_SIDE, _OLD_SIDE, 3))
    else:
        pickled = any((folder / name).is_file() for name in itertools.chain(*_PYTHON))
        read, places = (_read_pickled, _PYTHON) if pickled else (_read_batch, _BINARY)
        batches = [read(find_file(folder, names, called=names[0], files=FILES)) for names in places]
        train, test = _images(batches[:-1]), _images(batches[-1:])
    convert = from_bytes if colour else to_grey
    return Dataset(*convert(*train), *convert(*test), num_classes=10)


def to_grey(images: np.ndarray, labels: np.ndarray) -> Split:
    """Turns colour images grey and shrinks them, with antialiasing, to 28 x 28.

    In NumPy, so that the pixels do not depend on the device or its matmul precision.

    Args:
      images: [n, 32, 32, 3] uint8, red, green, blue.
      labels: [n] integers.
    """
    shrink = resize_weights(_OLD_SIDE, SIDE)
    x = np.empty((len(images), SIDE * SIDE), np.float32)
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


def _images(batches: list[np.ndarray]) -> Images:
    records = np.concatenate(batches)
    return records[:, 1:].reshape(-1, 3, _OLD_SIDE, _OLD_SIDE).transpose(0, 2, 3, 1), records[:, 0]


def _read_batch(path: pathlib.Path) -> np.ndarray:
    """One binary batch as [10000, 3073] uint8: the label, then the red, green and blue plane, row after row."""
    content = np.fromfile(path, np.uint8)
    expected = RECORDS_PER_FILE * _RECORD_BYTES
    if len(content) != expected:
        raise ValueError(f"{path}: a CIFAR-10 batch has {expected} bytes, got {len(content)}; fetch the file again")
    records = content.reshape(RECORDS_PER_FILE, _RECORD_BYTES)
    check_labels(records[:, 0], path)
    return records


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if name not in _PICKLED.get(module, ()):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _read_pickled(path: pathlib.Path) -> np.ndarray:
    """One batch of the Python version, as `_read_batch` gives it."""
    try:
        with open(path, "rb") as file:
            batch = _Unpickler(file, encoding="bytes").load()
        images, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    # Whatever a damaged pickle sets off: these are only the most frequent.
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise ValueError(f"{path}: no pickled CIFAR-10 batch ({reason}); fetch the file again") from error
    if images.dtype != np.uint8 or images.shape != (len(labels), _RECORD_BYTES - 1) or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: a CIFAR-10 batch has data [n, 3072] uint8, got {list(images.shape)} {images.dtype}")
    check_labels(labels, path)
    return np.concatenate([labels[:, None].astype(np.uint8), images], axis=1)
