"""Small things that XLA does not do by itself the way a metric needs them."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax
import jax.numpy as jnp

Array = jax.Array
P = ParamSpec("P")
T = TypeVar("T")


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


def prefix_sum(values: Array) -> Array:
    """Inclusive prefix sums of values [M], by rows of about sqrt(M).

    `jnp.cumsum` of one long axis becomes log2(M) passes over it, and as many operations to compile.
    """
    width = max(1, int(values.size**0.5))
    height = -(-values.size // width)
    rows = jnp.pad(values, (0, height * width - values.size)).reshape(height, width)
    inner = jnp.cumsum(rows, axis=1)
    before = jnp.cumsum(inner[:, -1]) - inner[:, -1]
    return (inner + before[:, None]).ravel()[: values.size]


def program_bytes(lowered: jax.stages.Lowered) -> int:
    """Memory that a program takes on a device, what it is given included, by the compiler's account.

    Raises:
      NotImplementedError: if this compiler gives none.
    """
    account = lowered.compile().memory_analysis()
    if account is None:
        raise NotImplementedError("the compiler gives no account of its memory")
    return int(
        account.argument_size_in_bytes
        + account.output_size_in_bytes
        + account.temp_size_in_bytes
        - account.alias_size_in_bytes
    )
