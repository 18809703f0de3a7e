"""Training: an epoch of a sweep, beside one seed after another, jitted step by step as a user would write it."""

import time

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from experiments.benchmarks.measure import Row, Shape, matmul_rate
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models import apply, init_params, kernel_sizes
from modularity_jax.nets.models.mlp import MLP
from modularity_jax.nets.sweep import train_seeds
from modularity_jax.nets.training import Samples


def train_rows(samples: Samples, mesh: Mesh, *, model: ModelConfig, num_seeds: int = 8, rounds: int = 3) -> list[Row]:
    """A row for each phase; seconds are per network and epoch, medians of `rounds` epochs after a first one.

    Args:
      samples: the data set.
      mesh: the devices that share the seeds.
      model: the network.
      num_seeds: networks of the sweep.
      rounds: epochs that count, of either side.
    """
    settings = TrainConfig(num_seeds=num_seeds, epochs=rounds + 1)
    taken: dict[str, list[float]] = {}
    start = time.perf_counter()
    for epoch in train_seeds(samples, model=model, train=settings, prune=PruneConfig(epochs=rounds + 1), mesh=mesh):
        now = time.perf_counter()
        taken.setdefault(epoch.phase, []).append((now - start) / num_seeds)
        start = now
    seconds = {phase: float(np.median(taken[phase][1:])) for phase in ("unpruned", "pruned")}
    alone = float(np.median(_alone(samples, model, settings, rounds)))
    least = _operations(model, samples) / matmul_rate(_shapes(model, settings.batch_size))
    return [
        {
            "phase": phase,
            "seeds": num_seeds,
            "s an epoch and net": seconds[phase],
            "one by one s": alone,
            "times one by one": alone / seconds[phase],
            "to unpruned": seconds[phase] / seconds["unpruned"],
            "share of matmul rate %": 100 * least / seconds[phase],
            "compile s": (taken[phase][0] - seconds[phase]) * num_seeds,
        }
        for phase in seconds
    ]


def _alone(samples: Samples, model: ModelConfig, settings: TrainConfig, rounds: int) -> list[float]:
    """Seconds of each epoch of one network: Optax's Adam, a jitted step, batches picked on the host."""
    net = MLP(model.widths, model.dropout_rate)
    optimizer = optax.adam(settings.learning_rate)

    @jax.jit
    def step(params: Params, state: optax.OptState, x: jax.Array, y: jax.Array) -> tuple[Params, optax.OptState]:
        def loss(params: Params) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(apply(net, params, x), y).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    evaluate = jax.jit(lambda params: (apply(net, params, samples.x_test).argmax(axis=1) == samples.y_test).mean())
    params = init_params(net, model.widths[0], jax.random.key(0))
    state = optimizer.init(params)
    x, y = np.asarray(samples.x_train), np.asarray(samples.y_train)
    rng = np.random.default_rng(0)
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        order = rng.permutation(y.size)
        for first in range(0, y.size, settings.batch_size):
            batch = order[first : first + settings.batch_size]
            params, state = step(params, state, x[batch], y[batch])
        evaluate(params).block_until_ready()
        taken.append(time.perf_counter() - start)
    return taken[1:]


def _shapes(model: ModelConfig, batch: int) -> list[Shape]:
    """Products of one training step: forwards, the kernels' gradients, the activations' but for the input's."""
    sides = list(zip(model.widths, model.widths[1:], strict=False))
    forwards = [(batch, a, b) for a, b in sides]
    kernels = [(a, batch, b) for a, b in sides]
    activations = [(batch, b, a) for a, b in sides[1:]]
    return forwards + kernels + activations


def _operations(model: ModelConfig, samples: Samples) -> float:
    """Floating-point operations of an epoch's products, the evaluation on the test set included."""
    trained = 2 * sum(m * k * n for m, k, n in _shapes(model, 1)) * samples.y_train.size
    return trained + 2 * sum(kernel_sizes(model)) * samples.y_test.size
