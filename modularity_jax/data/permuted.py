"""Handwritten digits whose pixels are permuted, in one way for each sub-task: nothing tells sub-tasks apart but x."""

import numpy as np

from modularity_jax.data import digits
from modularity_jax.data.dataset import random_stream
from modularity_jax.data.known import Known, task


def load(num_permutations: int = 4) -> Known:
    """scikit-learn's digits, d = 64, each as it is and with its pixels in other orders, which are the groups.

    The small form of permuted MNIST; inputs and outputs belong to all sub-tasks.

    Raises:
      ValueError: if there are fewer than two orders.
      ImportError: if scikit-learn is missing.
    """
    if num_permutations < 2:
        raise ValueError(f"num_permutations must be at least 2, got {num_permutations}")
    source, stream = digits.load(), random_stream("permuted")
    orders = [np.arange(64), *(stream.permutation(64) for _ in range(num_permutations - 1))]
    train, test = (
        (np.concatenate([split.x[:, order] for order in orders]), np.tile(split.y, num_permutations)[:, None])
        for split in (source.train, source.test)
    )
    groups, train_groups = (
        np.arange(num_permutations, dtype=np.int32).repeat(len(split.y)) for split in (source.test, source.train)
    )
    return task(train, test, (10,), np.full(64, -1), groups)._replace(train_groups=train_groups)
