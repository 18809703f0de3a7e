"""What each hidden unit of a network does on each sample, by a function that runs the network."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.conv import NORMS, channel_norms
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.parallel import gather
from modularity_jax.programs import program

Array = jax.Array
# Of params and samples [B, ...]: activations of each hidden group of units, [B, d] or, at places, [B, ..., d].
ApplyActivations = Callable[[Any, Array], Sequence[Array]]

NO_NORM = "none"


def unit_activations(
    apply: ApplyActivations, params: Any, x: ArrayLike, *, norm: str = "max_column", samples_per_batch: int = 500
) -> list[np.ndarray]:
    """Activations [n, d] of each hidden group of units, one number for each unit and sample.

    Args:
      apply: (params, x [B, ...]) -> activations of each group, [B, d], or of units with many places, such as channels
        [B, h, w, d] or units at many steps [B, t, d]. Before or behind the nonlinearity, as it gives them.
      params: any pytree.
      x: samples [n, ...].
      norm: what a unit with many places comes to: "max_column", the largest sum of magnitudes along the first axis of
        places, the matrix norm of 2110.08058; "l1", the sum of all magnitudes; "l2", the root of the sum of squares;
        "none", each place is a sample of its own, [n * places, d], as for the steps of a recurrent network.
      samples_per_batch: samples that go through together; bounds the memory.

    Raises:
      ValueError: if x has no sample, apply gives no activations or groups that differ in their places under norm
        "none", the norm is unknown, or samples_per_batch is no whole number or below 1.
    """
    checks.check_choice("norm", norm, (*NORMS, NO_NORM))
    checks.check_count("samples_per_batch", samples_per_batch, 1)
    x = np.asarray(checks.as_numbers("x", x))
    if not x.ndim or not len(x):
        raise ValueError(f"x must have shape [n, ...] with at least one sample, got {x.shape}")
    _check_groups(jax.eval_shape(apply, params, x[:1]), norm)
    size = min(int(samples_per_batch), len(x))
    filled = np.pad(x, [(0, -len(x) % size)] + [(0, 0)] * (x.ndim - 1))
    parts = [gather(_run(apply, norm, params, jnp.asarray(own))) for own in np.split(filled, len(filled) // size)]
    groups = (np.concatenate(own)[: len(x)] for own in zip(*parts, strict=True))
    return [own.reshape(-1, own.shape[-1]) for own in groups]


@functools.partial(program, static_argnums=(0, 1))
@full_precision
def _run(apply: ApplyActivations, norm: str, params: Any, x: Array) -> list[Array]:
    """Of one batch, [B, d], or [B, ..., d] where places are samples."""
    return [own if own.ndim == 2 or norm == NO_NORM else _of_places(own, norm) for own in apply(params, x)]


def _of_places(values: Array, norm: str) -> Array:
    """One number [B, d] of values [B, ..., d]."""
    return channel_norms(jnp.moveaxis(values, 0, -2), norm)


def _check_groups(shapes: Sequence[jax.ShapeDtypeStruct], norm: str) -> None:
    """Activations of one sample."""
    found = [own.shape for own in shapes]
    if not found or any(len(shape) < 2 or shape[0] != 1 for shape in found):
        raise ValueError(f"apply must give activations [B, ..., d] of samples [B, ...], got {found} of one sample")
    if norm == NO_NORM and len({math.prod(shape[:-1]) for shape in found}) > 1:
        raise ValueError(f"norm must not be {NO_NORM!r} where groups differ in their places, got {found} of one sample")
