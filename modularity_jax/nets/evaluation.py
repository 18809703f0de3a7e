"""How good networks are: loss and accuracy of classes, loss of a regression."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from modularity_jax.nets.group_sizes import evaluated_at_once
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models import apply, widest

Array = jax.Array


def evaluate(model: nn.Module, params: Params, x: Array, y: Array) -> tuple[Array, Array | None]:
    """Mean loss and accuracy, None of a regression, on samples x [n, d], y [n] or [n, t], without dropout.

    In slices of `evaluated_at_once`, since the activations of a large training set, times the networks that are
    evaluated side by side, are more than its networks take.
    """
    count = len(y)
    size = min(count, evaluated_at_once(widest(model, x.shape[-1])))

    def add(index: Array, sums: tuple[Array, Array]) -> tuple[Array, Array]:
        # The last slice reaches back into the one before it, whose samples do not count twice.
        first = jnp.minimum(index * size, count - size)
        own, labels = (jax.lax.dynamic_slice_in_dim(values, first, size) for values in (x, y))
        loss, hit = _scores(model, params, own, labels)
        new = first + jnp.arange(size, dtype=jnp.int32) >= index * size
        return sums[0] + jnp.where(new, loss, 0).sum(), sums[1] + (new & hit).sum(dtype=jnp.int32)

    if size == count:
        loss, hit = _scores(model, params, x, y)
        return loss.mean(), of_classes(y, hit.mean())
    loss, hits = jax.lax.fori_loop(0, -(-count // size), add, (jnp.float32(0), jnp.int32(0)))
    return loss / count, of_classes(y, hits / count)


def per_sample(outputs: Array, y: Array) -> tuple[Array, Array]:
    """Loss [B], and whether the answer is right [B], of outputs [B, C].

    Of classes y [B] the cross-entropy in nats; of targets y [B, C], a regression, the squared error, the mean over the
    targets, and no answer is right.
    """
    if y.ndim == 2:
        losses = jnp.square(outputs - y).mean(axis=-1)
        return losses, jnp.zeros(losses.shape, bool)
    return optax.softmax_cross_entropy_with_integer_labels(outputs, y), outputs.argmax(axis=-1) == y


def of_classes(y: Array, accuracy: Array) -> Array | None:
    """The accuracy, None of a regression."""
    return accuracy if y.ndim == 1 else None


def _scores(model: nn.Module, params: Params, x: Array, y: Array) -> tuple[Array, Array]:
    """As `per_sample`, of samples x [B, d]."""
    return per_sample(apply(model, params, x), y)
