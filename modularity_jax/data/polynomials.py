"""A regression: all sums of some of the monomials x^a y^b with a and b up to 2 (2103.03386)."""

import itertools

import numpy as np

from modularity_jax.data.dataset import NUM_TEST, NUM_TRAIN, Dataset, random_stream

POWERS = tuple(itertools.product(range(3), repeat=2))  # a and b of each monomial
NUM_TARGETS = 2 ** len(POWERS)


def load() -> Dataset:
    """Two inputs ~ N(0, 1), not scaled, and 512 targets, each a sum of monomials of `POWERS`; target 0 is that of none.

    Target t has the monomials whose bits are 1 in t, the highest bit being that of the first monomial, which is 1.
    """
    x_train, x_test = (
        random_stream("polynomials", split).normal(size=(count, 2)).astype(np.float32)
        for split, count in (("train", NUM_TRAIN), ("test", NUM_TEST))
    )
    return Dataset(x_train, targets(x_train), x_test, targets(x_test), num_classes=0)


def targets(x: np.ndarray) -> np.ndarray:
    """The targets [n, 512] of inputs [n, 2], float32."""
    summed = np.zeros((len(x), NUM_TARGETS), np.float32)
    for bit, (a, b) in enumerate(reversed(POWERS)):
        chosen = np.arange(NUM_TARGETS) >> bit & 1 == 1
        summed[:, chosen] += (x[:, 0] ** a * x[:, 1] ** b)[:, None]
    return summed
