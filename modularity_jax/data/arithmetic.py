"""Sums and products of numbers given digit by digit: the sub-tasks of Csordas et al. 2021 (arXiv 2010.02066)."""

import numpy as np

from modularity_jax.data.known import Known, task

BASE = 10
# Samples of an epoch at least: fewer patterns come several times.
NUM_TRAIN = 10_000
OPERATORS = (np.add, np.multiply)


def double_addition(num_digits: int = 1) -> Known:
    """Two pairs of numbers below 10^D, of which a sample shows one; their sum modulo 10^D.

    All patterns, in training too. An input is a digit of one pair, one-hot, most significant first, d = 40 D; the pair
    that is not shown is 0, and so are the answers to its questions, which are not asked. A question is a digit of a
    pair's sum; the modules are the pairs, and so are the groups of samples.

    Raises:
      ValueError: if there is no digit.
    """
    numbers, digits = _patterns(num_digits)
    sums = _digits(np.add(*numbers.T) % BASE**num_digits, num_digits)
    pairs = np.repeat([0, 1], len(numbers))
    shown = pairs[:, None, None] == np.arange(2)[:, None]
    x, answers = (np.where(shown, np.tile(own, (2, 1))[:, None], 0) for own in (digits, sums))
    return _known(x, answers, pairs, np.repeat([0, 1], digits.shape[1]), np.repeat([0, 1], sums.shape[1] * BASE))


def add_multiply(num_digits: int = 1) -> Known:
    """Two numbers below 10^D and an operator; their sum or their product modulo 10^D.

    All patterns, in training too. Inputs are the numbers' digits, one-hot, and the operator, d = 20 D + 2; a question
    is a digit of the result. An operator is a module, to which its input and its samples belong.

    Raises:
      ValueError: if there is no digit.
    """
    numbers, digits = _patterns(num_digits)
    results = [_digits(operate(*numbers.T) % BASE**num_digits, num_digits) for operate in OPERATORS]
    groups = np.repeat(np.arange(len(OPERATORS)), len(numbers))
    x = np.concatenate([np.tile(digits, (len(OPERATORS), 1)), np.eye(len(OPERATORS), dtype=int)[groups]], axis=1)
    inputs = np.concatenate([np.full(digits.shape[1], -1), np.arange(len(OPERATORS))])
    return _known(x, np.concatenate(results), groups, inputs, np.full(num_digits * BASE, -1))


def _patterns(num_digits: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of numbers [n, 2], and their digits, one-hot [n, 20 D]."""
    if num_digits < 1:
        raise ValueError(f"num_digits must be at least 1, got {num_digits}")
    numbers = np.stack(np.divmod(np.arange(BASE ** (2 * num_digits)), BASE**num_digits), axis=1)
    return numbers, np.eye(BASE, dtype=int)[_digits(numbers, num_digits)].reshape(len(numbers), -1)


def _digits(numbers: np.ndarray, num_digits: int) -> np.ndarray:
    """Digits [..., D] of numbers [...], the most significant first."""
    return numbers[..., None] // BASE ** np.arange(num_digits)[::-1] % BASE


def _known(x: np.ndarray, answers: np.ndarray, groups: np.ndarray, inputs: np.ndarray, outputs: np.ndarray) -> Known:
    """The task of all patterns x [n, ...] with their answers [n, ...] and groups."""
    x, answers = (values.reshape(len(groups), -1) for values in (x, answers))
    copies = -(-NUM_TRAIN // len(groups))
    train = np.tile(x, (copies, 1)), np.tile(answers, (copies, 1))
    made = task(train, (x, answers), (BASE,) * answers.shape[1], inputs, groups.astype(np.int32))
    return made._replace(outputs=outputs.astype(np.int32), train_groups=np.tile(groups, copies).astype(np.int32))
