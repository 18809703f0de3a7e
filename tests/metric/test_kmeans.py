"""k-means against scikit-learn, and its corner cases."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.cluster

from tests.metric import nets

run = jax.jit(nets.kmeans, static_argnames=("num_clusters", "num_restarts"))


def everywhere(points):
    return jnp.ones(len(points))


@functools.cache
def embedding(num_clusters):
    """Points of a sparse random net, all of them connected."""
    net = nets.random_net(3, (64, 32, 32, 10), 0.3)
    assert (net.degrees() > 0).all()
    return jax.jit(nets.embed, static_argnames="num_clusters")(net, jax.random.key(0), num_clusters=num_clusters).points


def slow_inertia(points, labels):
    points = np.asarray(points, float)
    groups = [points[labels == c] for c in np.unique(labels)]
    return sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups)


@pytest.mark.parametrize("num_clusters", [4, 7])
def test_no_worse_than_scikit_learn(num_clusters):
    points = embedding(num_clusters)
    ours, theirs = [], []
    for seed in range(20):
        result = run(
            points, jax.random.key(seed), weights=everywhere(points), num_clusters=num_clusters, num_restarts=10
        )
        ours.append(slow_inertia(points, np.asarray(result.labels[result.inertia.argmin()])))
        with nets.one_thread():
            fit = sklearn.cluster.KMeans(num_clusters, n_init=10, random_state=seed).fit(np.asarray(points))
        theirs.append(slow_inertia(points, fit.labels_))
    difference = np.array(ours) - np.array(theirs)
    # A thousandth for Lloyd's stopping rule, and two standard errors of the mean of 20 paired runs.
    assert difference.mean() <= 1e-3 * np.mean(theirs) + 2 * nets.standard_error(difference)


def test_inertia_is_that_of_the_labels():
    points = embedding(4)
    result = run(points, jax.random.key(0), weights=everywhere(points), num_clusters=4, num_restarts=10)
    expected = [slow_inertia(points, row) for row in np.asarray(result.labels)]
    np.testing.assert_allclose(result.inertia, expected, rtol=1e-4)
    assert (np.asarray(result.num_empty) == 0).all()


def test_labels_are_a_fixed_point_of_lloyd():
    # Where an iteration ends, moving one more step gains next to nothing.
    points = np.asarray(embedding(4), float)
    result = run(embedding(4), jax.random.key(1), weights=everywhere(points), num_clusters=4, num_restarts=10)
    for labels, inertia in zip(np.asarray(result.labels), np.asarray(result.inertia), strict=True):
        centres = np.stack([points[labels == c].mean(axis=0) for c in range(4)])
        moved = ((points[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1).sum()
        assert inertia - moved < 2e-3 * inertia


def test_restarts_differ():
    points = jnp.asarray(np.random.default_rng(0).normal(size=(138, 4)), jnp.float32)
    result = run(points, jax.random.key(0), weights=everywhere(points), num_clusters=4, num_restarts=10)
    assert len(np.unique(np.asarray(result.inertia))) > 1


def blobs(num_blobs, size=20, dimensions=3):
    rng = np.random.default_rng(num_blobs)
    centres = 10 * np.array([np.unravel_index(c, (3,) * dimensions) for c in range(num_blobs)])
    truth = np.repeat(np.arange(num_blobs), size)
    return jnp.asarray(centres[truth] + rng.normal(size=(truth.size, dimensions)), jnp.float32), truth


@pytest.mark.parametrize("num_blobs", [5, 12])
def test_blobs_are_found(num_blobs):
    points, truth = blobs(num_blobs)
    result = run(points, jax.random.key(0), weights=everywhere(points), num_clusters=num_blobs, num_restarts=10)
    assert nets.same_partition(result.labels[result.inertia.argmin()], truth)


def test_shift_and_rotation_change_nothing():
    points, truth = blobs(5)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    moved = jnp.asarray(np.asarray(points) @ turn + 100, jnp.float32)
    result = run(moved, jax.random.key(0), weights=everywhere(points), num_clusters=5, num_restarts=10)
    assert nets.same_partition(result.labels[result.inertia.argmin()], truth)


def test_points_of_weight_zero_do_not_matter():
    points, truth = blobs(5)
    rng = np.random.default_rng(1)
    kept = rng.random(len(points)) < 0.7
    results = []
    for filling in (0.0, 1e3):
        filled = jnp.where(kept[:, None], points, filling)
        results.append(
            run(filled, jax.random.key(0), weights=jnp.asarray(kept, jnp.float32), num_clusters=5, num_restarts=10)
        )
    np.testing.assert_allclose(results[0].inertia, results[1].inertia, rtol=1e-6)
    np.testing.assert_array_equal(results[0].labels[:, kept], results[1].labels[:, kept])
    best = results[0].labels[results[0].inertia.argmin()]
    assert nets.same_partition(np.asarray(best)[kept], truth[kept])
    np.testing.assert_allclose(results[0].inertia.min(), slow_inertia(points[kept], truth[kept]), rtol=1e-4)


@pytest.mark.parametrize("num_distinct", [1, 3, 5])
def test_no_cluster_is_empty_among_duplicates(num_distinct):
    # Fewer distinct points than clusters: k-means++ and Lloyd leave clusters empty, which must be filled.
    points = jnp.asarray(np.eye(6, 3)[np.arange(100) % num_distinct], jnp.float32)
    result = run(points, jax.random.key(0), weights=everywhere(points), num_clusters=5, num_restarts=10)
    assert (np.asarray(result.num_empty) == 0).all()
    for labels in np.asarray(result.labels):
        assert set(labels) == set(range(5))
    assert np.isfinite(result.inertia).all()


@pytest.mark.parametrize("used", [1, 3])
def test_some_of_the_clusters_alone(used):
    """A traced number of them, by the program for all."""
    arguments = {"num_clusters": 5, "num_restarts": 10, "used": jnp.int32(used)}
    points, truth = blobs(used)
    result = run(points, jax.random.key(0), weights=everywhere(points), **arguments)
    assert nets.same_partition(result.labels[result.inertia.argmin()], truth)
    alike = jnp.ones((7, 3))  # one centre takes them all, and only clusters in use are filled
    result = run(alike, jax.random.key(0), weights=(jnp.arange(7) > 4).astype(jnp.float32), **arguments)
    for labels in np.asarray(result.labels)[:, 5:]:
        assert set(labels) <= set(range(used))
        assert len(set(labels)) == min(used, 2)
    np.testing.assert_array_equal(result.num_empty, max(used - 2, 0))


def test_far_outlier_and_heavy_duplicates():
    points = jnp.asarray(np.concatenate([np.zeros((95, 3)), np.eye(3), [[1e4, 0, 0], [0, 1e4, 0]]]), jnp.float32)
    result = run(points, jax.random.key(0), weights=everywhere(points), num_clusters=5, num_restarts=10)
    assert all(set(labels) == set(range(5)) for labels in np.asarray(result.labels))


@pytest.mark.parametrize("num_points", [1, 3, 5])
def test_more_clusters_than_points_reports_the_empty_ones(num_points):
    points, _ = blobs(5)
    weights = (jnp.arange(100) % 20 == 0) & (jnp.arange(100) < 20 * num_points)
    result = run(points, jax.random.key(0), weights=weights.astype(jnp.float32), num_clusters=5, num_restarts=10)
    np.testing.assert_array_equal(result.num_empty, [5 - num_points] * 10)
    np.testing.assert_allclose(result.inertia, np.zeros(10), atol=1e-4)


def test_same_key_same_result():
    points, _ = blobs(5)
    arguments = {"weights": everywhere(points), "num_clusters": 5, "num_restarts": 10}
    first, second = (run(points, jax.random.key(s), **arguments) for s in (0, 1))
    again = run(points, jax.random.key(0), **arguments)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, second.labels)
