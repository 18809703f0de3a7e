"""Refinement of the n-cut: against a search that moves one vertex after the other, and what it must never do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.metric.refinement import NUM_REFINED, refined
from tests.metric import nets

WIDTHS = (48, 32, 32, 10)


def graphs(kind, seed):
    """A pruned network whose neurons differ in strength, by its layers, by its two sides or as a list of edges."""
    weights = nets.random_weights(seed, WIDTHS, 0.3)
    rng = np.random.default_rng(seed)
    graph = mj.LayeredGraph.from_weights([w * np.exp(rng.normal(size=(len(w), 1))) for w in weights])
    return {"layers": graph, "sides": graph.formed(), "list": nets.sparse_twin(graph)}[kind]


def searched(adjacency, labels, num_clusters):
    """Labels after moves of one vertex after the other, in turn, until none lowers the n-cut."""
    labels, degrees = labels.copy(), adjacency.sum(axis=0)
    members = np.eye(num_clusters)[labels]
    received, volumes, sizes = adjacency @ members, degrees @ members, members.sum(axis=0)
    inside = (received * members).sum(axis=0)
    moved = True
    while moved:
        moved = False
        for vertex in np.flatnonzero(degrees > 0):
            own = labels[vertex]
            if sizes[own] == 1:
                continue
            share = inside / volumes
            gain = (inside + 2 * received[vertex]) / (volumes + degrees[vertex]) - share
            gain += (inside[own] - 2 * received[vertex, own]) / (volumes[own] - degrees[vertex]) - share[own]
            gain[own] = 0
            best = gain.argmax()
            if gain[best] > 1e-9:
                inside[own] -= 2 * received[vertex, own]
                inside[best] += 2 * received[vertex, best]
                for cluster, sign in ((own, -1), (best, 1)):
                    volumes[cluster] += sign * degrees[vertex]
                    sizes[cluster] += sign
                    received[:, cluster] += sign * adjacency[:, vertex]
                labels[vertex], moved = best, True
    return labels


def starts(graph, num_clusters, number):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.integers(0, num_clusters, (number, graph.num_nodes)), jnp.int32)


@pytest.mark.parametrize("kind", ["layers", "sides", "list"])
def test_as_low_as_moving_one_vertex_after_the_other(kind):
    """From the same starts, on average: single ones end in other optima."""
    ours, theirs = [], []
    run = jax.jit(refined, static_argnums=2)
    for seed in range(5):
        graph = graphs(kind, seed)
        adjacency = np.asarray(graph.matvec(jnp.eye(graph.num_nodes)), np.float64)
        for start in starts(graph, 4, 6):
            theirs.append(nets.slow_ncut(adjacency, searched(adjacency, np.asarray(start), 4), 4))
            ours.append(nets.slow_ncut(adjacency, np.asarray(run(graph, start[None], 4))[0], 4))
    assert np.mean(ours) < 1.02 * np.mean(theirs)


@pytest.mark.parametrize("kind", ["sides", "list"])
def test_moves_never_raise_it_nor_empty_a_cluster(kind):
    for seed in range(4):
        graph = graphs(kind, seed)
        for size in (2, 7):
            given = starts(graph, size, 1)
            found = refined(graph, given, size)
            before, after = (float(batched_ncut(graph, rows, num_clusters=size)[0]) for rows in (given, found))
            assert after < before
            connected = np.asarray(graph.degrees()) > 0
            assert len(np.unique(np.asarray(found)[0, connected])) == size


@pytest.mark.parametrize("twin", [lambda graph: graph, nets.sparse_twin])
def test_no_move_opens_a_cluster_that_has_no_member(twin):
    """Though K less the n-cut would be higher with a neuron that meets all modules alike in a cluster of its own."""
    weights = nets.planted_weights(0, (16, 12, 8), 4, noise=0)
    weights[0][:, 5] = weights[1][5] = 1
    graph = twin(mj.LayeredGraph.from_weights(weights))
    truth = jnp.asarray(np.concatenate([nets.block_labels(width, 4) for width in (16, 12, 8)]), jnp.int32)[None]
    lone = truth.at[0, 16 + 5].set(4)
    before, after = (float(batched_ncut(graph, labels, num_clusters=7)[0]) for labels in (truth, lone))
    assert 5 - after > 4 - before
    assert set(np.asarray(refined(graph, truth, 7))[0]) == {0, 1, 2, 3}


def test_a_partition_that_cannot_be_better_stays():
    weights = nets.planted_weights(0, (16, 12, 8), 4)
    truth = np.concatenate([nets.block_labels(width, 4) for width in (16, 12, 8)])
    graph = mj.LayeredGraph.from_weights(weights)
    found = refined(graph, jnp.asarray(truth, jnp.int32)[None], 4)
    np.testing.assert_array_equal(found[0], truth)


def test_the_best_after_a_round_are_moved_on():
    graph = graphs("sides", 0)
    assert refined(graph, starts(graph, 3, 5), 3).shape == (NUM_REFINED, graph.num_nodes)
    assert refined(graph, starts(graph, 3, 1), 3).shape == (1, graph.num_nodes)


@pytest.mark.parametrize("num_clusters", [2, 4, 7])
def test_lower_than_without_it_and_the_bound_holds(num_clusters):
    for seed in range(4):
        graph, key = graphs("layers", seed), jax.random.key(seed)
        with_it, without = (mj.cluster(graph, key, num_clusters=num_clusters, refine=on) for on in (True, False))
        assert with_it.ncut <= without.ncut
        assert with_it.ncut >= with_it.lower_bound
        np.testing.assert_allclose(with_it.lower_bound, without.lower_bound, rtol=1e-5)


def test_any_scale_gives_the_same_partition():
    weights = nets.random_weights(3, WIDTHS, 0.3)
    found = [
        mj.cluster(mj.LayeredGraph.from_weights([w * scale for w in weights]), jax.random.key(0), num_clusters=4)
        for scale in (1, 2.0**60, 2.0**-60)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other.labels, found[0].labels)


def test_it_is_on_or_off():
    with pytest.raises(ValueError, match=r"^refine must be True or False, got 'no'"):
        mj.cluster(graphs("layers", 0), jax.random.key(0), num_clusters=2, refine="no")
