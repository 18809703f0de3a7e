"""Controls: graphs like the given one whose weights stand in other places.

Vertices that are isolated in the given graph take no part, so its isolated vertices stay isolated. A shuffle may
isolate more; degrees tell, and everything downstream leaves them out again.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.activations import graph_of_responses
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.sides import in_shapes
from modularity_jax.metric.methods import METHODS, method_of
from modularity_jax.metric.permutation import images, numbers_of, permuted_index, random_words, settle
from modularity_jax.metric.stocks import NOWHERE, OUTSIDE_AT_ONCE, VALUES_AT_ONCE, Stock, stock
from modularity_jax.metric.strengths import Model, widened, with_strengths
from modularity_jax.metric.trades import traded_places
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.plug_points import entry
from modularity_jax.programs import program

Array = jax.Array
G = TypeVar("G", bound=Graph)
T = TypeVar("T")

# Width of the Gaussian kernel density that the distribution controls draw from (2003.04881).
KDE_BANDWIDTH = 0.01


@outside_explicit_mesh
def shuffle(graph: G, key: Array, *, method: str = "layer") -> G:
    """A control of the graph, of the same kind and shape.

    Args:
      graph: a LayeredGraph or BlockGraph; or a SparseGraph (which has no layers: its edges count as one) or DenseGraph
        (whose groups are its layers), for which only the methods that keep the places of the non-zero weights are
        defined, and those of activations.
      key: typed PRNG key, consumed.
      method: "layer" permutes all weights between the connected neurons of two layers; "layer_nonzero" permutes the
        non-zero ones among their places; "row" ("column") permutes within each neuron's outgoing (incoming) weights,
        so that its strength on that side stays; "layer_nonzero_distribution" draws new values in the same places from
        a Gaussian kernel density of the non-zero ones (bandwidth 0.01); "layer_all_distribution" permutes those too;
        "degrees" keeps how many non-zero weights each neuron has in and out of each layer: their places are any with
        these numbers, equally likely, and each neuron's outgoing weights go to its new places in any order;
        "strengths" keeps those numbers and the sums of the weights, in and out, by a model of the pruned weights;
        "edges" permutes the non-zero weights of all layers together among their places, which makes all layers alike:
        what is not modular but merely layered differs from it, and it is here because published studies of activations
        compare with it; "samples", of a graph of `activation_graph` only, permutes each unit's samples on its own, if
        cross-validated within each half, and makes the graph again: units are independent, and keep their own values.

    With "strengths" the sums are kept to rounding where weights at the new places can have them; that fails for a few
    neurons with a handful of weights. The distribution of the weights is kept nearly. On networks of 40 neurons a layer
    without structure but of uneven strengths, layered modularity's p is uniform where no weight is 0 (z .0 +- .1 on the
    mean of 200). Where 80% or 90% are, the test is too strict, by .2 to .4 standard deviations: 1.5 to 3.5% of the
    networks have p <= .05.

    A graph without an edge is its own control. The scale of the weights does not matter to the methods that permute;
    the bandwidth of the other two is fixed, as in the papers, and far smaller weights are mostly noise to them.

    Raises:
      ValueError: if the method is unknown or needs layers or samples that the graph does not have, graph is no graph,
        or key is not one key.
    """
    check_method(graph, method)
    key = checks.as_key(key)
    if not graph.size:
        return graph
    used, made = method_of(method), stock(graph, method)
    return _shuffle(graph, made, key, np.asarray(used.in_place), used.resampled)


def deal(stock: Stock, key: Array, keep_places: ArrayLike, size: int, *, resample: bool) -> Array:
    """The weights of one control, [size]; no jit (see `shuffle`).

    Args:
      stock: of the graph and the control's method.
      key: typed PRNG key, consumed.
      keep_places: a scalar that may be traced: leaves all values where they are, which without resample gives the graph
        itself.
      size: static; of all blocks together.
      resample: static; draws new values, see `Method`.
    """
    stock = jax.tree.map(jnp.asarray, stock)  # without jit it is NumPy's
    place_key, value_key = jax.random.split(key)
    words = random_words(place_key)
    if stock.trades is not None:
        stock = _traded(stock, value_key)
    values = _resampled(stock, value_key) if resample else stock.values.values
    given, last = stock.values._replace(values=(values, stock.values.values)), stock.table.size - 1

    def some(parts: T, index: Array, most: int) -> T:
        length = min(most, jax.tree.leaves(parts)[0].size)
        found: T = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, index * length, length), parts)
        return found

    def move(index: Array, weights: Array) -> Array:
        part = some(given, index, VALUES_AT_ONCE)
        rank = jnp.where(keep_places, numbers_of(part.cells), images(part.cells, words))
        place = stock.table[jnp.minimum(part.line_start + rank.astype(jnp.int32), last)]
        # Where there was no old value, there is no new one.
        return weights.at[jnp.where(part.values[1] > 0, place, NOWHERE)].set(part.values[0], mode="drop")

    def bring_back(index: Array, weights: Array) -> Array:
        part = some(stock.outside, index, OUTSIDE_AT_ONCE)
        source, end = settle(part.cells, part.size, words)
        sent = (source < part.size) & ~jnp.asarray(keep_places)
        index_of = stock.index_of[jnp.minimum(part.line_start + source.astype(jnp.int32), last)]
        place = stock.table[jnp.minimum(part.line_start + end.astype(jnp.int32), last)]
        found = sent & (index_of < values.size)
        return weights.at[jnp.where(found, place, NOWHERE)].set(
            values[jnp.minimum(index_of, values.size - 1)], mode="drop"
        )

    weights = jax.lax.fori_loop(0, stock.turns[0], move, jnp.zeros(size, values.dtype))
    weights = jax.lax.fori_loop(0, stock.turns[1], bring_back, weights)
    return weights if stock.models is None else _with_strengths(stock.models, weights)


def remade(graph: Any, key: Array) -> Any:
    """The graph of the same units after each one's samples have changed places on their own; no jit."""
    responses = graph.responses
    keys = jax.random.split(key, len(responses.parts))
    parts = tuple(_apart(part, own) for part, own in zip(responses.parts, keys, strict=True))
    return graph_of_responses(dataclasses.replace(responses, parts=parts), graph.widths)


