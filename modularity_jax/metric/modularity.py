"""Modularity: the weight inside clusters beyond what the neurons' strengths let expect, block by block.

With W_l the kernels' magnitudes, r and c the sums of a kernel's rows and columns, w_l its total and W that of all,

    Q = 1/W sum_l sum_ij (|W_l|_ij - gamma r_i c_j / w_l) [g_i = g_j].

One kernel: Barber 2007. A graph without layers has one null for all its edges: Newman 2006. A partition by layers has
Q = 0, so that depth alone is no modularity; higher is more modular.
"""

import functools
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import count, full_precision, near_one
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.embedding import embed, num_draws
from modularity_jax.metric.excess import Excess
from modularity_jax.metric.kmeans import kmeans, num_uniforms
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.metric.settings import Partition, Settings
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array

# Rounds of moves at most; on networks of the study they end after 5 to 20.
MAX_ROUNDS = 100
# Starts of k-means that are moved on, the best by Q.
NUM_MOVED = 2
# A round that gains less than this share of all weight is rounding.
LEAST_GAIN = 1e-7


@outside_explicit_mesh
def modularity(graph: Adjacency, labels: ArrayLike, *, num_clusters: int, gamma: float = 1.0) -> Array:
    """Layered modularity Q of a partition. Differentiable in the weights.

    Args:
      graph: LayeredGraph (a null for each kernel) or SparseGraph (Newman's) with N vertices. One without an edge has 0.
      labels: cluster of each vertex, [N] integers in -1..num_clusters - 1; -1 means none.
      num_clusters: K, static.
      gamma: resolution, at least 0; smaller clusters count more where it is higher.

    Returns:
      Scalar, at most 1; the same whatever the scale of all weights together.

    Raises:
      ValueError: if num_clusters is not a whole number or below 2, gamma is not a number of at least 0, the labels are
        not integers or have the wrong length or range, or graph is no graph.
    """
    checks.check_graph(graph)
    checks.check_count("num_clusters", num_clusters, 2)
    given_gamma: Any = gamma
    if isinstance(given_gamma, bool) or not isinstance(given_gamma, numbers.Real) or not gamma >= 0:
        raise ValueError(f"gamma must be a number of at least 0, got {gamma!r}")
    given = checks.as_integers("labels", labels)
    checks.check_clusters(given, num_clusters, graph.num_nodes)
    partitions = jnp.asarray(given, jnp.int32)[None]
    return batched_modularity(graph, partitions, num_clusters=int(num_clusters), gamma=float(gamma))[0]


@functools.partial(jax.jit, static_argnames="num_clusters")
@full_precision
def batched_modularity(graph: Adjacency, labels: Array, *, num_clusters: int, gamma: ArrayLike = 1.0) -> Array:
    """Q [X] of X partitions [X, N] of one graph; unchecked."""
    total = graph.degrees().sum() / 2
    members = _members(labels, num_clusters, total.dtype)
    flat = members.reshape(-1, members.shape[2])
    sides = graph.sides()
    if sides is None:
        inside = (graph.matvec(flat) * flat).sum(axis=1) / 2
    else:
        small, large = sides.split(flat)  # each edge once
        inside = (sides.to_large(small) * large).sum(axis=1)
    excess = inside.reshape(members.shape[:2]) - gamma * graph.null().inside(members)
    return jnp.where(total > 0, excess.sum(axis=1) / jnp.where(total > 0, total, 1), 0)


def _members(labels: Array, num_clusters: int, dtype: jnp.dtype) -> Array:
    """Which vertex is in which cluster, [X, K, N] of 0 and 1."""
    clusters = jnp.arange(num_clusters, dtype=jnp.int32)[None, :, None]
    return (labels[:, None, :] == clusters).astype(dtype)


