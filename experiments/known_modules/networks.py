"""Stacks of networks of one shape, each unit with the module that it is known to belong to."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.known_modules.heads import NAMES
from experiments.known_modules.roles import hidden_labels
from modularity_jax.data.known import Known
from modularity_jax.data.planted import fused, modules
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.sweep import seed_mesh, train_seeds
from modularity_jax.nets.training import Samples

# Samples on which activations are looked at.
NUM_SAMPLES = 256


class Networks(NamedTuple):
    """S ReLU perceptrons."""

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]  # kernel [S, a, b] and bias [S, b] of each
    x: np.ndarray  # [S, n, d_0]
    truth: np.ndarray  # [S, N] int32, -1 where no module is known
    accuracy: float | None = None  # mean, on test samples
    known: Known | None = None  # what they were trained for

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each layer."""
        return (self.x.shape[2], *(bias.shape[1] for _, bias in self.layers))


def first(networks: Networks, count: int) -> Networks:
    """So many of a stack, or all."""
    layers, x, truth = jax.tree.map(lambda leaf: leaf[:count], networks[:3])
    return networks._replace(layers=layers, x=x, truth=truth)


def without_training(kernels: Sequence[jax.Array], truth: np.ndarray, seed: int = 0) -> Networks:
    """Networks of kernels [S, a, b] without biases, on Gaussian samples; truth [N] is that of all."""
    count, inputs, _ = kernels[0].shape
    x = np.random.default_rng(seed).normal(size=(count, NUM_SAMPLES, inputs)).astype(np.float32)
    layers = tuple((np.asarray(w), np.zeros((count, w.shape[2]), np.float32)) for w in kernels)
    return Networks(layers, x, np.tile(truth, (count, 1)))


def trained(known: Known, hidden: Sequence[int], train: TrainConfig, prune: PruneConfig) -> Networks:
    """Networks trained on a task, all seeds in one program."""
    answering = NAMES[known.num_answers]
    model = ModelConfig((known.inputs.size, *hidden, known.outputs.size, known.data.num_classes), answering)
    samples = Samples(*map(jnp.asarray, known.data[:4]))
    *_, last = train_seeds(samples, model=model, train=train, prune=prune, mesh=seed_mesh())
    named = sorted(last.params["layers"].items())
    layers = tuple((np.asarray(own["kernel"]), np.asarray(own["bias"])) for _, own in named)
    inputs, outputs = (np.tile(labels, (train.num_seeds, 1)) for labels in (known.inputs, known.outputs))
    truth = np.concatenate([inputs, hidden_labels(known, jax.tree.map(jnp.asarray, layers)), outputs], axis=1)
    x = np.tile(known.data.x_test[:NUM_SAMPLES], (train.num_seeds, 1, 1))
    return Networks(layers, x, truth, float(np.asarray(last.metrics.test_accuracy).mean()), known)


def side_by_side(networks: Networks, share: float) -> Networks:
    """Each two networks of a stack [2 S] as one, whose modules they are; this share of the weight is between them."""
    pairs = jax.tree.map(lambda leaf: (leaf[::2], leaf[1::2]), networks.layers)
    keys = jax.random.split(jax.random.key(0), len(networks.x) // 2)
    first, second = ([kernel[side] for kernel, _ in pairs] for side in (0, 1))
    kernels = jax.vmap(functools.partial(fused, share=share))(first, second, keys)
    layers = tuple((np.asarray(w), np.concatenate(bias, axis=1)) for w, (_, bias) in zip(kernels, pairs, strict=True))
    x = np.concatenate([networks.x[::2], networks.x[1::2, ::-1]], axis=2)  # one's samples are not the other's
    made = networks._replace(layers=layers, x=x)
    return made._replace(truth=np.tile(modules(made.widths, 2), (len(x), 1)))


def padded(networks: Networks, widths: Sequence[int]) -> Networks:
    """The networks with units that have no weight, and belong to no module, up to so many in each layer.

    They are isolated and change no measure; tasks of one shape share their programs.
    """
    more = [most - own for most, own in zip(widths, networks.widths, strict=True)]
    layers = tuple(
        (np.pad(kernel, ((0, 0), (0, before), (0, after))), np.pad(bias, ((0, 0), (0, after))))
        for (kernel, bias), before, after in zip(networks.layers, more, more[1:], strict=False)
    )
    truth = [
        np.pad(own, ((0, 0), (0, units)), constant_values=-1)
        for own, units in zip(np.split(networks.truth, np.cumsum(networks.widths)[:-1], axis=1), more, strict=True)
    ]
    x = np.pad(networks.x, ((0, 0), (0, 0), (0, more[0])))
    return networks._replace(layers=layers, x=x, truth=np.concatenate(truth, axis=1))
