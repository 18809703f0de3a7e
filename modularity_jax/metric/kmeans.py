"""k-means with restarts as a batch axis, for the rows of a spectral embedding.

Arthur and Vassilvitskii 2007 (k-means++), in the greedy form that scikit-learn uses: each new centre is the best of a
few candidates. All restarts share one distance product per iteration.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric.numerics import prefix_sum

Array = jax.Array

MAX_ITERATIONS = 300

# Lloyd's iteration ends when the centres' squared shift falls below this share of the points' variance.
SHIFT_TOLERANCE = 1e-4


class KMeans(NamedTuple):
    """All restarts of one k-means; X is the number of restarts."""

    labels: Array  # [X, N] int32, 0..K - 1; what a vertex of weight 0 gets means nothing
    inertia: Array  # [X], sum over weighted points of the squared distance to their centre
    num_empty: Array  # [X], clusters that could not be filled: more clusters than weighted points


class _State(NamedTuple):
    centres: Array  # [X, K, D]
    labels: Array  # [X, N]
    done: Array  # [X] bool
    iteration: Array  # []


def kmeans(points: Array, key: Array, *, weights: Array, num_clusters: int, num_restarts: int) -> KMeans:
    """Cluster points [N, D] whose weights [N] are 0 or 1, from num_restarts greedy k-means++ starts.

    An empty cluster is re-seeded with the point farthest from its centre, at most one a restart and iteration; what is
    empty at the end takes its point away from a larger cluster, so that every cluster has a member as long as there
    are num_clusters weighted points.
    """
    count = jnp.maximum(weights.sum(), 1)
    centred = jnp.where(weights[:, None] > 0, points - (weights @ points)[None, :] / count, 0)
    tolerance = SHIFT_TOLERANCE * (centred**2).sum() / (count * points.shape[1])
    keys = jax.random.split(key, num_restarts)
    start = jax.vmap(lambda k: _greedy_start(centred, k, weights, num_clusters))(keys)

    def improve(state: _State) -> _State:
        labels, distances = _assign(centred, state.centres)
        centres, lacking = _update(centred, weights, labels, distances, num_clusters)
        shift = ((centres - state.centres) ** 2).sum(axis=(1, 2))
        settled = ~lacking & ((shift <= tolerance) | (labels == state.labels).all(axis=1))
        keep = state.done[:, None]
        return _State(
            jnp.where(keep[:, None], state.centres, centres),
            jnp.where(keep, state.labels, labels),
            state.done | settled,
            state.iteration + 1,
        )

    def unfinished(state: _State) -> Array:
        return ~state.done.all() & (state.iteration < MAX_ITERATIONS)

    unlabelled = jnp.full((num_restarts, points.shape[0]), -1, jnp.int32)
    final = jax.lax.while_loop(
        unfinished, improve, _State(start, unlabelled, jnp.zeros(num_restarts, bool), jnp.asarray(0))
    )
    labels, distances = _assign(centred, final.centres)
    labels = jax.vmap(lambda own, far: _fill_empty(own, far, weights, num_clusters))(labels, distances)
    return _measure(centred, weights, labels, num_clusters)


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


def _assign(points: Array, centres: Array) -> tuple[Array, Array]:
    """Nearest centre [X, N] of each point for each restart, and the squared distance to it [X, N]."""
    restarts, clusters, dimensions = centres.shape
    products = centres.reshape(restarts * clusters, dimensions) @ points.T
    scores = (centres**2).sum(axis=2)[:, :, None] - 2 * products.reshape(restarts, clusters, points.shape[0])
    distances = scores.min(axis=1) + (points**2).sum(axis=1)[None, :]
    return scores.argmin(axis=1).astype(jnp.int32), jnp.maximum(distances, 0)


def _members(labels: Array, weights: Array, num_clusters: int) -> Array:
    """Indicator [X, K, N] of the weighted points of each cluster."""
    return jnp.where(labels[:, None, :] == jnp.arange(num_clusters)[None, :, None], weights[None, None, :], 0)


def _centres(members: Array, points: Array) -> tuple[Array, Array]:
    """Means [X, K, D] and sizes [X, K] of the clusters."""
    restarts, clusters, size = members.shape
    sums = (members.reshape(restarts * clusters, size) @ points).reshape(restarts, clusters, points.shape[1])
    sizes = members.sum(axis=2)
    return sums / jnp.maximum(sizes, 1)[:, :, None], sizes


def _update(points: Array, weights: Array, labels: Array, distances: Array, num_clusters: int) -> tuple[Array, Array]:
    """New centres [X, K, D]; a restart's first empty cluster moves to the farthest point. Also if one was empty."""
    centres, sizes = _centres(_members(labels, weights, num_clusters), points)
    empty = sizes == 0
    farthest = jnp.where(weights[None, :] > 0, distances, -1).argmax(axis=1)
    moved = empty & (jnp.cumsum(empty, axis=1) == 1)
    return jnp.where(moved[:, :, None], points[farthest][:, None, :], centres), empty.any(axis=1)


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
    own = jax.vmap(lambda c, label: c[label])(centres, labels)
    inertia = (weights[None, :] * ((points[None] - own) ** 2).sum(axis=2)).sum(axis=1)
    return KMeans(labels, inertia, (sizes == 0).sum(axis=1))
