"""Controls: graphs like the given one whose weights stand in other places.

Vertices that are isolated in the given graph take no part, so its isolated vertices stay isolated. A shuffle may
isolate more; degrees tell, and everything downstream leaves them out again.
"""

import dataclasses
import functools
from typing import TypeVar

import jax
import jax.numpy as jnp

from modularity_jax.metric import checks
from modularity_jax.metric.graph import LayeredGraph, SparseGraph
from modularity_jax.metric.numerics import prefix_sum
from modularity_jax.metric.permutation import permuted_index, random_words

Array = jax.Array
G = TypeVar("G", bound=LayeredGraph | SparseGraph)

METHODS = ("layer", "layer_nonzero", "row", "column", "layer_nonzero_distribution", "layer_all_distribution")
SPARSE_METHODS = ("layer_nonzero", "layer_nonzero_distribution")

# Width of the Gaussian kernel density that the distribution controls draw from (2003.04881).
KDE_BANDWIDTH = 0.01


def shuffle(graph: G, key: Array, *, method: str = "layer") -> G:
    """A control of the graph, of the same kind and shape.

    Args:
      graph: a LayeredGraph, or a SparseGraph (which has no layers: its edges count as one, and only the methods that
        keep the places of the non-zero weights are defined).
      key: typed PRNG key, consumed.
      method: "layer" permutes all weights between the connected neurons of two layers; "layer_nonzero" permutes the
        non-zero ones among their places; "row" ("column") permutes within each neuron's outgoing (incoming) weights,
        so that its strength on that side stays; "layer_nonzero_distribution" draws new values in the same places from
        a Gaussian kernel density of the non-zero ones (bandwidth 0.01); "layer_all_distribution" permutes those too.

    Raises:
      ValueError: if the method is unknown, or needs layers that the graph does not have.
    """
    check_method(graph, method)
    return _shuffle(graph, key, method)


@functools.partial(jax.jit, static_argnums=2)
def _shuffle(graph: G, key: Array, method: str) -> G:
    if isinstance(graph, SparseGraph):
        change = _permute if method == "layer_nonzero" else _resample
        return dataclasses.replace(graph, weights=change(graph.weights, graph.weights > 0, key))
    live = graph.split(graph.degrees() > 0)
    keys = [jax.random.fold_in(key, layer) for layer in range(len(graph.affinities))]
    blocks = zip(graph.affinities, live, live[1:], keys, strict=False)
    return dataclasses.replace(graph, affinities=tuple(_shuffle_block(*block, method) for block in blocks))


def check_method(graph: LayeredGraph | SparseGraph, method: str) -> None:
    """A control that this kind of graph has."""
    if isinstance(graph, SparseGraph):
        checks.check_choice("method (of a SparseGraph)", method, SPARSE_METHODS)
    else:
        checks.check_choice("method", method, METHODS)


def _shuffle_block(block: Array, rows: Array, columns: Array, key: Array, method: str) -> Array:
    """One layer's control; block [d_in, d_out], rows [d_in] and columns [d_out] tell the connected neurons."""
    if method == "row":
        return _permute_rows(block, columns, key)
    if method == "column":
        return _permute_rows(block.T, rows, key).T
    flat = block.ravel()
    inside = (rows[:, None] & columns[None, :]).ravel()
    if method == "layer":
        return _permute(flat, inside, key).reshape(block.shape)
    if method == "layer_nonzero":
        return _permute(flat, flat > 0, key).reshape(block.shape)
    value_key, place_key = jax.random.split(key)
    drawn = _resample(flat, flat > 0, value_key)
    if method == "layer_all_distribution":
        drawn = _permute(drawn, inside, place_key)
    return drawn.reshape(block.shape)


def _permute(values: Array, places: Array, key: Array) -> Array:
    """Permute the values at the marked places among themselves; values [M], places [M] bool."""
    rank, taken = _rank(places), _compact(values, places)
    source = permuted_index(jnp.where(places, rank, 0), places.sum(), random_words(key))
    return jnp.where(places, taken[source], values)


def _permute_rows(block: Array, columns: Array, key: Array) -> Array:
    """Permute each row among the marked columns; block [d_in, d_out], columns [d_out] bool."""
    rank = jnp.where(columns, _rank(columns), 0)
    words = random_words(key, (block.shape[0], 1))
    source = permuted_index(jnp.broadcast_to(rank, block.shape), columns.sum(), words)
    place_of_rank = _compact(jnp.arange(columns.size), columns)
    moved = jnp.take_along_axis(block, place_of_rank[source], axis=1)
    return jnp.where(columns[None, :], moved, block)


def _resample(values: Array, places: Array, key: Array) -> Array:
    """New magnitudes at the marked places: an old one drawn with replacement plus Gaussian noise.

    The density of signed weights, folded to magnitudes, is the same as this: the noise is symmetric.
    """
    choice_key, noise_key = jax.random.split(key)
    count = jnp.maximum(places.sum(), 1)
    choice = jax.random.randint(choice_key, values.shape, 0, count)
    noise = KDE_BANDWIDTH * jax.random.normal(noise_key, values.shape, values.dtype)
    return jnp.where(places, jnp.abs(_compact(values, places)[choice] + noise), values)


def _rank(places: Array) -> Array:
    """Number of marked places before each one, [M] int32."""
    return prefix_sum(places.astype(jnp.int32)) - places


def _compact(values: Array, places: Array) -> Array:
    """The values at the marked places first, in order, zeros after them; [M]."""
    target = jnp.where(places, _rank(places), places.size)
    return jnp.zeros_like(values).at[target].set(values, mode="drop", unique_indices=False)
