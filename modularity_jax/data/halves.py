"""Two images of MNIST in one: side by side, each shrunk to half its width, or stacked as two channels (2103.03386).

Shrunk, not cut, as in the study's published code: half a digit would not tell its class. They are the same on every
run and machine: each half of a set draws from a stream seeded with its own name, and the stacked images are the pairs
that stand side by side. The sets have as many samples as MNIST, of d = 784 or, stacked, 1568.
"""

from collections.abc import Callable

import numpy as np

from modularity_jax.data.dataset import SIDE, Dataset, Split, random_stream

Join = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of the first and the second images [n, 784], those of both


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Images [n, 784] whose halves are those of the left and the right, each two columns averaged."""
    images = [x.reshape(-1, SIDE, SIDE) for x in (left, right)]
    return np.concatenate([(x[:, :, ::2] + x[:, :, 1::2]) / np.float32(2) for x in images], axis=2).reshape(
        len(left), -1
    )


def stacked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Images [n, 28 * 28 * 2] of two channels, which come last."""
    return np.stack([first, second], axis=-1).reshape(len(first), -1)


def sums(mnist: Dataset, join: Join = beside) -> Dataset:
    """Both images drawn independently; the label is the sum of the two digits modulo 10."""
    return Dataset(*_sums("train", mnist.train, join), *_sums("test", mnist.test, join), num_classes=10)


def same(mnist: Dataset, join: Join = beside) -> Dataset:
    """Two different images of one class, which is the label: each image of MNIST, in its order, left of another one.

    Raises:
      ValueError: if there is a single image of some class.
    """
    return Dataset(*_same("train", mnist.train, join), *_same("test", mnist.test, join), num_classes=10)


def partners(labels: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """For each label [n], integers from 0, the index of another sample of its class; all others are equally likely.

    Raises:
      ValueError: if there is a single sample of some class.
    """
    sizes = np.bincount(labels)
    if (sizes == 1).any():
        raise ValueError(f"halves_same takes two images of a class, there is one of class {np.argmax(sizes == 1)}")
    by_class = np.argsort(labels, kind="stable")
    first = (np.cumsum(sizes) - sizes)[labels]
    place = np.empty_like(by_class)
    place[by_class] = np.arange(len(labels))
    # Some places further on within the class, which is a circle.
    ahead = stream.integers(1, sizes[labels])
    return by_class[first + (place - first + ahead) % sizes[labels]]


def _sums(split: str, images: Split, join: Join) -> Split:
    left, right = random_stream("halves", split).integers(0, len(images.y), size=(2, len(images.y)))
    return Split(join(images.x[left], images.x[right]), (images.y[left] + images.y[right]) % 10)


def _same(split: str, images: Split, join: Join) -> Split:
    right = partners(images.y, random_stream("halves_same", split))
    return Split(join(images.x, images.x[right]), images.y)
