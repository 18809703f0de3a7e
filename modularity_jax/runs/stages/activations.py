"""Activations of a run's networks on samples that are drawn once for all of them."""

import dataclasses
from typing import Any

import numpy as np

from modularity_jax.graphs.protocol import Graph
from modularity_jax.nets.graphs import ACTIVATION_GRAPHS
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models import apply_recorded
from modularity_jax.nets.training import Samples
from modularity_jax.probes.activations import unit_activations
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.store import digest

# Tells the draw of samples from the run's other randomness.
_SAMPLE_STREAM = 2**32 - 3


class Activations:
    """What hidden units do on the samples that `config.activations` asks for.

    Args:
      config: the run's.
      samples: of the run.

    Raises:
      ValueError: if the architecture does not tell its units' activations.
    """

    def __init__(self, config: RunConfig, samples: Samples) -> None:
        own, model = config.activations, config.model
        given = (samples.x_train, samples.y_train) if own.split == "train" else (samples.x_test, samples.y_test)
        order = np.random.default_rng([config.train.seed, _SAMPLE_STREAM]).permutation(len(given[0]))
        self._x, self.y = (np.asarray(values)[order[: own.num_samples or None]] for values in given)
        self._own = own
        self._apply = apply_recorded(model, before=own.before_relu)
        self.key: dict[str, Any] = dataclasses.asdict(own) | {"samples": digest([self._x])}  # decides what they are

    def of(self, params: Params) -> list[np.ndarray]:
        """A network's, [n, d] of each hidden group."""
        return unit_activations(self._apply, params, self._x, norm=self._own.norm)

    def graph(self, kind: str, params: Params) -> Graph:
        """A network's graph of a kind of `ACTIVATION_GRAPHS`."""
        how = {"correlation": self._own.correlation, "cross_validated": self._own.cross_validated}
        return ACTIVATION_GRAPHS[kind](self.of(params), **how)
