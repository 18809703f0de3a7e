"""Two sets in one: pooled (`a+b`), or each giving half of the classes (`a|b`)."""

import re
from typing import NamedTuple

import numpy as np

from modularity_jax.data.dataset import NUM_TEST, NUM_TRAIN, Dataset, Split, random_stream


class Mixture(NamedTuple):
    """A mixture's name, taken apart."""

    name: str
    sign: str  # "+" or "|"
    parts: tuple[str, str]


def parse(name: str) -> Mixture | None:
    """Takes the name of a mixture apart; None if it is that of a single set.

    Raises:
      ValueError: if there are more than two parts, or one is empty.
    """
    if "+" not in name and "|" not in name:
        return None
    match = re.fullmatch(r"([^+|]+)([+|])([^+|]+)", name)
    if not match:
        raise ValueError(f"a mixture is named a+b or a|b with two sets, got {name!r}")
    first, sign, second = match.groups()
    return Mixture(name, sign, (first, second))


def mix(mixture: Mixture, first: Dataset, second: Dataset) -> Dataset:
    """Builds the mixture `a+b` or `a|b` of two ten-class sets whose images have the same size.

    `a+b` pools the two: a label means one thing in the images of a and another in those of b.
    `a|b` takes the images with labels 0 to 4 from a and those with labels 5 to 9 from b.

    In both, each set gives 30,000 training and 5,000 test samples, drawn without replacement and shuffled together;
    a set that has fewer of them gives all it has (MNIST has 29,404 training images and 4,861 test images of 5 to 9).
    Training samples come from training samples, test samples from test samples; the draws are seeded with the name.
    """
    train = _pool(mixture, first.train, second.train, NUM_TRAIN, random_stream(mixture.name, "train"))
    test = _pool(mixture, first.test, second.test, NUM_TEST, random_stream(mixture.name, "test"))
    return Dataset(*train, *test, num_classes=10)


def _pool(mixture: Mixture, first: Split, second: Split, size: int, stream: np.random.Generator) -> Split:
    """Draws size / 2 samples from each half, or all that may be taken of it, and shuffles them together."""
    of_first, of_second = np.arange(len(first.y)), np.arange(len(second.y))
    if mixture.sign == "|":
        of_first, of_second = np.flatnonzero(first.y < 5), np.flatnonzero(second.y >= 5)
    a, b = (stream.permutation(places)[: size // 2] for places in (of_first, of_second))
    order = stream.permutation(len(a) + len(b))
    return Split(np.concatenate([first.x[a], second.x[b]])[order], np.concatenate([first.y[a], second.y[b]])[order])
