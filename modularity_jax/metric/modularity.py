"""Modularity: the weight inside clusters beyond what the neurons' strengths let expect, block by block.

With W_l the kernels' magnitudes, r and c the sums of a kernel's rows and columns, w_l its total and W that of all,

    Q = 1/W sum_l sum_ij (|W_l|_ij - gamma r_i c_j / w_l) [g_i = g_j].

One kernel: Barber 2007. A graph without layers has one null for all its edges: Newman 2006. A partition by layers has
Q = 0, so that depth alone is no modularity; higher is more modular.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import count, divide, full_precision, near_one
from modularity_jax.graphs.protocol import Adjacency, Graph
from modularity_jax.metric.embedding import embed, num_draws
from modularity_jax.metric.excess import Excess, WithNull
from modularity_jax.metric.kmeans import kmeans, num_uniforms
from modularity_jax.metric.moves import Found, climb, members_of, received_by, through_all_sizes, weight_inside
from modularity_jax.metric.settings import Partition, Settings
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array

WEIGHTINGS = ("weight", "layer")

# A round that gains less than this share of all weight is rounding.
LEAST_GAIN = 1e-7


@outside_explicit_mesh
def modularity(
    graph: Graph, labels: ArrayLike, *, num_clusters: int, gamma: float = 1.0, weighting: str = "weight"
) -> Array:
    """Layered modularity Q of a partition. Differentiable in the weights, and in soft labels.

    Args:
      graph: LayeredGraph (a null for each kernel), SparseGraph (Newman's) or DenseGraph (for each pair of groups, and
        Newman's within each), with N vertices. One without an edge has 0.
      labels: cluster of each vertex, [N] integers in -1..num_clusters - 1; -1 means none. Or soft ones, [N, K] real
        numbers, the shares of each vertex in each cluster.
      num_clusters: K, static.
      gamma: resolution, at least 0; smaller clusters count more where it is higher.
      weighting: "weight" weighs kernels by their total magnitude; "layer" all alike, so that no scaling of a kernel
        changes it. To cluster by the latter, cluster `graph.balanced()`.

    Returns:
      Scalar, at most 1; the same whatever the scale of all weights together.

    Raises:
      ValueError: if num_clusters is not a whole number or below 2, gamma is not a finite number of at least 0, the
        labels are neither integers of the right length and range nor shares of the right shape, weighting is unknown,
        or graph is no graph.
    """
    checks.check_gamma(gamma)
    checks.check_choice("weighting", weighting, WEIGHTINGS)
    members = checks.as_members(graph, labels, num_clusters)
    weighed = graph.balanced() if weighting == "layer" else graph
    return modularity_of_members(weighed, members[None], float(gamma))[0]


@functools.partial(jax.jit, static_argnames="num_clusters")
def batched_modularity(graph: Adjacency, labels: Array, *, num_clusters: int) -> Array:
    """Q [X] of X partitions [X, N] of one graph; unchecked."""
    return modularity_of_members(graph, members_of(labels, num_clusters, graph.degrees().dtype), 1.0)


@jax.jit
@full_precision
def modularity_of_members(graph: Adjacency, members: Array, gamma: ArrayLike) -> Array:
    """Q [X] of partitions by their clusters' members [X, K, N]."""
    total = graph.degrees().sum() / 2
    members = members.astype(total.dtype)
    inside = weight_inside(graph, members)
    return divide((inside - gamma * graph.null().inside(members)).sum(axis=1), total[None])


def partition_by_modularity(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """The partition with the highest Q that is found, into num_clusters parts or fewer; no check, no jit.

    The K - 1 leading eigenvectors of D^-1/2 (A - null) D^-1/2 give two starts: the best restart of k-means, and the
    signs of the leading ones. Both are moved: rounds in which every vertex goes where Q gains most (Barber 2007). Then,
    again and again, the two clusters that fit best become one and the rest is moved, down to two; the best of all
    partitions passed is kept.
    """
    if settings.gamma != 1:
        own = graph.null()
        graph = WithNull(graph, own._replace(rows=float(settings.gamma) * own.rows))
    connected, size = graph.degrees() > 0, settings.num_clusters
    excess = Excess(graph, graph.null())
    dimensions = size - 1
    ours, theirs = num_draws(excess, dimensions), num_uniforms(size, settings.num_restarts)
    draws = jax.random.uniform(key, (ours + theirs,), graph.degrees().dtype)
    embedding = embed(excess, draws[:ours], num_clusters=dimensions, solver=settings.solver)
    starts = kmeans(
        near_one(embedding.points),
        draws[ours:],
        weights=connected.astype(draws.dtype),
        num_clusters=size,
        num_restarts=settings.num_restarts,
    ).labels
    best = batched_modularity(graph, starts, num_clusters=size).argmax()
    moved = jnp.stack([starts[best], _signs(embedding.points, size)])
    move = functools.partial(_moved, excess, size)
    found = through_all_sizes(move, excess.matvec, moved, size)
    best = found.value.argmax()
    labels = jnp.where(connected, found.labels[best], -1)
    slack = dimensions - embedding.lower_bound - embedding.eigenvalues.sum()
    return Partition(
        labels=labels,
        value=batched_modularity(graph, labels[None], num_clusters=size)[0],
        lower_bound=jnp.zeros_like(embedding.lower_bound),
        upper_bound=embedding.eigenvalues[0] + jnp.maximum(slack, 0),
        eigenvalues=jnp.pad(embedding.eigenvalues, (0, 1)),
        num_isolated=connected.size - count(connected),
        num_empty=jnp.zeros((), jnp.int32),
        converged=embedding.converged,
    )


def _signs(points: Array, num_clusters: int) -> Array:
    """Clusters [N] by the signs of the leading coordinates of points [N, D], as many as num_clusters have room for."""
    number = min(num_clusters.bit_length() - 1, points.shape[1])
    powers = 2 ** np.arange(number, dtype=np.int32)
    return (points[:, :number] > 0).astype(jnp.int32) @ powers


def _moved(excess: Excess, num_clusters: int, labels: Array) -> Found:
    """Labels [X, N] after rounds of moves until none raises Q; values are Q times the weight of all edges."""
    step = _one_by_one if excess.sides() is None else _side_by_side
    total = excess.degrees().sum() / 2
    return climb(functools.partial(step, excess, num_clusters), labels, LEAST_GAIN * total)


def _side_by_side(excess: Excess, num_clusters: int, labels: Array) -> Found:
    """Each side takes its best clusters given the other's: exact, since no edge and no null lies within a side."""
    sides = excess.sides()
    assert sides is not None
    dtype = excess.degrees().dtype
    small, large = sides.split(labels)
    _, large = _best(sides.to_large, small, num_clusters, dtype)
    value, small = _best(sides.to_small, large, num_clusters, dtype)
    return Found(sides.join(small, large), value)


def _best(product: Callable[[Array], Array], labels: Array, num_clusters: int, dtype: jnp.dtype) -> tuple[Array, Array]:
    """Of what the other side's clusters send, Q times the weight [X] and the best clusters [X, M]."""
    received = received_by(product, members_of(labels, num_clusters, dtype))
    return received.max(axis=1).sum(axis=1), received.argmax(axis=1).astype(jnp.int32)


def _one_by_one(excess: Excess, num_clusters: int, labels: Array) -> Found:
    """All vertices to their best clusters at once if that raises Q, else the one vertex that gains most."""
    members = members_of(labels, num_clusters, excess.degrees().dtype)
    received = received_by(excess.matvec, members)
    # What is expected between a vertex and itself goes with it.
    received += members * 2 * (excess.expected.rows * excess.expected.columns).sum(axis=0)[None, None]
    gains = received - (received * members).sum(axis=1, keepdims=True)
    best, most = gains.argmax(axis=1).astype(jnp.int32), gains.max(axis=1)
    is_first = jnp.arange(best.shape[1])[None, :] == most.argmax(axis=1)[:, None]
    one = jnp.where(is_first, best, labels)
    total = excess.degrees().sum() / 2
    values = [total * batched_modularity(excess.graph, own, num_clusters=num_clusters) for own in (best, one)]
    all_better = values[0] > values[1]
    return Found(jnp.where(all_better[:, None], best, one), jnp.maximum(values[0], values[1]))
