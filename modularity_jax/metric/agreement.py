"""How well two partitions of the same things agree."""

import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks


def adjusted_rand(labels: ArrayLike, others: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Adjusted Rand index of two labellings [N] (Hubert and Arabie 1985); 1 for the same partition, 0 by chance.

    Args:
      labels, others: integers, concrete; -1 is a label like others, so leave out what has none.
      weights: [N] real numbers of at least 0, a pair counts as the product of theirs; 1 each by default.

    Returns:
      NaN where there is nothing to compare: no pair, or in both one cluster, or in both one for each.

    Raises:
      ValueError: if the labels are not two lists of integers of one length, or the weights are not finite numbers of
        at least 0, one each.
    """
    first, second = _codes("labels", labels), _codes("others", others)
    own = np.ones(first.size) if weights is None else np.asarray(checks.as_numbers("weights", weights), float)
    if not first.shape == second.shape == own.shape:
        shapes = ", ".join(str(part.shape) for part in (first, second, own))
        raise ValueError(f"labels, others and weights must have one shape [N], got {shapes}")
    checks.check_finite("weights", own)
    if own.min(initial=0) < 0:
        raise ValueError(f"weights must be at least 0, got {own.min()}")
    return _index(first, second, own)


def _codes(name: str, labels: ArrayLike) -> np.ndarray:
    """Labels as numbers from 0 on, none of which is left out."""
    given = np.asarray(checks.as_integers(name, labels))
    if given.ndim != 1:
        raise ValueError(f"{name} must have one axis [N], got shape {given.shape}")
    return np.unique(given, return_inverse=True)[1]


def _index(labels: np.ndarray, others: np.ndarray, weights: np.ndarray) -> float:
    """The index of checked labels."""
    sizes = [int(part.max(initial=-1)) + 1 for part in (labels, others)]
    table = np.zeros((2, *sizes))  # of each two clusters the sum of weights, and of their squares
    for power in (1, 2):
        np.add.at(table[power - 1], (labels, others), weights**power)

    def pairs(cells: np.ndarray) -> float:
        return float((cells[0] ** 2 - cells[1]).sum() / 2)

    both, first, second, total = (
        pairs(cells) for cells in (table, table.sum(axis=2), table.sum(axis=1), table.sum(axis=(1, 2)))
    )
    expected = first * second / total if total > 0 else 0.0
    span = (first + second) / 2 - expected
    return (both - expected) / span if span > 1e-12 * max(total, 1e-300) else float("nan")
