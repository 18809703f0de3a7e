"""What every data set looks like, and the few things that all sources share."""

import pathlib
from typing import NamedTuple

import numpy as np

# Of the sets that are made here: as many samples as MNIST has, of its size.
NUM_TRAIN = 60_000
NUM_TEST = 10_000
SIDE = 28


class Split(NamedTuple):
    """The samples of one half (training or test) of a data set."""

    x: np.ndarray  # [n, d] float32 in [0, 1]
    y: np.ndarray  # [n] int32


class Dataset(NamedTuple):
    """A task as NumPy arrays: of classification, every row of x being one flattened image, or of regression."""

    x_train: np.ndarray  # [n, d] float32, pixels in [0, 1]
    y_train: np.ndarray  # [n] int32 in [0, num_classes); of a regression [n, t] float32
    x_test: np.ndarray  # [m, d] float32
    y_test: np.ndarray  # [m] int32 or [m, t] float32
    num_classes: int  # 0 of a regression

    @property
    def train(self) -> Split:
        """The training samples."""
        return Split(self.x_train, self.y_train)

    @property
    def test(self) -> Split:
        """The test samples."""
        return Split(self.x_test, self.y_test)


def from_bytes(images: np.ndarray, labels: np.ndarray) -> Split:
    """Images [n, ...] uint8 and labels [n] of any integer type as x [n, d] = images / 255, and y [n]."""
    x = np.divide(images.reshape(len(images), -1), np.float32(255), dtype=np.float32)
    return Split(x, labels.astype(np.int32))


def check_labels(labels: np.ndarray, source: pathlib.Path) -> None:
    """Raises ValueError with the file that they come from unless labels [n], integers, are 0 to 9."""
    wrong = labels[(labels < 0) | (labels > 9)]
    if len(wrong):
        raise ValueError(f"{source}: labels must be 0 to 9, found {wrong[0]}; fetch the file again")


def random_stream(*path: str) -> np.random.Generator:
    """A random generator of its own for every purpose, such as ("lines", "train"); the same on every run."""
    return np.random.Generator(np.random.PCG64(list("/".join(path).encode())))


def one_line(text: object) -> str:
    """The text of an error, without line breaks."""
    return " ".join(str(text).split())
