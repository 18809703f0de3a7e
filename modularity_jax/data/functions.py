"""Two functions of inputs of their own, asked for each or for their sum (the tasks of Boopathy et al. 2025)."""

import numpy as np

from modularity_jax.data.dataset import random_stream
from modularity_jax.data.known import Known, halves, task

NUM_TRAIN, NUM_TEST = 8_000, 1_000
NUM_SINES = 3


def load(output: str = "both") -> Known:
    """Six inputs ~ N(0, 1), f of the first three and g of the others, each a sum of sines of projections.

    Args:
      output: "both" asks whether f and whether g is above 0, "sum" whether f + g is.

    Raises:
      ValueError: if the output is another one.
    """
    if output not in ("both", "sum"):
        raise ValueError(f"output must be one of both, sum, got {output!r}")
    samples = []
    for name, count in (("train", NUM_TRAIN), ("test", NUM_TEST)):
        x = random_stream("functions", name).normal(size=(count, 6))
        found = values(x) if output == "both" else values(x).sum(axis=1, keepdims=True)
        samples.append((x, (found > 0).astype(int)))
    return task(samples[0], samples[1], (2,) * samples[0][1].shape[1], halves(6))


def values(x: np.ndarray) -> np.ndarray:
    """What f and g are of inputs [n, 6], [n, 2]."""
    directions = random_stream("functions").normal(size=(2, 3, NUM_SINES))
    return np.stack([np.sin(own @ directions[i]).sum(axis=1) for i, own in enumerate(np.split(x, 2, axis=1))], axis=1)
