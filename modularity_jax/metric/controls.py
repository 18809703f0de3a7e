"""Controls: graphs like the given one whose weights stand in other places.

Vertices that are isolated in the given graph take no part, so its isolated vertices stay isolated. A shuffle may
isolate more; degrees tell, and everything downstream leaves them out again.
"""

import dataclasses
import functools
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.metric import checks
from modularity_jax.metric.graph import LayeredGraph, SparseGraph
from modularity_jax.metric.numerics import prefix_sum
from modularity_jax.metric.permutation import permuted_index, random_words
from modularity_jax.metric.sharding import outside_explicit_mesh

Array = jax.Array
G = TypeVar("G", bound=LayeredGraph | SparseGraph)

METHODS = ("layer", "layer_nonzero", "row", "column", "layer_nonzero_distribution", "layer_all_distribution")
SPARSE_METHODS = ("layer_nonzero", "layer_nonzero_distribution")

# Width of the Gaussian kernel density that the distribution controls draw from (2003.04881).
KDE_BANDWIDTH = 0.01


@outside_explicit_mesh
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

    A graph without an edge is its own control. The scale of the weights does not matter to the methods that permute;
    the bandwidth of the other two is fixed, as in the papers, and far smaller weights are mostly noise to them.

    Raises:
      ValueError: if the method is unknown or needs layers that the graph does not have, graph is no graph, or key is
        not one key.
    """
    check_method(graph, method)
    return _shuffle(graph, checks.as_key(key), method, capacities(graph))


class Stock(NamedTuple):
    """What all shuffles of one block of weights have in common; the block has M places."""

    values: Array  # [C], the non-zero weights in the order of their places, then zeros
    ranks: Array  # [C] int32 ascending, the rank of each value's place among those that may hold one
    places: Array  # [P] int32, the place of each rank
    num_values: Array  # []
    num_places: Array  # [], places that may hold a value


def capacities(graph: LayeredGraph | SparseGraph) -> tuple[int, ...]:
    """Places for the non-zero weights of each block, in sixteenths of the block.

    Where the weights are concrete, a pruned block needs few, which makes its shuffles as much cheaper; under a
    transformation any number may be non-zero. The result of a shuffle does not depend on it.
    """
    blocks = _blocks(graph)
    if not checks.is_concrete(blocks):
        return tuple(block.size for block in blocks)
    steps = [max(1, -(-block.size // 16)) for block in blocks]
    counts = [int(np.count_nonzero(block)) for block in blocks]
    return tuple(
        min(block.size, step * max(1, -(-count // step)))
        for block, step, count in zip(blocks, steps, counts, strict=True)
    )


def stock(graph: LayeredGraph | SparseGraph, method: str, capacities: tuple[int, ...]) -> tuple[Stock, ...]:
    """The stock of each block; none for the controls that permute within a neuron's weights."""
    if method in ("row", "column"):
        return ()
    everywhere = method in ("layer", "layer_all_distribution")
    return tuple(
        _stock(block.ravel(), inside.ravel() if everywhere else block.ravel() > 0, capacity)
        for block, inside, capacity in zip(_blocks(graph), _inside(graph), capacities, strict=True)
    )


def deal(graph: G, stocks: tuple[Stock, ...], key: Array, method: str) -> G:
    """One control of the graph from its stock."""
    if isinstance(graph, SparseGraph):
        if not graph.weights.size:
            return graph
        return dataclasses.replace(graph, weights=_deal(stocks[0], key, method, graph.weights.size))
    keys = [jax.random.fold_in(key, layer) for layer in range(len(graph.affinities))]
    if method in ("row", "column"):
        live = graph.split(graph.degrees() > 0)
        blocks = zip(graph.affinities, live, live[1:], keys, strict=False)
        return dataclasses.replace(graph, affinities=tuple(_permute_lines(*block, method) for block in blocks))
    dealt = zip(graph.affinities, stocks, keys, strict=True)
    return dataclasses.replace(
        graph, affinities=tuple(_deal(s, k, method, block.size).reshape(block.shape) for block, s, k in dealt)
    )


@functools.partial(jax.jit, static_argnums=(2, 3))
def _shuffle(graph: G, key: Array, method: str, capacities: tuple[int, ...]) -> G:
    return deal(graph, stock(graph, method, capacities), key, method)


