"""Two sets in one: pooled (`a+b`), or each giving half of the classes (`a|b`)."""

from typing import NamedTuple

import numpy as np

from modularity_jax.data.dataset import Dataset, Split, random_stream

NUM_TRAIN = 60_000
NUM_TEST = 10_000


class Mixture(NamedTuple):
    """A mixture's name, taken apart."""

    name: str
    sign: str  # "+" or "|"
    parts: tuple[str, str]


def parse(name: str) -> Mixture | None:
    """Takes the name of a mixture apart.

    Returns:
      The parts; None if the name is that of a single set.

    Raises:
      ValueError: if there are more than two parts, or one is empty.
    """
    sign = next((character for character in name if character in "+|"), None)
    if sign is None:
        return None
    first, second = name.split(sign, 1)
    if not first or not second or "+" in second or "|" in second:
        raise ValueError(f"a mixture is named a+b or a|b with two sets, got {name!r}")
    return Mixture(name, sign, (first, second))


def mix(mixture: Mixture, first: Dataset, second: Dataset) -> Dataset:
    """Builds the mixture `a+b` or `a|b` of two ten-class sets whose images have the same size.

    `a+b` pools the two: a label means one thing in the images of a and another in those of b.
    `a|b` takes the images with labels 0 to 4 from a and those with labels 5 to 9 from b.

    In both, each set gives 30,000 training and 5,000 test samples, drawn without replacement and shuffled together;
    a set that has fewer of them gives all it has (MNIST has 29,404 training images and 4,861 test images of 5 to 9).
    Training samples come from training samples, test samples from test samples.

    Args:
      mixture: what to build; the draws are seeded with its name.
      first: the set a.
      second: the set b.

    Returns:
      The data set, 60,000 / 10,000 or as near to it as the two allow.
    """
    select = _by_class if mixture.sign == "|" else _whole
    train = _pool(select(first.train, second.train), NUM_TRAIN, random_stream(mixture.name, "train"))
    test = _pool(select(first.test, second.test), NUM_TEST, random_stream(mixture.name, "test"))
    return Dataset(*train, *test, num_classes=10)


def _whole(first: Split, second: Split) -> list[tuple[Split, np.ndarray]]:
    """Each half with the indices [n] of the samples it may give."""
    return [(first, np.arange(len(first.y))), (second, np.arange(len(second.y)))]


def _by_class(first: Split, second: Split) -> list[tuple[Split, np.ndarray]]:
    return [(first, np.flatnonzero(first.y < 5)), (second, np.flatnonzero(second.y >= 5))]


def _pool(halves: list[tuple[Split, np.ndarray]], size: int, stream: np.random.Generator) -> Split:
    """Draws size / 2 samples from each half, or all it has, and shuffles them together."""
    drawn = [(half, stream.permutation(indices)[: size // 2]) for half, indices in halves]
    order = stream.permutation(sum(len(indices) for _, indices in drawn))
    x = np.concatenate([half.x[indices] for half, indices in drawn])
    y = np.concatenate([half.y[indices] for half, indices in drawn])
    return Split(x[order], y[order])
