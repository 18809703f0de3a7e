"""The edges that are expected by chance: each vertex keeps its strength in each block of edges that it is part of."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Null(NamedTuple):
    """The expected adjacency of N vertices, rows^T columns + columns^T rows; H blocks of edges."""

    rows: Array  # [H, N], the strengths of a block's rows, 0 elsewhere
    columns: Array  # [H, N], those of its columns as shares of its weight

    def product(self, x: Array) -> Array:
        """Of the expected adjacency with each row of x [M, N]."""
        return (x @ self.rows.T) @ self.columns + (x @ self.columns.T) @ self.rows

    def inside(self, members: Array) -> Array:
        """The weight that is expected inside each of some sets of vertices [..., N], each edge once, [...]."""
        return ((members @ self.rows.T) * (members @ self.columns.T)).sum(axis=-1)


def null_of_blocks(blocks: Sequence[Any], num_nodes: int) -> Null:
    """Of `protocol.Block`s whose vertices are known: r_i c_j / w in each (the layered null)."""
    strengths = [(b.rows.start, b.weights.sum(axis=1), b.columns.start, b.weights.sum(axis=0)) for b in blocks]
    return _joined(strengths, num_nodes)


def null_of_strips(strips: Sequence[Array], starts: Sequence[int], layers: Sequence[int]) -> Null:
    """The same of a `BipartiteGraph`, whose strips each hold the blocks to one or two layers of these widths."""
    firsts = list(itertools.accumulate((strip.shape[0] for strip in strips), initial=0))
    bounds = list(itertools.accumulate(layers, initial=0))
    found = []
    for strip, start, first in zip(strips, starts, firsts, strict=False):
        for low, high in itertools.pairwise(bound for bound in bounds if start <= bound <= start + strip.shape[1]):
            block = strip[:, low - start : high - start]
            found.append((first, block.sum(axis=1), firsts[-1] + low, block.sum(axis=0)))
    return _joined(found, firsts[-1] + bounds[-1])


def null_of_degrees(degrees: Array) -> Null:
    """Of a graph without known groups: d_i d_j / 2m (Newman's null)."""
    return Null(degrees[None], (degrees * _inverse(2 * degrees.sum()))[None])


def _joined(strengths: Sequence[tuple[int, Array, int, Array]], num_nodes: int) -> Null:
    rows = [_placed(first, values, num_nodes) for first, values, _, _ in strengths]
    columns = [_placed(first, values * _inverse(values.sum()), num_nodes) for _, _, first, values in strengths]
    return Null(jnp.stack(rows), jnp.stack(columns))


def _placed(first: int, values: Array, num_nodes: int) -> Array:
    return jnp.pad(values, (first, num_nodes - first - values.size))


def _inverse(x: Array) -> Array:
    return jnp.where(x > 0, 1 / jnp.where(x > 0, x, 1), 0)
