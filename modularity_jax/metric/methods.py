"""The controls by name: where a graph's values may move, and what becomes of them.

A block of weights falls into lines, within which values move: the block is one line where all of it is permuted, and
its rows or columns are where each neuron's own weights are. A line's places are numbered by rank.

A control of one's own is one entry more, `METHODS["mine"] = Method(...)`, or goes by its dotted name.
"""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from modularity_jax.plug_points import entry

Array = Any  # NumPy's or JAX's


class Lines(NamedTuple):
    """A block [a, b], or its transpose, as lines of places."""

    flat: Array  # [M], its weights
    rank: Array  # [M] int32, of each place in its line
    place_of: Array  # [stride] int32, of each rank of the first line; M for none
    size: Array  # [] uint32, ranks of a line that has any; [lines] where they differ
    live: Array  # [lines] bool, those that have
    stride: int  # places from a line's begin to the next one's


# Of NumPy or jax.numpy, a block [a, b], and which of its rows [a] and columns [b] are connected.
MakeLines = Callable[[ModuleType, Array, Array, Array], Lines]


@dataclasses.dataclass(frozen=True)
class Method:
    """A control.

    Attributes:
      lines: the lines of a block; all its non-zero weights have a place in one.
      turned: the block is given as its transpose.
      resampled: draws new values from a Gaussian kernel density of the old ones.
      in_place: values stand where the graph's do.
      of_lists: is defined for edges that are a list, too, which have no place without a weight.
      traded: all non-zero weights trade places first, see `trades`; the places of its lines are those of the values.
      modelled: what moves are the residuals of a model of the strengths, which are restored, see `strengths`;
        not of a turned block.
      across_blocks: all blocks are one.
      remade: no weights move; the graph is made again after each unit's samples have changed places on their own.
    """

    lines: MakeLines
    turned: bool = False
    resampled: bool = False
    in_place: bool = False
    of_lists: bool = False
    traded: bool = False
    modelled: bool = False
    across_blocks: bool = False
    remade: bool = False


def everywhere(xp: ModuleType, block: Array, rows: Array, columns: Array) -> Lines:
    """One line of all places between connected vertices."""
    return _one_line(xp, block.reshape(-1), (rows[:, None] & columns[None, :]).reshape(-1))


def among_values(xp: ModuleType, block: Array, rows: Array, columns: Array) -> Lines:
    """One line of the places that hold a weight."""
    del rows, columns
    flat = block.reshape(-1)
    return _one_line(xp, flat, flat > 0)


def within_rows(xp: ModuleType, block: Array, rows: Array, columns: Array) -> Lines:
    """A line for each connected row, of its places at connected columns."""
    flat = block.reshape(-1)
    rank = xp.broadcast_to(_rank(xp, columns)[None, :], block.shape).reshape(-1)
    return Lines(flat, rank, marked(xp, columns, columns.size, flat.size), _count(xp, columns), rows, columns.size)


def among_values_of_rows(xp: ModuleType, block: Array, rows: Array, columns: Array) -> Lines:
    """A line for each row of the places that hold a weight, whichever they are."""
    del rows, columns
    kept = block > 0
    size = kept.sum(axis=1, dtype=xp.uint32)
    rank = xp.cumsum(kept, axis=1, dtype=xp.int32) - kept.astype(xp.int32)
    nowhere = xp.full(block.shape[1], block.size, xp.int32)
    return Lines(block.reshape(-1), rank.reshape(-1), nowhere, size, size > 0, block.shape[1])


#: The controls that `shuffle` and `shuffle_test` take, by name; see `shuffle` for what each keeps.
METHODS: dict[str, Method] = {
    "layer": Method(everywhere),
    "layer_nonzero": Method(among_values, of_lists=True),
    "row": Method(within_rows),
    "column": Method(within_rows, turned=True),
    "layer_nonzero_distribution": Method(among_values, resampled=True, in_place=True, of_lists=True),
    "layer_all_distribution": Method(everywhere, resampled=True),
    "degrees": Method(among_values_of_rows, traded=True),
    "strengths": Method(among_values, traded=True, modelled=True),
    "edges": Method(among_values, of_lists=True, across_blocks=True),
    "samples": Method(among_values, of_lists=True, remade=True),
}


def method_of(name: str) -> Method:
    """An entry of `METHODS`, or by its dotted name one from elsewhere."""
    return entry("method", name, METHODS)


def marked(xp: ModuleType, mask: Array, length: int, fill: int) -> Array:
    """The true places of a mask [M] in order, [length] int32, and `fill` beyond the last."""
    if xp is np:
        found = np.flatnonzero(mask)[:length].astype(np.int32)
        return np.concatenate([found, np.full(length - found.size, fill, np.int32)])
    return jnp.nonzero(mask, size=length, fill_value=fill)[0].astype(jnp.int32)


def _one_line(xp: ModuleType, flat: Array, allowed: Array) -> Lines:
    place_of = marked(xp, allowed, flat.size, flat.size)
    return Lines(flat, _rank(xp, allowed), place_of, _count(xp, allowed), xp.ones(1, bool), flat.size)


def _rank(xp: ModuleType, mask: Array) -> Array:
    """Number of true places before each one, [M] int32."""
    counted = mask.astype(xp.int32)
    return xp.cumsum(counted, dtype=xp.int32) - counted


def _count(xp: ModuleType, mask: Array) -> Array:
    return xp.asarray(mask.sum(dtype=xp.uint32))
