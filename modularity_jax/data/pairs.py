"""Pairs of handwritten digits: which are they, or what is their sum?"""

import numpy as np

from modularity_jax.data import digits
from modularity_jax.data.dataset import Split, random_stream
from modularity_jax.data.known import Known, halves, task

NUM_TRAIN, NUM_TEST = 8_000, 1_000


def load(output: str = "both") -> Known:
    """Two of scikit-learn's digits one after the other, d = 128, drawn independently, training and test digits apart.

    Args:
      output: "both" asks for each digit, "sum" for their sum modulo 10 (as the data set `halves` does).

    Raises:
      ValueError: if the output is another one.
      ImportError: if scikit-learn is missing.
    """
    if output not in ("both", "sum"):
        raise ValueError(f"output must be one of both, sum, got {output!r}")
    source = digits.load()
    samples = []
    for name, split, count in (("train", source.train, NUM_TRAIN), ("test", source.test, NUM_TEST)):
        x, classes = drawn(split, count, name)
        samples.append((x, classes if output == "both" else classes.sum(axis=1, keepdims=True) % 10))
    return task(samples[0], samples[1], (10,) * samples[0][1].shape[1], halves(128))


def drawn(split: Split, count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [count, 2 d] of a split's images, and their classes [count, 2]."""
    chosen = random_stream("pairs", name).integers(0, len(split.y), size=(count, 2))
    return split.x[chosen].reshape(count, -1), split.y[chosen]
