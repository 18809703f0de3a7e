"""Rules of which one holds for each sample (Mittal, Bengio and Lajoie 2022): modules of functions, not of inputs."""

import numpy as np

from modularity_jax.data.dataset import random_stream
from modularity_jax.data.known import Known, task

NUM_TRAIN, NUM_TEST = 8_000, 1_000


def load(num_rules: int = 4) -> Known:
    """Inputs x_1, x_2 ~ N(0, 1) and the rule c, one-hot: is a_c x_1 + b_c x_2 above 0, with a, b ~ N(0, 1)?

    A rule is a module, to which its own input belongs.

    Raises:
      ValueError: if there are fewer than two rules.
    """
    if num_rules < 2:
        raise ValueError(f"num_rules must be at least 2, got {num_rules}")
    weights = random_stream("rules").normal(size=(num_rules, 2))
    samples, groups = [], []
    for name, count in (("train", NUM_TRAIN), ("test", NUM_TEST)):
        stream = random_stream("rules", name)
        x, rules = stream.normal(size=(count, 2)), stream.integers(0, num_rules, count)
        answers = ((x * weights[rules]).sum(axis=1) > 0).astype(int)
        groups.append(rules.astype(np.int32))
        samples.append((np.concatenate([x, np.eye(num_rules)[rules]], axis=1), answers[:, None]))
    inputs = np.concatenate([[-1, -1], np.arange(num_rules)])
    return task(samples[0], samples[1], (2,), inputs, groups[1])._replace(train_groups=groups[0])
