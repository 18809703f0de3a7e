"""Signed modularity: by hand, by networkx on each sign, all partitions of small matrices, modules that are there."""

import itertools

import igraph
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import modularity_jax as mj

KEY = jax.random.key(0)


def random_matrix(seed, size):
    half = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    return half + half.T


def slow(matrix, labels, gamma, null):
    """Q by its definition, pair by pair."""
    w = np.array(matrix, np.float64)
    np.fill_diagonal(w, 0)
    plus, minus, total, q = np.maximum(w, 0), np.maximum(-w, 0), abs(w).sum(), 0.0
    for i, j in itertools.product(range(len(w)), repeat=2):
        if labels[i] != labels[j] or labels[i] < 0:
            continue
        if null == "uniform":
            q += (w[i, j] - gamma * (w[i].any() and w[j].any())) / total if i != j else 0
        else:
            q += (plus[i, j] - gamma * plus[i].sum() * plus[j].sum() / plus.sum()) / plus.sum()
            q -= (minus[i, j] - gamma * minus[i].sum() * minus[j].sum() / minus.sum()) / total
    return q


@pytest.mark.parametrize("null", ["strengths", "uniform"])
def test_by_its_definition(null):
    """-1 is no cluster; the diagonal and, under the strengths' null, the scale do not count."""
    matrix, labels = random_matrix(0, 9), np.array([0, 1, 2, 0, -1, 1, 2, 0, 0])
    matrix[3] = matrix[:, 3] = 0
    for gamma in (1.0, 0.3):
        found = float(mj.signed_modularity(matrix, labels, num_clusters=3, gamma=gamma, null=null))
        assert found == pytest.approx(slow(matrix, labels, gamma, null), abs=1e-6)
    assert found == pytest.approx(
        float(mj.signed_modularity(matrix + np.eye(9), labels, num_clusters=3, gamma=gamma, null=null)), abs=1e-6
    )
    default = float(mj.signed_modularity(matrix, labels, num_clusters=3, null=null))
    assert default == pytest.approx(slow(matrix, labels, {"strengths": 1, "uniform": 0}[null], null), abs=1e-6)
    larger = mj.signed_modularity(1e30 * matrix, labels, num_clusters=3, null=null)
    assert float(larger) == pytest.approx(default, abs=1e-6)
    assert float(mj.signed_modularity(0 * matrix, labels, num_clusters=3, null=null)) == 0


def test_two_pairs_by_hand():
    """Two pairs, +1 within and -1 between them: Q+ = 1/2, Q- = -1/2, of which 8/12 count."""
    matrix = np.kron(np.array([[1, -1], [-1, 1]]), np.ones((2, 2)))
    found = mj.signed_modularity(matrix, [0, 0, 1, 1], num_clusters=2)
    assert float(found) == pytest.approx(1 / 2 + 8 / 12 / 2, abs=1e-6)


@pytest.mark.parametrize("gamma", [1.0, 1.7])
def test_networkx_and_igraph_on_each_sign(gamma):
    matrix, labels = random_matrix(1, 20), np.random.default_rng(1).integers(0, 3, 20)
    np.fill_diagonal(matrix, 0)
    parts = [np.maximum(matrix, 0).astype(float), np.maximum(-matrix, 0).astype(float)]
    sets = [set(np.flatnonzero(labels == c).tolist()) for c in range(3)]
    plus, minus = (nx.community.modularity(nx.from_numpy_array(own), sets, resolution=gamma) for own in parts)
    expected = plus - parts[1].sum() / (parts[0].sum() + parts[1].sum()) * minus
    found = float(mj.signed_modularity(matrix, labels, num_clusters=3, gamma=gamma))
    assert found == pytest.approx(expected, abs=1e-6)
    theirs = igraph.Graph.Weighted_Adjacency(parts[0], mode="undirected")
    of_positive = float(mj.signed_modularity(parts[0], labels, num_clusters=3, gamma=gamma))
    assert of_positive == pytest.approx(theirs.modularity(labels, theirs.es["weight"], gamma), abs=1e-6)


