"""Optax's Adam, written so that every program rounds it alike."""

from typing import Any

import optax

from modularity_jax.nets.adam import adam_step


def adam(learning_rate: float, *, epsilon: float) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) by `adam_step`; the formula and the state are those of `optax.adam`."""

    def update(gradients: Any, state: optax.ScaleByAdamState, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params
        updates, moments = adam_step(gradients, state, learning_rate, epsilon=epsilon)
        return updates, optax.ScaleByAdamState(*moments)

    return optax.GradientTransformation(optax.scale_by_adam().init, update)
