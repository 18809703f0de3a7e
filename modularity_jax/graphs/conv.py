"""Kernels of layers that are not plain matrices, brought to the form that `wire` takes: [..., units in, units out].

A unit is a channel, a row of a dense layer, or a hidden unit of a recurrent one. All leading axes are places of the
same edge: positions of a filter, pixels of a flattened map, gates of a cell; a norm over them is the edge's weight.
What a network does between two groups of units becomes a kernel by the functions here; each is pure, takes NumPy's or
JAX's arrays and gives arrays of the same kind. Pooling, dropout and ReLU pass channels through and need none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs import checks

Array = Any  # NumPy's or JAX's
Edge = tuple[str, str, Array]

NORMS = ("l1", "l2", "max_column")


def channel_norms(kernel: Array, norm: str = "l1") -> Array:
    """What a kernel [..., units in, units out] weighs between each two units, [units in, units out].

    Args:
      kernel: any number of axes of places before the last two; of two axes its magnitudes are the result.
      norm: over the places: "l1", the sum of magnitudes; "l2", the root of the sum of squares; "max_column", the
        largest sum of magnitudes along the first axis, which 2103.03386 computed under the name L1 (its matrix norm).

    Raises:
      ValueError: if the kernel has fewer than two axes, or the norm is unknown.
    """
    checks.check_choice("norm", norm, NORMS)
    xp = _library(kernel)
    if kernel.ndim < 2:
        raise ValueError(f"kernel must have shape [..., units in, units out], got {kernel.shape}")
    if kernel.ndim == 2:
        return abs(kernel)
    if norm == "max_column":
        columns = abs(kernel).sum(axis=0)
        return columns.max(axis=tuple(range(columns.ndim - 2)))
    places = abs(kernel).reshape(-1, *kernel.shape[-2:])
    if norm == "l1":
        return places.sum(axis=0)
    largest = places.max(axis=0, keepdims=True)
    shares = places / xp.where(largest > 0, largest, 1)  # whose squares neither vanish nor overflow
    squares = (shares**2).sum(axis=0)
    return largest[0] * xp.sqrt(xp.where(squares > 0, squares, 1))


def flattened(kernel: Array, num_channels: int, *, channels_first: bool = False) -> Array:
    """The kernel [P * C, d] of a dense layer behind a flattened map of C channels at P positions, as [P, C, d].

    Args:
      kernel: of the dense layer.
      num_channels: C.
      channels_first: rows run over the positions of the first channel first, as PyTorch flattens; Flax, Haiku and Keras
        flatten position after position.

    Raises:
      ValueError: if the rows are no multiple of the channels.
    """
    rows, width = kernel.shape
    if num_channels < 1 or rows % num_channels:
        raise ValueError(f"num_channels must divide the {rows} rows of the kernel, got {num_channels}")
    if channels_first:
        return kernel.reshape(num_channels, -1, width).swapaxes(0, 1)
    return kernel.reshape(-1, num_channels, width)


def grouped(kernel: Array, num_groups: int) -> Array:
    """The kernel [..., c_in / G, c_out] of a convolution in G groups, as [..., c_in, c_out] with 0 between groups.

    A depthwise one has as many groups as input channels, and kernels [..., 1, c_out].

    Raises:
      ValueError: if the outputs are no multiple of the groups.
    """
    *places, rows, columns = kernel.shape
    if num_groups < 1 or columns % num_groups:
        raise ValueError(f"num_groups must divide the {columns} outputs of the kernel, got {num_groups}")
    xp = _library(kernel)
    of_column = xp.arange(columns)[None, :] // (columns // num_groups)
    own = (xp.arange(num_groups)[:, None] == of_column).reshape(*(1 for _ in places), num_groups, 1, columns)
    whole = xp.where(own, kernel[..., None, :, :], 0)
    return whole.reshape(*places, num_groups * rows, columns)


def gates(kernel: Array, num_gates: int) -> Array:
    """The kernel [d_in, G * d] of a recurrent cell, which holds its gates side by side, as [G, d_in, d].

    Raises:
      ValueError: if the columns are no multiple of the gates.
    """
    rows, columns = kernel.shape
    if num_gates < 1 or columns % num_gates:
        raise ValueError(f"num_gates must divide the {columns} columns of the kernel, got {num_gates}")
    return kernel.reshape(rows, num_gates, -1).swapaxes(0, 1)


def norm_folded(kernel: Array, scale: Array, variance: Array, *, epsilon: float) -> Array:
    """The kernel [..., c_in, c_out] before a batch norm with scale, variance [c_out]: kernel -> norm -> ReLU.

    What the network computes in evaluation by both is what it computes by this one, biases aside. A norm that stands
    behind the ReLU, or behind a pool, belongs to the next kernel: `norm_folded_into_next`.

    Args:
      kernel, scale, variance: of the two layers; variance is the running one.
      epsilon: what the library adds to it: 1e-5 in Flax, PyTorch and Haiku, 1e-3 in Keras.
    """
    return kernel * _norm_factor(kernel, -1, scale, variance, epsilon)


def norm_folded_into_next(kernel: Array, scale: Array, variance: Array, *, epsilon: float) -> Array:
    """The kernel [..., c_in, c_out] after a batch norm with scale, variance [c_in]: ReLU -> norm -> kernel.

    The kernel of a dense layer behind a flattened map is brought to channels first, by `flattened`. The arguments are
    those of `norm_folded`.
    """
    return kernel * _norm_factor(kernel, -2, scale, variance, epsilon)


def added(sources: Sequence[str], target: str, kernel: Array) -> list[Edge]:
    """The edges of a layer that reads the sum of several groups: each by the whole kernel."""
    return [(source, target, kernel) for source in sources]


def concatenated(sources: Mapping[str, int], target: str, kernel: Array) -> list[Edge]:
    """The edges of a layer that reads several groups side by side: each by its own rows of the kernel.

    Args:
      sources: the width of each group by its name, in order.
      target: the group that the kernel leads to.
      kernel: [..., sum of the widths, c_out].

    Raises:
      ValueError: if the widths do not add up to the kernel's rows.
    """
    if sum(sources.values()) != kernel.shape[-2]:
        raise ValueError(f"sources must add up to the {kernel.shape[-2]} rows of the kernel, got {dict(sources)}")
    ends = np.cumsum([*sources.values()])
    starts = ends - [*sources.values()]
    pieces = zip(sources, starts, ends, strict=True)
    return [(source, target, kernel[..., start:end, :]) for source, start, end in pieces]


def _norm_factor(kernel: Array, axis: int, scale: Array, variance: Array, epsilon: float) -> Array:
    width = kernel.shape[axis]
    for name, values in (("scale", scale), ("variance", variance)):
        if values.shape != (width,):
            raise ValueError(f"{name} must have shape ({width},), got {values.shape}")
    factor = scale / _library(variance).sqrt(variance + epsilon)
    return factor.reshape([width if index == kernel.ndim + axis else 1 for index in range(kernel.ndim)])


def _library(array: Array) -> Any:
    return np if isinstance(array, np.ndarray) else jnp
