"""Small things that XLA does not do by itself the way a metric needs them."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
P = ParamSpec("P")
T = TypeVar("T")

# Side of a square matrix up to which it may be a constant of a program.
MAX_CONSTANT = 512


def full_precision(fn: Callable[P, T]) -> Callable[P, T]:
    """Run fn with float32 products in float32; by default GPUs take TF32 and TPUs bfloat16, which is 3 digits."""

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.default_matmul_precision("highest"):
            return fn(*args, **kwargs)

    return wrapped


def power_of_two(x: Array) -> Array:
    """The power of two nearest to x, for x normal and positive; scaling by it changes no digit."""
    return jax.lax.reduce_precision(x, exponent_bits=int(jnp.finfo(x.dtype).nexp), mantissa_bits=0)


def near_one(values: Array) -> Array:
    """The values times the power of two that brings their largest magnitude near 1, so that squares stay in range."""
    largest = jax.lax.stop_gradient(jnp.abs(values).max())
    return values / jnp.where(largest > 0, power_of_two(largest), 1)


def divide(part: Array, whole: Array) -> Array:
    """Their quotient, 0 where the whole is not positive."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), 0)


def filled_from(values: Array, first: Array | None, fill: float = 0, axis: int = 0) -> Array:
    """The values with `fill` from index `first`, [] int32, on along an axis; as they are where it is None."""
    if first is None:
        return values
    shape = [-1 if own == axis else 1 for own in range(values.ndim)]
    return jnp.where((jnp.arange(values.shape[axis], dtype=jnp.int32) < first).reshape(shape), values, fill)


def count(mask: Array) -> Array:
    """Number of true entries along the last axis, int32.

    By floats where they hold it, and of a single line by a product: a third of what XLA compiles for a sum of integers.
    """
    if mask.shape[-1] > 2**24:
        return mask.sum(axis=-1, dtype=jnp.int32)
    ones = mask.astype(jnp.float32)
    return (ones @ ones if mask.ndim == 1 else ones.sum(axis=-1)).astype(jnp.int32)


def prefix_sums(values: Array) -> Array:
    """Inclusive prefix sums along the last axis of values [X, M], by two products with triangular matrices.

    `jnp.cumsum` becomes log2(M) passes, each of which is an operation to compile.
    """
    rows, size = values.shape
    width = max(1, int(size**0.5))
    height = -(-size // width)
    blocks = jnp.pad(values, ((0, 0), (0, height * width - size))).reshape(rows * height, width)
    # Constants where they are small: an operation less to compile.
    triangle = np.tri if width <= MAX_CONSTANT else jnp.tri
    inner = (blocks @ triangle(width, dtype=values.dtype).T).reshape(rows, height, width)
    before = inner[:, :, -1] @ triangle(height, k=-1, dtype=values.dtype).T
    return (inner + before[:, :, None]).reshape(rows, height * width)[:, :size]
