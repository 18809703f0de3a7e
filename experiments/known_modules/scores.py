"""How well labels agree with known ones."""

import math

import numpy as np


def adjusted_rand(labels: np.ndarray, others: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Adjusted Rand index of two labellings [N] (Hubert and Arabie 1985); 1 for the same partition, 0 by chance.

    Args:
      labels, others: integers; NaN is the index of less than two units, or of one cluster in both.
      weights: [N], a pair of units counts as the product of theirs; 1 each by default.
    """
    own = np.ones(len(labels)) if weights is None else np.asarray(weights, float)
    sizes = [part.max(initial=0) + 2 for part in (labels, others)]  # -1 is the last
    cells = np.ravel_multi_index((labels % sizes[0], others % sizes[1]), sizes)
    table = np.stack([np.bincount(cells, own**power, math.prod(sizes)).reshape(sizes) for power in (1, 2)])

    def pairs(cells: np.ndarray) -> float:
        return float((cells[0] ** 2 - cells[1]).sum() / 2)

    both, first, second, total = (
        pairs(cells) for cells in (table, table.sum(axis=2), table.sum(axis=1), table.sum(axis=(1, 2)))
    )
    expected = first * second / total if total > 0 else 0.0
    span = (first + second) / 2 - expected
    return (both - expected) / span if span > 1e-12 * max(total, 1e-300) else float("nan")
