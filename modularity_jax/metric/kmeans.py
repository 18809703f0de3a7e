"""k-means with restarts as a batch axis, for the rows of a spectral embedding.

Arthur and Vassilvitskii 2007 (k-means++), in the greedy form that scikit-learn uses: each new centre is the best of a
few candidates. The restarts at work share one distance product per iteration.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs.numerics import count, filled_from, prefix_sums

Array = jax.Array

MAX_ITERATIONS = 300

# Restarts at work at a time.
SLOTS = 4

# Lloyd's iteration ends when the centres' squared shift falls below this share of the points' variance.
SHIFT_TOLERANCE = 1e-4

# Of each coordinate of a centre that is to be nearest to no point; its square stays in range.
FAR = 1e15


class KMeans(NamedTuple):
    """All restarts of one k-means; X is the number of restarts."""

    labels: Array  # [X, N] int32, 0..K - 1; what a point that is not live gets means nothing
    inertia: Array  # [X], weighted sum of the points' squared distances to their centre
    num_empty: Array  # [], clusters of each that could not be filled: more clusters than live points


class _Slots(NamedTuple):
    """The restarts at work, one a slot, and what the finished ones came to."""

    restart: Array  # [A] int32, which restart each slot works on; X for none
    centres: Array  # [A, K, D]
    iteration: Array  # [A] int32, of the slot's restart
    started: Array  # [] int32, restarts taken up so far
    final: Array  # [X, K, D] centres of the finished restarts


def num_uniforms(num_clusters: int, num_restarts: int) -> int:
    """Random numbers that `kmeans` takes."""
    return num_restarts * num_clusters * _num_candidates(num_clusters)


def kmeans(
    points: Array,
    uniforms: Array,
    *,
    weights: Array,
    num_clusters: int,
    num_restarts: int,
    used: Array | None = None,
) -> KMeans:
    """Cluster the points [N, D] by their weights [N], 0 to 1, from num_restarts greedy k-means++ starts.

    Those of weight 0 are not live and take no part. A cluster that loses all its points keeps its centre. What is empty
    at the end takes the point that is farthest from its own centre, so that every cluster has a member as long as there
    are num_clusters live points. The uniforms are numbers in [0, 1), [`num_uniforms`].

    With `used`, a traced number of clusters, [] int32, up to num_clusters, those from there on get no point; `FAR`
    must then be far from the points.
    """
    total, num_live = weights.sum(), count(weights > 0)
    divisor = jnp.where(total > 0, total, 1)
    centred = jnp.where(weights[:, None] > 0, points - (weights @ points)[None, :] / divisor, 0)
    tolerance = SHIFT_TOLERANCE * (weights[:, None] * centred**2).sum() / (divisor * points.shape[1])
    starts = _greedy_starts(centred, uniforms.reshape(num_restarts, num_clusters, -1), weights)
    starts = filled_from(starts, used, FAR, axis=1)
    centres = _iterate(centred, weights, starts, tolerance)
    labels = _assign(centred, centres)
    labels = _fill_empty(centred, weights > 0, centres, labels, used)
    inertia = _inertia(centred, weights, labels, num_clusters)
    return KMeans(labels, inertia, jnp.maximum((num_clusters if used is None else used) - num_live, 0))


def _iterate(points: Array, weights: Array, starts: Array, tolerance: Array) -> Array:
    """Lloyd's iteration from each start [X, K, D] until it settles; its centres [X, K, D].

    Restarts differ in length by a factor of five, so a few at a time are at work, and one that settles makes room for
    the next: none is iterated beyond its end, and those at work share their products.
    """
    num_restarts = starts.shape[0]
    slots = jnp.arange(min(SLOTS, num_restarts), dtype=jnp.int32)

    def improve(state: _Slots) -> _Slots:
        members = _members(_assign(points, state.centres), weights, state.centres.shape[1])
        sizes = members.sum(axis=2)
        centres = jnp.where(sizes[:, :, None] > 0, _means(members, points), state.centres)
        # 0 where the labels stay.
        shift = ((centres - state.centres) ** 2).sum(axis=(1, 2))
        ended = (shift <= tolerance) | (state.iteration + 1 >= MAX_ITERATIONS)
        final = state.final.at[jnp.where(ended, state.restart, num_restarts)].set(centres, mode="drop")
        taken = state.started + jnp.cumsum(ended, dtype=jnp.int32)
        following = jnp.minimum(taken - 1, num_restarts)
        return _Slots(
            jnp.where(ended, following, state.restart),
            jnp.where(ended[:, None, None], starts[jnp.minimum(following, num_restarts - 1)], centres),
            jnp.where(ended, 0, state.iteration + 1),
            taken[-1],
            final,
        )

    def unfinished(state: _Slots) -> Array:
        return (state.restart < num_restarts).any()

    first = _Slots(slots, starts[: slots.size], jnp.zeros_like(slots), jnp.int32(slots.size), starts)
    return jax.lax.while_loop(unfinished, improve, first).final


def _greedy_starts(points: Array, uniforms: Array, weights: Array) -> Array:
    """Centres [X, K, D] by greedy k-means++: of a few candidates drawn by squared distance, the best is taken.

    All restarts at once, from all random numbers [X, K, candidates]: less to compile than a restart under vmap.
    """
    norms = (points**2).sum(axis=1)
    restarts = jnp.arange(uniforms.shape[0], dtype=jnp.int32)
    most = jnp.finfo(points.dtype).max

    def add_centre(nearest: Array, own: tuple[Array, Array]) -> tuple[Array, Array]:
        is_first, uniforms = own
        # The first centre is any point.
        candidates = points[_draw(jnp.where(is_first, weights[None, :], nearest), uniforms)]
        products = (candidates.reshape(-1, points.shape[1]) @ points.T).reshape(*uniforms.shape, norms.size)
        squared = (candidates**2).sum(axis=2)[:, :, None] - 2 * products + norms[None, None, :]
        after = jnp.minimum(nearest[:, None, :], weights[None, None, :] * jnp.maximum(squared, 0))
        best = jnp.where(is_first, 0, after.sum(axis=2).argmin(axis=1))
        return after[restarts, best], candidates[restarts, best]

    first = jnp.arange(uniforms.shape[1], dtype=jnp.int32) == 0
    nearest = jnp.broadcast_to(weights * most, (restarts.size, norms.size))
    _, centres = jax.lax.scan(add_centre, nearest, (first, uniforms.swapaxes(0, 1)))
    return centres.swapaxes(0, 1)


def _num_candidates(num_clusters: int) -> int:
    return 2 + int(math.log(num_clusters))


def _draw(mass: Array, uniforms: Array) -> Array:
    """Indices [X, C] drawn in proportion to mass [X, N], one for each of the uniforms [X, C]."""
    total = prefix_sums(mass)
    drawn = count(total[:, None, :] <= (uniforms * total[:, -1:])[:, :, None])
    return jnp.minimum(drawn, mass.shape[1] - 1)


def _assign(points: Array, centres: Array) -> Array:
    """Nearest centre [X, N] int32 of each point for each restart's centres [X, K, D]."""
    restarts, clusters, dimensions = centres.shape
    products = centres.reshape(restarts * clusters, dimensions) @ points.T
    scores = (centres**2).sum(axis=2)[:, :, None] - 2 * products.reshape(restarts, clusters, points.shape[0])
    return scores.argmin(axis=1).astype(jnp.int32)


