"""Tasks whose modules are known, for networks that are trained on them."""

import math
from typing import NamedTuple

import numpy as np

from modularity_jax.data.dataset import Dataset, Split, random_stream

Samples = tuple[np.ndarray, np.ndarray]  # x and the answers


class Known(NamedTuple):
    """A task of one or several questions, and what belongs to which of its modules, -1 to none.

    The label of a sample numbers the answers to all questions: `np.ravel_multi_index(answers, num_answers)`. Inputs are
    any real numbers.
    """

    data: Dataset
    num_answers: tuple[int, ...]  # to each question
    inputs: np.ndarray  # [d] int32
    outputs: np.ndarray  # [o] int32, of the outputs: one for a yes or no, else one for each answer
    groups: np.ndarray | None = None  # [m] int32, of the test samples, where modules are theirs
    train_groups: np.ndarray | None = None  # [n] int32, and of the training samples


def task(
    train: Samples, test: Samples, num_answers: tuple[int, ...], inputs: np.ndarray, groups: np.ndarray | None = None
) -> Known:
    """A task of samples x [n, d] with answers [n, questions]; each of several questions is a module."""
    train_split, test_split = (
        Split(x.astype(np.float32), np.ravel_multi_index(tuple(answers.T), num_answers).astype(np.int32))
        for x, answers in (train, test)
    )
    owners = np.arange(len(num_answers)) if len(num_answers) > 1 else np.array([-1])
    outputs = np.repeat(owners, [1 if count == 2 else count for count in num_answers]).astype(np.int32)
    data = Dataset(*train_split, *test_split, num_classes=math.prod(num_answers))
    return Known(data, num_answers, inputs.astype(np.int32), outputs, groups)


def by_group(known: Known) -> tuple[Split, Split]:
    """Training and test samples of each of T groups, x [T, n, d] and y [T, n]; n is that of the largest group.

    The samples of a smaller one come again from its first on.

    Raises:
      ValueError: if the task has no groups of training samples.
    """
    if known.groups is None or known.train_groups is None:
        raise ValueError("known must have groups of training and of test samples, got none")
    data = known.data
    return _by_group(data.train, known.train_groups), _by_group(data.test, known.groups)


def _by_group(split: Split, groups: np.ndarray) -> Split:
    own = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    chosen = np.stack([np.resize(places, max(map(len, own))) for places in own])
    return Split(split.x[chosen], split.y[chosen])


def mixed(known: Known) -> Known:
    """The task with its inputs rotated, so that each of them tells something of all: its twin without modules."""
    data, size = known.data, known.inputs.size
    rotation, _ = np.linalg.qr(random_stream("mixed", str(size)).normal(size=(size, size)))
    rotated = data._replace(
        x_train=data.x_train @ rotation.astype(np.float32), x_test=data.x_test @ rotation.astype(np.float32)
    )
    return known._replace(data=rotated, inputs=np.full(size, -1, np.int32))


def halves(size: int) -> np.ndarray:
    """The modules [size] of inputs of which the first half is one's, the second the other's."""
    return np.arange(size) * 2 // size
