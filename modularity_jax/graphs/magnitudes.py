"""Weights as they are given, made edge weights: floating-point magnitudes whose sums stay finite.

Every statistic of a graph is the same whatever the unit of its weights is, but float32 is not: above 3.4e38 a sum is
infinite, and below 1.2e-38 an accelerator may or may not keep a number. Both ends are settled here, once, so that
nothing downstream needs to ask.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import power_of_two
from modularity_jax.programs import is_concrete

Array = jax.Array

# Weights up to which the host does what a program is not worth its compilation.
MAX_ON_HOST = 2**24


def magnitudes(given: Mapping[str, Any]) -> tuple[Array, ...]:
    """|values| of each named array, all of one dtype and in one unit, as `LayeredGraph.from_weights` says.

    Whole numbers and booleans become the default float dtype. The unit is a power of two other than 1 where all values
    together, each as large as the largest, could not be added up twice.

    Raises:
      ValueError: if values are not real numbers, or not finite in that dtype.
    """
    arrays = {name: checks.as_numbers(name, values) for name, values in given.items()}
    dtype = jnp.result_type(*(_float_dtype(array.dtype) for array in arrays.values()))
    # What so many values may be as large as, each, so that twice their sum is finite, rounding included.
    room = math.ldexp(1.0, int(jnp.finfo(dtype).maxexp) - 2) / max(sum(array.size for array in arrays.values()), 1)
    if all(array.size <= MAX_ON_HOST and on_host(array) for array in arrays.values()):
        return _on_host(arrays, dtype, room)
    largest = functools.reduce(jnp.maximum, [_largest(name, array, dtype) for name, array in arrays.items()])
    unit = power_of_two(jnp.minimum(1, room / jax.lax.stop_gradient(largest)))
    return tuple(_magnitude(array, unit, dtype) for array in arrays.values())


def as_floats(name: str, values: Any) -> Array:
    """Finite values as an array of float32 or, for doubles and whole numbers, of the default float dtype.

    Raises:
      ValueError: as `magnitudes`.
    """
    array = checks.as_numbers(name, values)
    floats = _cast(array, _float_dtype(array.dtype))
    checks.check_finite(name, floats)
    return floats


def on_host(array: np.ndarray | Array) -> bool:
    """Whether NumPy can have it at no cost."""
    if not is_concrete(array):
        return False
    return isinstance(array, np.ndarray) or all(device.platform == "cpu" for device in array.devices())


def _on_host(arrays: Mapping[str, np.ndarray | Array], dtype: np.dtype, room: float) -> tuple[Array, ...]:
    """`magnitudes` without a program to compile."""
    made = {}
    with np.errstate(over="ignore"):
        for name, array in arrays.items():
            made[name] = np.abs(np.asarray(array).astype(dtype))
            checks.check_finite(name, made[name])
    largest = max((float(array.max()) for array in made.values() if array.size), default=0.0)
    unit = dtype.type(1 if largest <= room else 2.0 ** round(math.log2(room / largest)))
    tiny = np.finfo(dtype).tiny
    scaled = made.values() if unit == 1 else [array * unit for array in made.values()]
    return tuple(jax.device_put(np.where(array < tiny, dtype.type(0), array)) for array in scaled)


def _float_dtype(dtype: np.dtype) -> np.dtype:
    narrow = jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize <= 4
    return np.dtype(jnp.float32) if narrow else jnp.result_type(float)


def _cast(array: np.ndarray | Array, dtype: np.dtype) -> Array:
    """To the dtype before JAX sees it: JAX would wrap large whole numbers around, and NumPy warn of infinities."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype, copy=False)
    return cast if isinstance(cast, Array) else jax.device_put(cast)  # which compiles nothing


def _largest(name: str, array: np.ndarray | Array, dtype: np.dtype) -> Array:
    """Largest magnitude [], without a copy of the array; an error where it is concrete and not finite."""
    if not array.size:
        return jnp.zeros((), dtype)
    with jax.ensure_compile_time_eval():  # a jit may close over an array, whose values are there to be looked at
        if isinstance(array, np.ndarray):
            largest = _cast(np.abs(np.array([array.min(), array.max()], np.float64)).max(), dtype)
        else:
            largest = _largest_of_jax(array, dtype)
        if is_concrete(largest) and not np.isfinite(largest):
            checks.check_finite(name, _cast(array, dtype))
    return largest


@functools.partial(jax.jit, static_argnums=1)
def _largest_of_jax(array: Array, dtype: np.dtype) -> Array:
    return jnp.abs(array.astype(dtype)).max()


def _magnitude(array: np.ndarray | Array, unit: Array, dtype: np.dtype) -> Array:
    """One array's magnitudes, waited for where they are concrete, so that copies of one array are held at a time."""
    scaled = _scaled(_cast(array, dtype) if isinstance(array, np.ndarray) else array, unit, dtype)
    return jax.block_until_ready(scaled) if is_concrete(scaled) else scaled


@functools.partial(jax.jit, static_argnums=2)
def _scaled(array: Array, unit: Array, dtype: np.dtype) -> Array:
    magnitude = jnp.abs(array.astype(dtype)) * unit
    return jnp.where(magnitude < jnp.finfo(dtype).tiny, 0, magnitude)
