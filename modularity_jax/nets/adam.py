"""Adam's step, in JAX alone and written so that every program rounds it alike."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

FIRST_DECAY = 0.9
SECOND_DECAY = 0.999


class Moments(NamedTuple):
    """Adam's state, with the fields of `optax.ScaleByAdamState`; 0 at the start."""

    count: Any  # [] int32, steps
    mu: Any  # running mean of the gradients
    nu: Any  # and of their squares


def adam_step(gradients: Any, moments: Any, learning_rate: float | Array, *, epsilon: float) -> tuple[Any, Moments]:
    """The update -learning_rate * m^ / (sqrt(v^) + epsilon), with m^ = m / (1 - b1^t) and v^ alike; the next state.

    Kingma and Ba 2015, as `optax.adam`. That divides the moments by 1 - b^t; with the step t batched over seeds, XLA
    leaves the division in a program for several devices and takes the reciprocal's product in one for a single device,
    so that the weights differ in their last bits. Here the reciprocals stand behind a barrier, and there is nothing
    left to choose.

    Args:
      gradients: pytree.
      moments: `Moments`, or any state with its fields.
      learning_rate: of this step.
      epsilon: 1e-7 in Keras, 1e-8 in PyTorch and Optax.
    """
    count = moments.count + 1
    first = jax.tree.map(lambda g, m: (1 - FIRST_DECAY) * g + FIRST_DECAY * m, gradients, moments.mu)
    second = jax.tree.map(lambda g, v: (1 - SECOND_DECAY) * g**2 + SECOND_DECAY * v, gradients, moments.nu)
    steps = count.astype(jnp.float32)
    unbias = jax.lax.optimization_barrier((1 / (1 - FIRST_DECAY**steps), 1 / (1 - SECOND_DECAY**steps)))
    updates = jax.tree.map(
        lambda m, v: -learning_rate * (m * unbias[0]) / (jnp.sqrt(v * unbias[1]) + epsilon), first, second
    )
    return updates, Moments(count, first, second)
