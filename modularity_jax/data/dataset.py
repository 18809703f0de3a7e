"""What every data set looks like, and the few things that all sources share."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """The samples of one half (training or test) of a data set."""

    x: np.ndarray  # [n, d] float32 in [0, 1]
    y: np.ndarray  # [n] int32


class Dataset(NamedTuple):
    """A classification task as NumPy arrays; every row of x is one flattened image."""

    x_train: np.ndarray  # [n, d] float32 in [0, 1]
    y_train: np.ndarray  # [n] int32 in [0, num_classes)
    x_test: np.ndarray  # [m, d] float32 in [0, 1]
    y_test: np.ndarray  # [m] int32 in [0, num_classes)
    num_classes: int

    @property
    def train(self) -> Split:
        """The training samples."""
        return Split(self.x_train, self.y_train)

    @property
    def test(self) -> Split:
        """The test samples."""
        return Split(self.x_test, self.y_test)


def first_train(dataset: Dataset, num_train: int) -> Dataset:
    """Keeps the first `num_train` training samples and all test samples.

    Raises:
      ValueError: if there are fewer than `num_train`.
    """
    available = len(dataset.y_train)
    if num_train > available:
        raise ValueError(f"num_train must be at most {available}, the training samples there are, got {num_train}")
    return dataset._replace(x_train=dataset.x_train[:num_train], y_train=dataset.y_train[:num_train])


def from_bytes(images: np.ndarray, labels: np.ndarray) -> Split:
    """Flattens images of bytes and scales them to [0, 1].

    Args:
      images: [n, ...] uint8.
      labels: [n], any integer type.

    Returns:
      x [n, d] = images / 255, and y [n].
    """
    x = np.divide(images.reshape(len(images), -1), np.float32(255), dtype=np.float32)
    return Split(x, labels.astype(np.int32))


def check_labels(labels: np.ndarray, source: object, num_classes: int = 10) -> None:
    """Refuses labels that are not 0 to num_classes - 1.

    Args:
      labels: [n] integers.
      source: where they come from, for the message.
      num_classes: how many classes there are.

    Raises:
      ValueError: with the first offending label.
    """
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise ValueError(f"{source}: labels must be 0 to {num_classes - 1}, found {wrong[0]}; fetch the file again")


def random_stream(*path: str) -> np.random.Generator:
    """A random generator of its own for every purpose, the same on every run.

    Args:
      *path: names of the purpose, such as ("lines", "train").
    """
    return np.random.Generator(np.random.PCG64(list("/".join(path).encode())))


def one_line(text: object) -> str:
    """The text of an error, without line breaks."""
    return " ".join(str(text).split())
