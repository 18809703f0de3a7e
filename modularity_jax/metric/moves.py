"""Partitions on their way to a better one: rounds in which vertices move between clusters, until none gains."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.protocol import Adjacency

Array = jax.Array

# Rounds of moves at most; on networks of the study they end after 5 to 30.
MAX_ROUNDS = 100


class Found(NamedTuple):
    """Partitions of one graph, and what they are worth: higher is better."""

    labels: Array  # [X, N] int32
    value: Array  # [X]


class _Round(NamedTuple):
    """After a round of moves."""

    found: Found
    number: Array  # [] int32
    goes_on: Array  # [] bool


def climb(step: Callable[[Array], Found], labels: Array, least_gain: Array) -> Found:
    """Labels [X, N] after rounds of steps until none raises a value by more than least_gain; the best of each row."""

    def next_round(state: _Round) -> _Round:
        found = step(state.found.labels)
        better = found.value > state.found.value + least_gain
        kept = jnp.where(better[:, None], found.labels, state.found.labels)
        return _Round(Found(kept, jnp.maximum(found.value, state.found.value)), state.number + 1, better.any())

    unknown = Found(labels, jnp.full(labels.shape[0], -jnp.inf, least_gain.dtype))
    start = _Round(unknown, jnp.int32(0), jnp.asarray(True))
    return jax.lax.while_loop(lambda state: state.goes_on & (state.number < MAX_ROUNDS), next_round, start).found


def through_all_sizes(
    moved: Callable[[Array], Found], product: Callable[[Array], Array], starts: Array, num_clusters: int
) -> Found:
    """The best partition of each start [X, N] on the way from num_clusters clusters to two.

    Args:
      moved: labels [X, N] when no move gains any more.
      product: of rows [M, N] with what each two vertices are worth in one cluster.
    """

    def with_one_less(_: Array, state: tuple[Found, Found]) -> tuple[Found, Found]:
        now, best = state
        now = moved(_merged(product, now.labels, num_clusters, now.value.dtype))
        better = now.value > best.value
        labels = jnp.where(better[:, None], now.labels, best.labels)
        return now, Found(labels, jnp.where(better, now.value, best.value))

    first = moved(starts)
    return jax.lax.fori_loop(0, num_clusters - 2, with_one_less, (first, first))[1]


def members_of(labels: Array, num_clusters: int, dtype: jnp.dtype) -> Array:
    """Which vertex is in which cluster, [..., K, N] of 0 and 1; of labels [..., N]."""
    clusters = jnp.arange(num_clusters, dtype=jnp.int32)[:, None]
    return (labels[..., None, :] == jax.lax.broadcast_to_rank(clusters, labels.ndim + 1)).astype(dtype)


def received_by(product: Callable[[Array], Array], members: Array) -> Array:
    """What the clusters send, [X, K, M]: the product with each of the rows of members [X, K, N]."""
    rows = members.reshape(-1, members.shape[2])
    return product(rows).reshape(*members.shape[:2], -1)


def weight_inside(graph: Adjacency, members: Array) -> Array:
    """Weight inside each cluster, [X, K], each edge once, of members [X, K, N]."""
    sides = graph.sides()
    if sides is None:
        return (received_by(graph.matvec, members) * members).sum(axis=2) / 2
    small, large = sides.split(members)
    return (received_by(sides.to_large, small) * large).sum(axis=2)


def _merged(product: Callable[[Array], Array], labels: Array, num_clusters: int, dtype: jnp.dtype) -> Array:
    """Labels [X, N] after the two clusters have become one that gain most by it, or lose least."""
    members = members_of(labels, num_clusters, dtype)
    received = received_by(product, members)
    between = jnp.einsum("xkn,xln->xkl", received, members)
    filled = members.any(axis=2)
    pairs = jnp.triu(filled[:, :, None] & filled[:, None, :], 1)
    chosen = jnp.where(pairs, between, -jnp.inf).reshape(labels.shape[0], -1).argmax(axis=1).astype(jnp.int32)
    one, other = chosen // num_clusters, chosen % num_clusters
    return jnp.where(labels == other[:, None], one[:, None], labels)
