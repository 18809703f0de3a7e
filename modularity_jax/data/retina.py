"""The retina of Kashtan and Alon 2005: is there an object on the left, is there one on the right?"""

import numpy as np

from modularity_jax.data.known import Known, halves, task

# Each pattern so often in an epoch, which would be short otherwise.
REPEATS = 16
COMBINED = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def load(output: str = "both") -> Known:
    """All 256 patterns of 2 x 4 pixels; the inputs are those of the left side, then those of the right one.

    A side of 2 x 2 pixels shows an object where three or more are black, or one or two of its outer column alone.

    Args:
      output: "both" asks for each side, "and", "or" and "xor" for both together.

    Raises:
      ValueError: if the output is another one.
    """
    if output != "both" and output not in COMBINED:
        raise ValueError(f"output must be one of both, {', '.join(COMBINED)}, got {output!r}")
    patterns = (np.arange(256)[:, None] >> np.arange(8)) & 1
    seen = np.stack([_is_object(side) for side in (patterns[:, :4], patterns[:, 4:])], axis=1)
    answers = seen if output == "both" else COMBINED[output](*seen.T)[:, None]
    test = patterns, answers.astype(int)
    train = np.tile(patterns, (REPEATS, 1)), np.tile(test[1], (REPEATS, 1))
    return task(train, test, (2,) * answers.shape[1], halves(8))


def _is_object(side: np.ndarray) -> np.ndarray:
    """Whether patterns [n, 4] are objects; the first two pixels are the outer column."""
    outer, inner = side[:, :2].sum(axis=1), side[:, 2:].sum(axis=1)
    return (outer + inner >= 3) | ((outer > 0) & (inner == 0))
