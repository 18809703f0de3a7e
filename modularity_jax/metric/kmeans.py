"""k-means with restarts as a batch axis, for the rows of a spectral embedding.

Arthur and Vassilvitskii 2007 (k-means++), in the greedy form that scikit-learn uses: each new centre is the best of a
few candidates. The restarts at work share one distance product per iteration.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric.numerics import prefix_sum

Array = jax.Array

MAX_ITERATIONS = 300

# Restarts at work at a time.
SLOTS = 4

# Lloyd's iteration ends when the centres' squared shift falls below this share of the points' variance.
SHIFT_TOLERANCE = 1e-4


class KMeans(NamedTuple):
    """All restarts of one k-means; X is the number of restarts."""

    labels: Array  # [X, N] int32, 0..K - 1; what a vertex of weight 0 gets means nothing
    inertia: Array  # [X], sum over weighted points of the squared distance to their centre
    num_empty: Array  # [X], clusters that could not be filled: more clusters than weighted points


class _Slots(NamedTuple):
    """The restarts at work, one a slot, and what the finished ones came to."""

    restart: Array  # [A] int32, which restart each slot works on; X for none
    centres: Array  # [A, K, D]
    labels: Array  # [A, N], -1 before the first iteration
    iteration: Array  # [A] int32, of the slot's restart
    started: Array  # [] int32, restarts taken up so far
    final: Array  # [X, K, D] centres of the finished restarts


def kmeans(points: Array, key: Array, *, weights: Array, num_clusters: int, num_restarts: int) -> KMeans:
    """Cluster points [N, D] whose weights [N] are 0 or 1, from num_restarts greedy k-means++ starts.

    An empty cluster is re-seeded with the point farthest from its centre, at most one a restart and iteration; what is
    empty at the end takes its point away from a larger cluster, so that every cluster has a member as long as there
    are num_clusters weighted points.
    """

    def fill(labels: Array, centres: Array) -> Array:
        return _fill_empty(labels, _own_distances(centred, centres, labels), weights, num_clusters)

    count = jnp.maximum(weights.sum(), 1)
    centred = jnp.where(weights[:, None] > 0, points - (weights @ points)[None, :] / count, 0)
    tolerance = SHIFT_TOLERANCE * (centred**2).sum() / (count * points.shape[1])
    keys = jax.random.split(key, num_restarts)
    starts = jax.vmap(lambda k: _greedy_start(centred, k, weights, num_clusters))(keys)
    centres = _iterate(centred, weights, starts, tolerance)
    labels = _assign(centred, centres)
    empty = _members(labels, weights, num_clusters).sum(axis=2) == 0
    labels = jax.lax.cond(empty.any(), jax.vmap(fill), lambda labels, _: labels, labels, centres)
    return _measure(centred, weights, labels, num_clusters)


def _iterate(points: Array, weights: Array, starts: Array, tolerance: Array) -> Array:
    """Lloyd's iteration from each start [X, K, D] until it settles; its centres [X, K, D].

    Restarts differ in length by a factor of five, so a few at a time are at work, and one that settles makes room for
    the next: none is iterated beyond its end, and those at work share their products.
    """
    num_restarts = starts.shape[0]
    slots = jnp.arange(min(SLOTS, num_restarts), dtype=jnp.int32)
    unlabelled = jnp.full((slots.size, points.shape[0]), -1, jnp.int32)

    def improve(state: _Slots) -> _Slots:
        labels = _assign(points, state.centres)
        centres, lacking = _update(points, weights, labels, state.centres)
        shift = ((centres - state.centres) ** 2).sum(axis=(1, 2))
        settled = ~lacking & ((shift <= tolerance) | (labels == state.labels).all(axis=1))
        ended = settled | (state.iteration + 1 >= MAX_ITERATIONS)
        final = state.final.at[jnp.where(ended, state.restart, num_restarts)].set(centres, mode="drop")
        following = state.started + jnp.cumsum(ended, dtype=jnp.int32) - 1
        following = jnp.minimum(following, num_restarts)
        return _Slots(
            jnp.where(ended, following, state.restart),
            jnp.where(ended[:, None, None], starts[jnp.minimum(following, num_restarts - 1)], centres),
            jnp.where(ended[:, None], -1, labels),
            jnp.where(ended, 0, state.iteration + 1),
            state.started + ended.sum(dtype=jnp.int32),
            final,
        )

    def unfinished(state: _Slots) -> Array:
        return (state.restart < num_restarts).any()

    first = _Slots(slots, starts[: slots.size], unlabelled, jnp.zeros_like(slots), jnp.int32(slots.size), starts)
    return jax.lax.while_loop(unfinished, improve, first).final


def _greedy_start(points: Array, key: Array, weights: Array, num_clusters: int) -> Array:
    """Centres [K, D] by greedy k-means++: of a few candidates drawn by squared distance, the best is taken."""
    num_candidates = 2 + int(math.log(num_clusters))
    first_key, rest_key = jax.random.split(key)
    first = points[_draw(weights, jax.random.uniform(first_key, (1,), points.dtype))[0]]
    norms = (points**2).sum(axis=1)

    def distances_to(centres: Array) -> Array:
        """Squared distances [C, N] of all points to the centres [C, D]."""
        squared = (centres**2).sum(axis=1)[:, None] - 2 * centres @ points.T + norms[None, :]
        return weights[None, :] * jnp.maximum(squared, 0)

    def add_centre(nearest: Array, uniforms: Array) -> tuple[Array, Array]:
        candidates = points[_draw(nearest, uniforms)]
        after = jnp.minimum(nearest[None, :], distances_to(candidates))
        best = after.sum(axis=1).argmin()
        return after[best], candidates[best]

    uniforms = jax.random.uniform(rest_key, (num_clusters - 1, num_candidates), points.dtype)
    _, others = jax.lax.scan(add_centre, distances_to(first[None])[0], uniforms)
    return jnp.concatenate([first[None], others])


def _draw(mass: Array, uniforms: Array) -> Array:
    """Indices drawn in proportion to mass [N], one for each of the uniforms [C]."""
    total = prefix_sum(mass)
    drawn = jnp.searchsorted(total, uniforms * total[-1], side="right")
    return jnp.minimum(drawn, mass.size - 1)


def _assign(points: Array, centres: Array) -> Array:
    """Nearest centre [X, N] int32 of each point for each restart's centres [X, K, D]."""
    restarts, clusters, dimensions = centres.shape
    products = centres.reshape(restarts * clusters, dimensions) @ points.T
    scores = (centres**2).sum(axis=2)[:, :, None] - 2 * products.reshape(restarts, clusters, points.shape[0])
    return scores.argmin(axis=1).astype(jnp.int32)


