"""The edges that are expected by chance: each vertex keeps its strength in each block of edges that it is part of."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import divide

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


def null_of_blocks(blocks: Sequence[tuple[int, int, Array]], num_nodes: int) -> Null:
    """r_i c_j / w in each block (the layered null): the first vertex of its rows and of its columns, weights [a, b]."""
    rows, columns = [], []
    for first_row, first_column, block in blocks:
        strengths = block.sum(axis=0)
        rows.append(_placed(first_row, block.sum(axis=1), num_nodes))
        columns.append(_placed(first_column, divide(strengths, strengths.sum()), num_nodes))
    return Null(jnp.stack(rows), jnp.stack(columns))


def null_of_degrees(degrees: Array) -> Null:
    """Of a graph without known groups: d_i d_j / 2m (Newman's null)."""
    return Null(degrees[None], divide(degrees, 2 * degrees.sum())[None])


def null_of_groups(affinity: Array, groups: Sequence[slice]) -> Null:
    """r_i c_j / w between each two groups of vertices, d_i d_j / 2m within each; of an adjacency matrix [N, N]."""
    strengths = [affinity[:, group].sum(axis=1) for group in groups]  # of all vertices towards each group, [N]
    rows, columns = [], []
    for a, b in itertools.combinations_with_replacement(range(len(groups)), 2):
        own, others = strengths[b][groups[a]], strengths[a][groups[b]]
        # Within a group rows and columns are the same vertices, which `Null` counts twice.
        rows.append(_placed(groups[a].start, own / 2 if a == b else own, len(affinity)))
        columns.append(_placed(groups[b].start, divide(others, others.sum()), len(affinity)))
    return Null(jnp.stack(rows), jnp.stack(columns))


def _placed(first: int, values: Array, num_nodes: int) -> Array:
    return jnp.pad(values, (first, num_nodes - first - values.size))