def _apart(values: Array, key: Array) -> Array:
    """Values [n, N], each column permuted on its own."""
    size, num_units = values.shape
    words, index = random_words(key, (num_units,)), jnp.arange(size, dtype=jnp.uint32)
    places = jax.vmap(lambda own: permuted_index(index, size, own, max_size=size))(words)
    return jnp.take_along_axis(values, places.T, axis=0)


@functools.partial(program, static_argnums=4)
def _shuffle(graph: G, made: Stock | None, key: Array, keep_places: ArrayLike, resample: bool) -> G:
    if made is None:
        return remade(graph, key)
    return graph.with_weights(deal(made, key, keep_places, graph.size, resample=resample))


def _traded(stock: Stock, key: Array) -> Stock:
    """The stock with its values' places after trades."""
    assert stock.trades is not None
    given = stock.values
    places = traded_places(stock.trades, stock.num_values, key)
    at = given.line_start + numbers_of(given.cells).astype(jnp.int32)
    table = stock.table.at[jnp.where(given.values > 0, at, stock.table.size)].set(places, mode="drop")
    return stock._replace(table=table)


def _with_strengths(models: Sequence[Model], residuals: Array) -> Array:
    """Weights [size] of all blocks from their residuals."""
    blocks = in_shapes(residuals, [(model.rows.size, model.columns.size) for model in models])
    made = [with_strengths(widened(model), own) for model, own in zip(models, blocks, strict=True)]
    return jnp.concatenate([own.reshape(-1) for own in made])


def check_method(graph: Graph, method: str) -> None:
    """A control that this kind of graph has."""
    checks.check_graph(graph)
    if all(block.rows and not block.triangle for block in graph.blocks()):
        _check_samples(graph, method)
        return
    name, known = f"method (of a {type(graph).__name__})", {own: m for own, m in METHODS.items() if m.of_lists}
    if not entry(name, method, known).of_lists:
        checks.check_choice(name, method, tuple(known))
    _check_samples(graph, method)


def _check_samples(graph: Any, method: str) -> None:
    """What a control that makes the graph again asks for."""
    if method_of(method).remade and getattr(graph, "responses", None) is None:
        kind = type(graph).__name__
        raise ValueError(
            f"graph must be as activation_graph makes it for method={method!r}, got a {kind} without samples"
        )


def has_method(graph: Graph, method: str) -> bool:
    """Whether this kind of graph has a control."""
    try:
        check_method(graph, method)
    except ValueError:
        return False
    return True


def _resampled(stock: Stock, key: Array) -> Array:
    """New magnitudes [C]: an old one of the block drawn with replacement plus Gaussian noise.

    The density of signed weights, folded to magnitudes, is the same as this: the noise is symmetric.
    """
    choice_key, noise_key = jax.random.split(key)
    values, ends = stock.values.values, jnp.cumsum(stock.num_values, dtype=jnp.int32)
    block = jnp.searchsorted(ends[:-1], jnp.arange(values.size, dtype=jnp.int32), side="right", method="compare_all")
    most = jnp.maximum(stock.num_values, 1)[block]
    choice = (ends - stock.num_values)[block] + jax.random.randint(choice_key, values.shape, 0, most, jnp.int32)
    noise = KDE_BANDWIDTH * jax.random.normal(noise_key, values.shape, values.dtype)
    return jnp.abs(values[choice] + noise)