def _own_distances(points: Array, centres: Array, labels: Array) -> Array:
    """Squared distance [X, N] of each point to its own centre; centres [X, K, D], labels [X, N]."""
    return ((points[None] - jnp.take_along_axis(centres, labels[:, :, None], axis=1)) ** 2).sum(axis=2)


def _members(labels: Array, weights: Array, num_clusters: int) -> Array:
    """Weights [X, K, N] of the points in their own cluster, 0 in others."""
    return jnp.where(
        labels[:, None, :] == jnp.arange(num_clusters, dtype=jnp.int32)[None, :, None], weights[None, None, :], 0
    )


def _means(members: Array, points: Array) -> Array:
    """Means [X, K, D] of the clusters' points by their weights; members [X, K, N]."""
    restarts, clusters, size = members.shape
    sizes = members.sum(axis=2)
    sums = (members.reshape(restarts * clusters, size) @ points).reshape(restarts, clusters, points.shape[1])
    return sums / jnp.where(sizes > 0, sizes, 1)[:, :, None]


def _fill_empty(points: Array, live: Array, centres: Array, labels: Array, used: Array | None) -> Array:
    """Labels [X, N] once each empty cluster, in turn, has the farthest point of those not alone.

    Distances are those to the centres [X, K, D]. Clusters from `used` on, which stay empty, count as if they were not.
    """
    places = jnp.arange(labels.shape[1], dtype=jnp.int32)[None, :]

    def counted(labels: Array) -> Array:
        sizes = _members(labels, live.astype(points.dtype), centres.shape[1]).sum(axis=2)
        return filled_from(sizes, used, 1, axis=1)

    def fill(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        cluster, labels, sizes = state
        # A point that has been moved is alone, so whose centre its distance is taken to does not matter.
        distances = _own_distances(points, centres, labels)
        movable = live[None, :] & (jnp.take_along_axis(sizes, labels, axis=1) > 1)
        point = jax.lax.argmax(jnp.where(movable, distances, -1), 1, jnp.int32)
        needed = (sizes[:, cluster] == 0) & (sizes.max(axis=1) > 1)
        labels = jnp.where(needed[:, None] & (places == point[:, None]), cluster, labels)
        return cluster + 1, labels, counted(labels)

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        cluster, _, sizes = state
        return (cluster < sizes.shape[1]) & (sizes.min() == 0)

    return jax.lax.while_loop(unfinished, fill, (jnp.int32(0), labels, counted(labels)))[1]


def _inertia(points: Array, weights: Array, labels: Array, num_clusters: int) -> Array:
    """Inertia [X] by the variance of each cluster around its mean, once the labels [X, N] are final."""
    means = _means(_members(labels, weights, num_clusters), points)
    return _own_distances(points, means, labels) @ weights
