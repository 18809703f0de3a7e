"""Every jitted entry point lowers for GPU and TPU: nothing of it is for the CPU only."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from tests.metric import nets

NET = nets.random_net(0, (6, 5, 4))
WIDE = nets.random_net(0, (300, 200, 10))
EDGES = nets.sparse_twin(NET)
RECURRENT = nets.recurrent_net(0)
ACTIVITY = [np.random.default_rng(0).normal(size=(12, width)).astype(np.float32) for width in (6, 5, 4)]
ACTIVE = mj.activation_graph(ACTIVITY, cross_validated=True)


def lowered(fn, graph):
    """Text of the program that would run on either; keys travel as raw words."""
    call = jax.jit(
        lambda leaves, words: fn(jax.tree.unflatten(jax.tree.structure(graph), leaves), jax.random.wrap_key_data(words))
    )
    exported = jax.export.export(call, platforms=["cuda", "tpu"])(
        jax.tree.leaves(graph), jax.random.key_data(jax.random.key(0))
    )
    assert exported.platforms == ("cuda", "tpu")
    return exported.mlir_module()


@pytest.mark.parametrize("solver", ["eigh", "krylov"])
@pytest.mark.parametrize("graph", [NET, EDGES], ids=["layered", "sparse"])
def test_cluster(graph, solver):
    text = lowered(lambda g, key: mj.cluster(g, key, num_clusters=3, solver=solver), graph)
    assert "lapack" not in text


def test_cluster_locally():
    lowered(lambda g, key: mj.cluster_locally(g, key, num_clusters=3, counts=[2]), NET)


def test_cluster_above_the_dense_size():
    assert "lapack" not in lowered(lambda g, key: mj.cluster(g, key, num_clusters=3), WIDE)


@pytest.mark.parametrize(
    ("graph", "method"), [*((NET, m) for m in nets.WEIGHT_METHODS), (EDGES, "layer_nonzero"), (ACTIVE, "samples")]
)
def test_shuffle(graph, method):
    lowered(lambda g, key: mj.shuffle(g, key, method=method), graph)


@pytest.mark.parametrize("graph", [NET, EDGES, RECURRENT], ids=["layered", "sparse", "recurrent"])
def test_shuffle_test(graph):
    def run(g, key):
        return mj.shuffle_test(g, key, num_clusters=3, num_shuffles=5, method="layer_nonzero", shuffles_per_group=2)

    assert "lapack" not in lowered(run, graph)


def test_shuffle_test_of_activations():
    def run(layers, key):
        graph = mj.activation_graph(layers, cross_validated=True)
        return mj.shuffle_test(graph, key, num_clusters=3, num_shuffles=5, method="samples", shuffles_per_group=2)

    assert "lapack" not in lowered(run, ACTIVITY)


def test_robustness():
    def run(g, key):
        return mj.robustness(g, key, num_clusters=3, num_shares=3, num_rewirings=5, rewirings_per_group=2)

    assert "lapack" not in lowered(run, NET)


@pytest.mark.parametrize("graph", [NET, EDGES, RECURRENT, ACTIVE], ids=["layered", "sparse", "recurrent", "dense"])
def test_modularity(graph):
    def run(g, key):
        found = mj.cluster(g, key, num_clusters=3, measure="modularity")
        return found, mj.modularity(g, found.labels, num_clusters=3)

    assert "lapack" not in lowered(run, graph)


def test_ncut_and_its_gradient():
    labels = jnp.arange(NET.num_nodes) % 3
    lowered(lambda g, key: jax.grad(lambda h: mj.ncut(h, labels, num_clusters=3))(g), NET)