def partition_by_modularity(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """The partition with the highest Q that is found, into num_clusters parts or fewer; no check, no jit.

    The K - 1 leading eigenvectors of D^-1/2 (A - null) D^-1/2 and k-means with restarts give starts. The best of them
    are moved: rounds in which every vertex goes where Q gains most (Barber 2007). Then, again and again, the two
    clusters that fit best become one and the rest is moved, down to two; the best of all partitions passed is kept.
    """
    connected, size = graph.degrees() > 0, settings.num_clusters
    excess = Excess(graph, graph.null())
    dimensions = size - 1
    ours, theirs = num_draws(excess, dimensions), num_uniforms(size, settings.num_restarts)
    draws = jax.random.uniform(key, (ours + theirs,), graph.degrees().dtype)
    embedding = embed(excess, draws[:ours], num_clusters=dimensions, solver=settings.solver)
    starts = kmeans(
        near_one(embedding.points),
        draws[ours:],
        live=connected,
        num_clusters=size,
        num_restarts=settings.num_restarts,
    ).labels
    _, chosen = jax.lax.top_k(batched_modularity(graph, starts, num_clusters=size), min(NUM_MOVED, len(starts)))
    found = _through_all_sizes(excess, starts[chosen], size)
    best = found.value.argmax()
    labels = jnp.where(connected, found.labels[best], -1)
    slack = dimensions - embedding.lower_bound - embedding.eigenvalues.sum()
    return Partition(
        labels=labels,
        value=batched_modularity(graph, labels[None], num_clusters=size)[0],
        bound=embedding.eigenvalues[0] + jnp.maximum(slack, 0),
        ncut=batched_ncut(graph, labels[None], num_clusters=size)[0],
        lower_bound=jnp.zeros_like(embedding.lower_bound),
        eigenvalues=jnp.pad(embedding.eigenvalues, (0, 1)),
        num_isolated=connected.size - count(connected),
        num_empty=jnp.zeros((), jnp.int32),
        converged=embedding.converged,
    )


class _Found(NamedTuple):
    """Partitions on their way, and their Q times the weight of all edges."""

    labels: Array  # [X, N] int32
    value: Array  # [X]


class _Round(NamedTuple):
    """After a round of moves."""

    found: _Found
    number: Array  # [] int32
    goes_on: Array  # [] bool


def _through_all_sizes(excess: Excess, starts: Array, num_clusters: int) -> _Found:
    """The best partition of each start [X, N] on the way from num_clusters clusters to two."""

    def with_one_less(_: Array, state: tuple[_Found, _Found]) -> tuple[_Found, _Found]:
        now, best = state
        now = _move(excess, _merge(excess, now.labels, num_clusters), num_clusters)
        better = now.value > best.value
        labels = jnp.where(better[:, None], now.labels, best.labels)
        return now, _Found(labels, jnp.where(better, now.value, best.value))

    first = _move(excess, starts, num_clusters)
    return jax.lax.fori_loop(0, num_clusters - 2, with_one_less, (first, first))[1]


def _move(excess: Excess, labels: Array, num_clusters: int) -> _Found:
    """Labels [X, N] after rounds of moves until none raises Q."""
    step = _one_by_one if excess.sides() is None else _side_by_side

    def next_round(state: _Round) -> _Round:
        found = step(excess, state.found, num_clusters)
        better = found.value > state.found.value + LEAST_GAIN * total
        kept = jnp.where(better[:, None], found.labels, state.found.labels)
        return _Round(_Found(kept, jnp.maximum(found.value, state.found.value)), state.number + 1, better.any())

    total = excess.degrees().sum() / 2
    unknown = _Found(labels, jnp.full(labels.shape[0], -jnp.inf, total.dtype))
    start = _Round(unknown, jnp.int32(0), jnp.asarray(True))
    return jax.lax.while_loop(lambda state: state.goes_on & (state.number < MAX_ROUNDS), next_round, start).found


def _side_by_side(excess: Excess, found: _Found, num_clusters: int) -> _Found:
    """Each side takes its best clusters given the other's: exact, since no edge and no null lies within a side."""
    sides = excess.sides()
    assert sides is not None
    small, large = sides.split(found.labels)
    _, large = _best(sides.to_large, small, num_clusters, found.value.dtype)
    value, small = _best(sides.to_small, large, num_clusters, found.value.dtype)
    return _Found(sides.join(small, large), value)


def _best(product: Callable[[Array], Array], labels: Array, num_clusters: int, dtype: jnp.dtype) -> tuple[Array, Array]:
    """Of what the other side's clusters send, Q times the weight [X] and the best clusters [X, M]."""
    members = _members(labels, num_clusters, dtype)
    received = product(members.reshape(-1, labels.shape[1])).reshape(*members.shape[:2], -1)
    return received.max(axis=1).sum(axis=1), received.argmax(axis=1).astype(jnp.int32)


def _one_by_one(excess: Excess, found: _Found, num_clusters: int) -> _Found:
    """All vertices to their best clusters at once if that raises Q, else the one vertex that gains most."""
    members = _members(found.labels, num_clusters, found.value.dtype)
    received = excess.matvec(members.reshape(-1, members.shape[2])).reshape(members.shape)
    # What is expected between a vertex and itself goes with it.
    received += members * 2 * (excess.expected.rows * excess.expected.columns).sum(axis=0)[None, None]
    gains = received - (received * members).sum(axis=1, keepdims=True)
    best, most = gains.argmax(axis=1).astype(jnp.int32), gains.max(axis=1)
    is_first = jnp.arange(best.shape[1])[None, :] == most.argmax(axis=1)[:, None]
    one = jnp.where(is_first, best, found.labels)
    total = excess.degrees().sum() / 2
    values = [total * batched_modularity(excess.graph, own, num_clusters=num_clusters) for own in (best, one)]
    all_better = values[0] > values[1]
    return _Found(jnp.where(all_better[:, None], best, one), jnp.maximum(values[0], values[1]))


def _merge(excess: Excess, labels: Array, num_clusters: int) -> Array:
    """Labels [X, N] after the two clusters have become one that raise Q most by it, or lower it least."""
    members = _members(labels, num_clusters, excess.degrees().dtype)
    received = excess.matvec(members.reshape(-1, members.shape[2])).reshape(members.shape)
    between = jnp.einsum("xkn,xln->xkl", received, members)
    filled = members.any(axis=2)
    pairs = jnp.triu(filled[:, :, None] & filled[:, None, :], 1)
    chosen = jnp.where(pairs, between, -jnp.inf).reshape(labels.shape[0], -1).argmax(axis=1).astype(jnp.int32)
    one, other = chosen // num_clusters, chosen % num_clusters
    return jnp.where(labels == other[:, None], one[:, None], labels)