def _own_distances(points: Array, centres: Array, labels: Array) -> Array:
    """Squared distance [N] of each point to its own centre; centres [K, D], labels [N]."""
    return ((points - centres[labels]) ** 2).sum(axis=1)


def _members(labels: Array, weights: Array, num_clusters: int) -> Array:
    """Indicator [X, K, N] of the weighted points of each cluster."""
    return jnp.where(
        labels[:, None, :] == jnp.arange(num_clusters, dtype=jnp.int32)[None, :, None], weights[None, None, :], 0
    )


def _centres(members: Array, points: Array) -> tuple[Array, Array]:
    """Means [X, K, D] and sizes [X, K] of the clusters."""
    restarts, clusters, size = members.shape
    sums = (members.reshape(restarts * clusters, size) @ points).reshape(restarts, clusters, points.shape[1])
    sizes = members.sum(axis=2)
    return sums / jnp.maximum(sizes, 1)[:, :, None], sizes


def _update(points: Array, weights: Array, labels: Array, centres: Array) -> tuple[Array, Array]:
    """New centres [X, K, D]; a restart's first empty cluster moves to the farthest point. Also if one was empty."""
    means, sizes = _centres(_members(labels, weights, centres.shape[1]), points)
    empty = sizes == 0

    def reseed(means: Array) -> Array:
        distances = jax.vmap(functools.partial(_own_distances, points))(centres, labels)
        farthest = jnp.where(weights[None, :] > 0, distances, -1).argmax(axis=1)
        moved = empty & (jnp.cumsum(empty, axis=1) == 1)
        return jnp.where(moved[:, :, None], points[farthest][:, None, :], means)

    return jax.lax.cond(empty.any(), reseed, lambda means: means, means), empty.any(axis=1)


def _fill_empty(labels: Array, distances: Array, weights: Array, num_clusters: int) -> Array:
    """Give each empty cluster the farthest point of a cluster with more than one; labels, distances and weights [N]."""

    def fill(cluster: Array, labels: Array) -> Array:
        sizes = jnp.zeros(num_clusters, weights.dtype).at[labels].add(weights)
        free = (weights > 0) & (sizes[labels] > 1)
        farthest = jnp.where(free, distances, -1).argmax()
        needed = (sizes[cluster] == 0) & free.any()
        return labels.at[farthest].set(jnp.where(needed, cluster, labels[farthest]))

    return jax.lax.fori_loop(0, num_clusters, fill, labels)


def _measure(points: Array, weights: Array, labels: Array, num_clusters: int) -> KMeans:
    """Inertia by the variance of each cluster around its mean, once the labels are final."""
    centres, sizes = _centres(_members(labels, weights, num_clusters), points)
    inertia = jax.vmap(lambda c, own: weights @ _own_distances(points, c, own))(centres, labels)
    return KMeans(labels, inertia, (sizes == 0).sum(axis=1, dtype=jnp.int32))