def check_method(graph: LayeredGraph | SparseGraph, method: str) -> None:
    """A control that this kind of graph has."""
    checks.check_graph(graph)
    if isinstance(graph, SparseGraph):
        checks.check_choice("method (of a SparseGraph)", method, SPARSE_METHODS)
    else:
        checks.check_choice("method", method, METHODS)


def _blocks(graph: LayeredGraph | SparseGraph) -> tuple[Array, ...]:
    """The arrays of weights that are shuffled each on its own."""
    return (graph.weights,) if isinstance(graph, SparseGraph) else graph.affinities


def _inside(graph: LayeredGraph | SparseGraph) -> list[Array]:
    """Places of each block between connected vertices; those of a SparseGraph's edges are not told apart."""
    if isinstance(graph, SparseGraph):
        return [jnp.ones_like(graph.weights, bool)]
    live = graph.split(graph.degrees() > 0)
    return [rows[:, None] & columns[None, :] for rows, columns in zip(live, live[1:], strict=False)]


def _stock(flat: Array, allowed: Array, capacity: int) -> Stock:
    """Stock of a block [M] whose values may go where `allowed` [M] is True, which it is at all of them."""
    size = flat.size
    rank = _rank(allowed)
    target = jnp.where(flat > 0, _rank(flat > 0), capacity)
    return Stock(
        values=jnp.zeros(capacity, flat.dtype).at[target].set(flat, mode="drop"),
        ranks=jnp.full(capacity, size, jnp.int32).at[target].set(rank, mode="drop"),
        places=jnp.full(size, size, jnp.int32)
        .at[jnp.where(allowed, rank, size)]
        .set(jnp.arange(size, dtype=jnp.int32), mode="drop"),
        num_values=(flat > 0).sum(dtype=jnp.int32),
        num_places=allowed.sum(dtype=jnp.int32),
    )


def _deal(stock: Stock, key: Array, method: str, size: int) -> Array:
    """A block [size] with the stock's values, or new ones, in permuted or in their old places."""
    value_key, place_key = jax.random.split(key)
    values = _resample(stock, value_key) if method.endswith("distribution") else stock.values
    ranks = stock.ranks
    if method != "layer_nonzero_distribution":
        ranks = permuted_index(ranks, stock.num_places, random_words(place_key), max_size=size)
    filled = jnp.arange(values.size, dtype=jnp.int32) < stock.num_values
    target = jnp.where(filled, stock.places[jnp.minimum(ranks, size - 1)], size)
    return jnp.zeros(size, values.dtype).at[target].set(values, mode="drop")


def _resample(stock: Stock, key: Array) -> Array:
    """New magnitudes [C]: an old one drawn with replacement plus Gaussian noise.

    The density of signed weights, folded to magnitudes, is the same as this: the noise is symmetric.
    """
    choice_key, noise_key = jax.random.split(key)
    values = stock.values
    choice = jax.random.randint(choice_key, values.shape, 0, jnp.maximum(stock.num_values, 1), jnp.int32)
    noise = KDE_BANDWIDTH * jax.random.normal(noise_key, values.shape, values.dtype)
    return jnp.abs(values[choice] + noise)


def _permute_lines(block: Array, rows: Array, columns: Array, key: Array, method: str) -> Array:
    """Each neuron's weights among its connected neighbours; block [d_in, d_out], rows [d_in] and columns [d_out]."""
    return _permute_rows(block, columns, key) if method == "row" else _permute_rows(block.T, rows, key).T


def _permute_rows(block: Array, columns: Array, key: Array) -> Array:
    """Permute each row among the marked columns; block [d_in, d_out], columns [d_out] bool."""
    width = columns.size
    rank = _rank(columns)
    place_of_rank = (
        jnp.zeros(width, jnp.int32)
        .at[jnp.where(columns, rank, width)]
        .set(jnp.arange(width, dtype=jnp.int32), mode="drop")
    )

    def permuted(words: Array) -> Array:
        return permuted_index(jnp.arange(width, dtype=jnp.int32), columns.sum(dtype=jnp.int32), words, max_size=width)

    source = jax.vmap(permuted)(random_words(key, (block.shape[0],)))
    moved = jnp.take_along_axis(block, place_of_rank[source[:, rank]], axis=1)
    return jnp.where(columns[None, :], moved, block)


def _rank(places: Array) -> Array:
    """Number of marked places before each one, [M] int32."""
    counted = places.astype(jnp.int32)
    return prefix_sum(counted) - counted
