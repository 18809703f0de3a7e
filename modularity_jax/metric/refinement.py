"""A lower n-cut by moving vertices, from the partition that k-means leaves.

K less the n-cut is sum_c a_c / v_c, of the weight a_c inside a cluster (each edge from both ends) and its volume v_c.
What it gains by moving one vertex is known exactly; several moves together are tried in a few sets, from all that gain
to the best alone, and the best set is made, so that no round lowers it. On 40 networks of the study the end lies within
.2% of that of a search that moves vertices one after the other from the same start, after 5 to 30 rounds.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import divide
from modularity_jax.graphs.protocol import Adjacency
from modularity_jax.metric.moves import Found, climb, members_of, received_by

Array = jax.Array

# Partitions that are moved to the end; what they are after one round tells which are worth it.
NUM_REFINED = 2
# Vertices move together that gain more than such a share of what the best one gains.
SHARES = (0.0, 0.1, 0.3, 0.6)
# A round that lowers the n-cut by less is rounding.
LEAST_GAIN = 5e-5
# A vertex with all but such a share of its cluster's volume stays: what is left would be rounding.
LEAST_REST = 1e-6


def refined(graph: Adjacency, labels: Array, num_clusters: int) -> Array:
    """The best of the partitions [X, N] after a first round of moves, [`NUM_REFINED`, N], when none gains any more.

    No move raises a row's n-cut or empties a cluster. No check, no jit.
    """
    step = functools.partial(_together if graph.sides() is None else _in_turn, graph, num_clusters)
    first = step(labels)
    _, best = jax.lax.top_k(first.value, min(NUM_REFINED, labels.shape[0]))
    return climb(step, first.labels[best], jnp.asarray(LEAST_GAIN, first.value.dtype)).labels


def _in_turn(graph: Adjacency, num_clusters: int, labels: Array) -> Found:
    """Moves on one side, then on the other: what a side receives stays the same while it moves."""
    sides = graph.sides()
    assert sides is not None
    (small, large), degrees = sides.split(labels), sides.split(graph.degrees())
    _, large = _on_side(sides.to_large, small, large, degrees, num_clusters)
    value, small = _on_side(sides.to_small, large, small, degrees[::-1], num_clusters)
    return Found(sides.join(small, large), value)


def _on_side(
    product: Callable[[Array], Array], other: Array, own: Array, degrees: tuple[Array, Array], num_clusters: int
) -> tuple[Array, Array]:
    """K less the n-cut [X], and labels of the own side [X, M] after moves on it; degrees of the other and the own."""
    others = members_of(other, num_clusters, degrees[0].dtype)
    members = members_of(own, num_clusters, degrees[1].dtype)
    received = received_by(product, others)
    inside, volumes = 2 * (received * members).sum(axis=2), others @ degrees[0] + members @ degrees[1]

    def sums(sets: Array, change: Array) -> tuple[Array, Array]:
        inner, outer = (jnp.einsum("xcm,xkm->xck", sets, x * change) for x in (2 * received, degrees[1][None, None]))
        return inside[:, None] + inner, volumes[:, None] + outer

    return _moved(sums, received, members, inside, volumes, degrees[1])


def _together(graph: Adjacency, num_clusters: int, labels: Array) -> Found:
    """Moves of any vertices; what they are worth together takes a product of its own."""
    degrees = graph.degrees()
    members = members_of(labels, num_clusters, degrees.dtype)
    received = received_by(graph.matvec, members)

    def sums(sets: Array, change: Array) -> tuple[Array, Array]:
        moved = members[:, None] + sets[:, :, None] * change[:, None]
        flat = moved.reshape(-1, *members.shape[1:])
        inside = (received_by(graph.matvec, flat) * flat).sum(axis=2)
        return inside.reshape(moved.shape[:3]), moved @ degrees

    value, moved = _moved(sums, received, members, (received * members).sum(axis=2), members @ degrees, degrees)
    return Found(moved, value)


def _moved(
    sums: Callable[[Array, Array], tuple[Array, Array]],
    received: Array,
    members: Array,
    inside: Array,
    volumes: Array,
    degrees: Array,
) -> tuple[Array, Array]:
    """The best of C sets of moves of M vertices: K less the n-cut [X], and the labels [X, M] after it.

    Args:
      sums: of the sets [X, C, M] and of what each vertex would change, [X, K, M] of -1, 0 and 1, the inner weights and
        the volumes [X, C, K] of the whole graph.
      received: what each vertex receives from the clusters, [X, K, M].
      members: before, [X, K, M].
      inside, volumes: before, [X, K].
      degrees: [M].
    """
    gains = _gains(received, members, inside, volumes, degrees)
    target, most = gains.argmax(axis=1).astype(jnp.int32), gains.max(axis=1)
    is_first = jnp.arange(most.shape[1])[None, :] == most.argmax(axis=1)[:, None]
    best = most.max(axis=1, keepdims=True)
    sets = jnp.stack([jnp.zeros_like(is_first), is_first, *(most > share * best for share in SHARES)], axis=1)
    sets &= (most > 0)[:, None]
    change = members_of(target, received.shape[1], degrees.dtype) - members
    inner, after = sums(sets.astype(degrees.dtype), change)
    emptied = (after <= LEAST_REST * volumes[:, None]) & (volumes > 0)[:, None]
    values = jnp.where(emptied.any(axis=2), -jnp.inf, divide(inner, after).sum(axis=2))
    chosen = jnp.take_along_axis(sets, values.argmax(axis=1)[:, None, None], axis=1)
    return values.max(axis=1), (members + jnp.where(chosen, change, 0)).argmax(axis=1).astype(jnp.int32)


def _gains(received: Array, members: Array, inside: Array, volumes: Array, degrees: Array) -> Array:
    """What K less the n-cut gains by moving one vertex to one cluster, [X, K, M].

    0 to the cluster where it is already, and to one without a member.
    """
    volumes, share = volumes[:, :, None], divide(inside, volumes)[:, :, None]
    degrees = degrees[None, None]
    change = 2 * received - share * degrees
    rest = (members * (volumes - degrees)).sum(axis=1, keepdims=True)
    whole = (members * volumes).sum(axis=1, keepdims=True)
    lost = divide((members * change).sum(axis=1, keepdims=True), rest)
    free = (rest > LEAST_REST * whole) & (members == 0) & (volumes > 0)
    return jnp.where(free, divide(change, volumes + degrees) - lost, 0)
