"""Consensus of partitions: of one partition itself, of noisy ones the truth behind them, of a slow agreement."""

import jax
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import modularity_jax as mj
from modularity_jax.metric import consensus as own_file

KEY = jax.random.key(0)


def noisy(seed, share, num_partitions=12):
    """Partitions of 40 units into 4, of which a share of labels is random; clusters are numbered anyhow."""
    rng = np.random.default_rng(seed)
    truth = np.arange(40) % 4
    drawn = rng.random((num_partitions, 40)) < share
    labels = np.where(drawn, rng.integers(0, 4, drawn.shape), truth)
    return truth, np.stack([rng.permutation(4)[own] for own in labels])


def test_of_one_partition_it_is_that_partition():
    truth, labels = noisy(0, 0.0)
    labels[:, 3] = -1
    found = mj.consensus(labels, KEY, num_clusters=4)
    np.testing.assert_array_equal(found.labels, labels[0])
    assert (int(found.num_rounds), bool(found.converged)) == (0, True)
    together = (truth[:, None] == truth[None]) & ~np.eye(40, dtype=bool)
    together[3] = together[:, 3] = False
    np.testing.assert_array_equal(found.agreement, together)


def test_the_truth_behind_noise():
    """Each partition alone has an index below .7; agreement is that of a slow count, a unit in none stays out."""
    truth, labels = noisy(1, 0.3)
    labels[:, 5] = -1
    labels[:3, 6] = -1  # in some
    found = mj.consensus(labels, KEY, num_clusters=4)
    slow = np.mean([(own[:, None] == own[None]) & (own >= 0)[None] for own in labels], axis=0)
    np.testing.assert_allclose(found.agreement, slow * ~np.eye(40, dtype=bool), rtol=1e-6)
    assert bool(found.converged)
    assert 1 <= int(found.num_rounds) <= 3
    assert int(found.labels[5]) == -1
    kept = np.arange(40) != 5
    assert max(adjusted_rand_score(truth[kept], own[kept]) for own in labels) < 0.7
    assert adjusted_rand_score(truth[kept], np.asarray(found.labels)[kept]) > 0.9


def test_many_at_once():
    sets = np.stack([noisy(seed, 0.4)[1] for seed in (1, 2)])
    keys = jax.random.split(KEY, 2)
    found = jax.vmap(lambda labels, key: mj.consensus(labels, key, num_clusters=4))(sets, keys)
    for labels, key, own, rounds in zip(sets, keys, found.labels, found.num_rounds, strict=True):
        alone = mj.consensus(labels, key, num_clusters=4)
        assert adjusted_rand_score(alone.labels, own) == 1
        assert int(rounds) == int(alone.num_rounds)


def test_rounds_are_bounded(monkeypatch):
    """Of none the first partition is left, of one the best of those that it made."""
    monkeypatch.setattr(own_file, "MOST_ROUNDS", 0)
    labels = noisy(1, 0.4, num_partitions=3)[1]
    found = mj.consensus(labels, KEY, num_clusters=4)
    np.testing.assert_array_equal(found.labels, labels[0])
    assert not found.converged
    monkeypatch.setattr(own_file, "MOST_ROUNDS", 1)
    found = mj.consensus(noisy(2, 0.7, num_partitions=5)[1], KEY, num_clusters=4)
    chance = float(found.agreement.sum()) / (40 * 39)
    how = {"num_clusters": 4, "num_restarts": 5, "gamma": chance, "null": "uniform"}
    made = mj.cluster_signed(found.agreement, jax.random.fold_in(KEY, 0), **how)
    np.testing.assert_array_equal(found.labels, made.labels)
    assert float(made.values.max()) > float(made.values.min()) + 1e-3
    assert not found.converged


@pytest.mark.parametrize(
    ("labels", "num_clusters", "message"),
    [
        ([0, 1], 2, r"labels must have shape \[X, N\] with N of at least 2, got \(2,\)"),
        ([[0, 1]], 3, r"labels must have shape \[X, N\] with N of at least 3, got \(1, 2\)"),
        ([[0.5, 1]], 2, "labels must be integers"),
        ([[0, 2]], 2, r"labels must lie in -1\.\.1, got 0\.\.2"),
        ([[0, 1]], 1, "num_clusters must be at least 2, got 1"),
    ],
)
def test_what_is_refused(labels, num_clusters, message):
    with pytest.raises(ValueError, match=message):
        mj.consensus(labels, KEY, num_clusters=num_clusters)
