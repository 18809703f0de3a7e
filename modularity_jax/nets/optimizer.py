"""Optax's Adam, written so that every program rounds it alike."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

FIRST_DECAY = 0.9
SECOND_DECAY = 0.999


def adam(learning_rate: float, *, epsilon: float) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015): -learning_rate * m^ / (sqrt(v^) + epsilon), with m^ = m / (1 - b1^t) and v^ alike.

    The formula and the state are those of `optax.adam`. That divides the moments by 1 - b^t; with the step t batched
    over seeds, XLA leaves the division in a program for several devices and takes the reciprocal's product in one for
    a single device, so that the weights differ in their last bits. Here the reciprocals stand behind a barrier, and
    there is nothing left to choose.
    """

    def update(gradients: Any, state: optax.ScaleByAdamState, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        count = state.count + 1
        first = optax.tree.update_moment(gradients, state.mu, FIRST_DECAY, 1)
        second = optax.tree.update_moment(gradients, state.nu, SECOND_DECAY, 2)
        unbias = jax.lax.optimization_barrier((1 / (1 - FIRST_DECAY**count), 1 / (1 - SECOND_DECAY**count)))
        updates = jax.tree.map(
            lambda m, v: -learning_rate * (m * unbias[0]) / (jnp.sqrt(v * unbias[1]) + epsilon), first, second
        )
        return updates, optax.ScaleByAdamState(count, first, second)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)