def test_the_best_of_the_karate_club_from_every_key():
    """Without a negative entry it is Newman's; the best is known by an integer program; more clusters do no harm."""
    matrix, keys = nx.to_numpy_array(nx.karate_club_graph(), weight=None), jax.vmap(jax.random.key)(np.arange(8))
    found = jax.vmap(lambda key: mj.cluster_signed(matrix, key, num_clusters=6))(keys)
    np.testing.assert_allclose(found.value, 0.419790, atol=1e-6)
    assert found.restarts.shape == (8, 10, 34)


@pytest.mark.parametrize("null", ["strengths", "uniform"])
def test_all_partitions_of_a_small_matrix(null):
    """Into three parts or fewer: none is better; each restart's value is its own, and the best is given."""
    everything = np.array(list(itertools.product(range(3), repeat=7)), np.int32)
    for seed in range(4):
        matrix = random_matrix(seed, 8)
        matrix[7] = matrix[:, 7] = 0  # a unit without an entry
        labels = np.pad(everything, ((0, 0), (0, 1)), constant_values=-1)
        value = jax.vmap(lambda own, matrix=matrix: mj.signed_modularity(matrix, own, num_clusters=3, null=null))
        found = mj.cluster_signed(matrix, jax.random.key(seed), num_clusters=3, null=null)
        assert float(found.value) == pytest.approx(float(value(labels).max()), abs=1e-6)
        np.testing.assert_allclose(value(found.restarts), found.values, atol=1e-6)
        assert float(found.values.max()) == float(found.value)
        assert (np.asarray(found.restarts)[:, 7] == -1).all()
        assert (np.asarray(found.labels)[:7] >= 0).all()


def test_planted_modules_that_work_against_each_other():
    """Noise hides the signs of a third of all pairs; the order of the units changes nothing."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.arange(60) % 3)
    matrix = np.where(truth[:, None] == truth[None], 0.3, -0.1) + 0.3 * random_matrix(2, 60)
    found = mj.cluster_signed(matrix, KEY, num_clusters=5)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    order = rng.permutation(60)
    moved = mj.cluster_signed(matrix[order][:, order], KEY, num_clusters=5)
    assert float(moved.value) == pytest.approx(float(found.value), abs=5e-3)
    assert adjusted_rand_score(truth[order], moved.labels) > 0.9


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"matrix": np.ones((3, 4))}, r"matrix must have shape \[N, N\], got \(3, 4\)"),
        ({"matrix": np.tri(3)}, "matrix must be symmetric, got entries that differ from their mirror by 1"),
        ({"matrix": np.full((3, 3), np.nan)}, "matrix must be finite"),
        ({"num_clusters": 1}, "num_clusters must be at least 2, got 1"),
        ({"num_clusters": 4}, "num_clusters must be at most the number of units, 3, got 4"),
        ({"gamma": -1}, "gamma must be a finite number of at least 0, got -1"),
        ({"null": "none"}, "null must be one of strengths, uniform, got 'none'"),
        ({"num_restarts": 0}, "num_restarts must be at least 1, got 0"),
        ({"key": 3}, "key must be one key"),
    ],
)
def test_what_is_refused(more, message):
    given = {"matrix": np.ones((3, 3)), "key": KEY, "num_clusters": 2} | more
    with pytest.raises(ValueError, match=message):
        mj.cluster_signed(given.pop("matrix"), given.pop("key"), **given)


def test_labels_that_are_refused():
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\)"):
        mj.signed_modularity(np.ones((3, 3)), [0, 1], num_clusters=2)
    with pytest.raises(ValueError, match=r"labels must lie in -1\.\.1, got 0\.\.2"):
        mj.signed_modularity(jnp.ones((3, 3)), [0, 1, 2], num_clusters=2)
