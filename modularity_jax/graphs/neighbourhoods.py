"""What of a network's graph lies around each of its hidden layers, in one shape for all of them."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.protocol import Graph

Array = jax.Array


class Neighbourhoods(NamedTuple):
    """A sub-graph around each of L hidden layers, all filled up with isolated vertices to one shape."""

    graphs: Any  # a graph whose arrays have a leading axis, [L, ...]
    middle: slice  # of each one's vertices those that there is room for in the layer; its own come first


class Layered(Graph, Protocol):
    """A graph that has layers, beyond what every graph offers."""

    @property
    def hidden_layers(self) -> tuple[slice, ...]:
        """The vertices of each hidden layer."""

    def neighbourhoods(self) -> Neighbourhoods:
        """What lies around each hidden layer."""


def between_ends(widths: Sequence[int]) -> tuple[slice, ...]:
    """The vertices of all layers of these widths but the first and the last."""
    ends = list(itertools.accumulate(widths))
    return tuple(slice(first, end) for first, end in itertools.pairwise(ends[:-1]))


def diagonal_blocks(affinity: Array, layers: Sequence[slice]) -> Array:
    """Of a matrix [N, N] the edges within each layer, [L, d, d] with d the width of the widest."""
    return in_one_shape([affinity[own, own] for own in layers])


def in_one_shape(blocks: Sequence[Array]) -> Array:
    """Blocks [a, b], filled up with zeros to the largest height A and width B, [L, A, B]."""
    largest = np.max([block.shape for block in blocks], axis=0)
    return jnp.stack([jnp.pad(block, [(0, n) for n in largest - block.shape]) for block in blocks])
