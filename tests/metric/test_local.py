"""Local partitionings: planted modules that differ from layer to layer, and clusterings of each sub-graph."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.graphs.neighbourhoods import between_ends
from modularity_jax.metric.items import partition_alone
from modularity_jax.metric.settings import Settings
from modularity_jax.runs.compilation import CompileWatch
from tests.metric import nets

WIDTHS = (24, 24, 24, 24, 24)
HIDDEN = between_ends(WIDTHS)
MODULES = (4, 4, 2, 4, 4)
SETTINGS = {"num_clusters": 4, "num_restarts": 3}


def planted(seed, widths=WIDTHS, modules=MODULES, noise=0.02):
    """Kernels, and the module of each unit: in every layer units are dealt to modules anew.

    A kernel is strong between a module and the same one of the next layer, or the one that holds both its halves.
    """
    rng = np.random.default_rng(seed)
    truth = [rng.permutation(np.arange(width) % number) for width, number in zip(widths, modules, strict=True)]
    kernels = []
    for layer, (a, b) in enumerate(itertools.pairwise(truth)):
        fewest = min(modules[layer : layer + 2])
        coarse = [own * fewest // number for own, number in zip((a, b), modules[layer : layer + 2], strict=True)]
        strong = coarse[0][:, None] == coarse[1][None, :]
        kernels.append((rng.uniform(0.5, 1.5, strong.shape) * np.where(strong, 1, noise)).astype(np.float32))
    return kernels, truth


@functools.cache
def network(seed):
    kernels, truth = planted(seed)
    return mj.LayeredGraph.from_weights(kernels), truth


def locally(graph, seed=0, counts=MODULES[1:-1], **how):
    return mj.cluster_locally(graph, jax.random.key(seed), counts=counts, **SETTINGS | how)


def hidden(found, layers=HIDDEN):
    return [np.asarray(found.labels[layer]) for layer in layers]


def test_each_layers_own_modules_are_found():
    for seed in range(3):
        graph, truth = network(seed)
        found = locally(graph, seed)
        for layer, labels in enumerate(hidden(found), 1):
            assert nets.same_partition(labels, truth[layer])
            for other in (layer - 1, layer + 1):  # so that labels of the layer next to it would fail
                assert mj.adjusted_rand(truth[layer], truth[other]) < 0.5
        assert (np.asarray(found.labels[:24]) == -1).all()
        assert (np.asarray(found.labels[-24:]) == -1).all()
        assert found.num_clusters.tolist() == list(MODULES[1:-1])
        assert found.converged.all()


def test_layers_of_other_widths_and_a_dead_unit():
    """Each neighbourhood is filled up with isolated units to one shape; a unit without an edge has no label."""
    widths, modules = (30, 12, 20, 16, 8), (2, 2, 4, 4, 4)
    kernels, truth = planted(5, widths, modules)
    kernels[1][:, 7] = kernels[2][7] = 0
    found = locally(mj.LayeredGraph.from_weights(kernels), counts=modules[1:-1])
    for layer, labels in enumerate(hidden(found, between_ends(widths)), 1):
        dead = np.flatnonzero(labels == -1)
        assert dead.tolist() == ([7] if layer == 2 else [])
        assert nets.same_partition(np.delete(labels, dead), np.delete(truth[layer], dead))
    assert found.labels.shape == (sum(widths),)


def test_a_layer_is_clustered_as_its_sub_graph_is():
    """By the key folded with its number; of random networks, from one start, so that another key finds another cut."""
    settings, differ = Settings(4, 1, "ncut", "auto", True), []
    for seed in range(4):
        kernels, key = nets.random_weights(seed, WIDTHS, 0.3), jax.random.key(seed)
        found = locally(mj.LayeredGraph.from_weights(kernels), seed, (3, 2, 4), num_restarts=1)
        for layer, used in enumerate((3, 2, 4), 1):
            own = mj.LayeredGraph.from_weights(kernels[layer - 1 : layer + 1])
            folded = [jax.random.fold_in(key, number) for number in (layer, layer + 1)]
            expected, other = (partition_alone(own, k, settings, jnp.int32(used)) for k in folded)
            np.testing.assert_allclose(found.ncut[layer - 1], expected.value, rtol=1e-4)
            differ.append(abs(other.value - expected.value) > 1e-3 * expected.value)
    assert np.mean(differ) > 0.5


def test_counts_are_honoured():
    for seed, counts in enumerate([(1, 1, 1), (4, 1, 3), (2, 3, 0)]):
        found = locally(network(seed)[0], counts=np.asarray(counts))
        expected = np.maximum(counts, 1)
        assert found.num_clusters.tolist() == expected.tolist()
        for labels, count in zip(hidden(found), expected, strict=True):
            assert labels.min() >= 0
            assert labels.max() < count
        np.testing.assert_allclose(found.ncut[expected == 1], 0, atol=1e-5)


def test_no_more_clusters_than_connected_vertices():
    kernels = [np.zeros(shape, np.float32) for shape in itertools.pairwise(WIDTHS)]
    kernels[0][:2, :2] = np.eye(2)  # 4 vertices around layer 1, 2 around layer 2 below, none around layer 3
    kernels[2][3, 3] = 1
    graph = mj.LayeredGraph.from_weights(kernels)
    found = locally(graph, counts=(4, 4, 4))
    assert found.num_clusters.tolist() == [4, 2, 2]
    np.testing.assert_array_equal(np.flatnonzero(found.labels >= 0), [24, 25, 2 * 24 + 3, 3 * 24 + 3])
    lone = locally(
        mj.LayeredGraph.from_weights([kernels[0], *(0 * kernel for kernel in kernels[1:])]), counts=(4, 4, 4)
    )
    assert lone.num_clusters.tolist() == [4, 1, 1]
    np.testing.assert_array_equal(np.flatnonzero(lone.labels >= 0), [24, 25])
    assert np.isfinite(np.asarray(lone.ncut)).all()


def test_one_program_for_networks_and_counts_of_a_shape():
    locally(network(0)[0])
    others = [network(1)[0], network(2)[0]]
    with CompileWatch() as watch:
        locally(others[0], counts=(2, 1, 4))
        locally(others[1], counts=[3, 3, 3])
    assert watch.programs == []


@pytest.mark.bits
@pytest.mark.parametrize("devices", [2])
def test_same_bits_on_any_number_of_devices(devices):
    mesh = jax.make_mesh((devices,), ("layer",), devices=jax.devices()[:devices])
    found, expected = locally(network(0)[0], mesh=mesh), locally(network(0)[0])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_vmap_is_a_loop():
    graphs = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(network(seed)[0] for seed in range(2)))
    counts = jnp.asarray([[4, 2, 4], [4, 1, 4]])
    keys = jnp.stack([jax.random.key(seed) for seed in range(2)])

    def one(graph, key, counts):
        return mj.cluster_locally(graph, key, counts=counts, **SETTINGS)

    found = jax.vmap(one)(graphs, keys, counts)
    for seed in range(2):
        alone = locally(network(seed)[0], seed, counts[seed])
        np.testing.assert_array_equal(found.labels[seed], alone.labels)
        np.testing.assert_array_equal(found.num_clusters[seed], alone.num_clusters)
        np.testing.assert_allclose(found.ncut[seed], alone.ncut, rtol=1e-5, atol=1e-6)


def test_counts_by_layer():
    labels = [0, 1, 2, -1, 5, 5, 0, -1, -1, 3]
    assert mj.counts_by_layer(labels, (3, 4, 2, 1)) == [2, 0]
    assert mj.counts_by_layer(labels, (9, 1)) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"graph": [np.ones((3, 3))]}, r"^graph must be a LayeredGraph, .*, got list"),
        ({"graph": nets.random_net(0, (6, 5))}, r"^graph must have hidden layers, as a .*, got a LayeredGraph without"),
        ({"graph": nets.sparse_twin(nets.random_net(0, (6, 5, 4)))}, r"^graph must have hidden layers, .* SparseGraph"),
        ({"counts": [2, 2]}, r"^counts must have shape \(3,\), one per hidden layer, got \(2,\)"),
        ({"counts": 2}, r"^counts must have shape \(3,\), one per hidden layer, got \(\)"),
        ({"counts": [2.0, 2, 2]}, r"^counts must be integers, got float"),
        ({"counts": [2, 5, 2]}, r"^counts must lie in 0..4, got 2..5"),
        ({"counts": [2, -1, 2]}, r"^counts must lie in 0..4, got -1..2"),
        ({"num_clusters": 1}, r"^num_clusters must be at least 2, got 1"),
        ({"num_restarts": 0}, r"^num_restarts must be at least 1, got 0"),
        ({"refine": 1}, r"^refine must be True or False, got 1"),
        ({"key": 3}, r"^key must be one key, as jax.random.key\(0\) is, got int"),
        ({"mesh": 3}, r"^mesh must have one axis, .*, got int"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.cluster_locally(
            **{"graph": network(0)[0], "key": jax.random.key(0), "counts": [4, 2, 4], **SETTINGS} | arguments
        )


@pytest.mark.parametrize(
    ("labels", "text"),
    [([0, 1], r"^labels must have shape \(3,\), one per unit, got \(2,\)"), ([0, 1, 0.5], r"^labels must be integers")],
)
def test_labels_that_cannot_be_counted(labels, text):
    with pytest.raises(ValueError, match=text):
        mj.counts_by_layer(labels, (1, 1, 1))
