"""Sets made here: counted lines, and noise. Each half draws from a stream seeded with its own name."""

import numpy as np

from modularity_jax.data.dataset import NUM_TEST, NUM_TRAIN, SIDE, Dataset, Split, random_stream


def load_lines() -> Dataset:
    """Images of 1 to 10 distinct vertical lines; the label is their number minus 1.

    A line is one pixel wide, 1 on a ground of 0, and runs from the top to the bottom; numbers and places are uniform.
    There are only 28 images with one line and 378 with two, so these occur in both halves. d = 784.
    """
    return Dataset(*_lines("train", NUM_TRAIN), *_lines("test", NUM_TEST), num_classes=10)


def load_random() -> Dataset:
    """Noise without anything to learn: uniform pixels, uniform labels; d = 784."""
    return Dataset(*_noise("train", NUM_TRAIN), *_noise("test", NUM_TEST), num_classes=10)


def _lines(split: str, size: int) -> Split:
    stream = random_stream("lines", split)
    labels = stream.integers(0, 10, size=size, dtype=np.int32)
    # The ranks of distinct keys are a random order of the columns; the first label + 1 of them become lines.
    ranks = stream.random((size, SIDE)).argsort(axis=1).argsort(axis=1)
    columns = (ranks <= labels[:, None]).astype(np.float32)
    return Split(np.tile(columns, (1, SIDE)), labels)


def _noise(split: str, size: int) -> Split:
    stream = random_stream("random", split)
    labels = stream.integers(0, 10, size=size, dtype=np.int32)
    return Split(stream.random((size, SIDE * SIDE), dtype=np.float32), labels)
