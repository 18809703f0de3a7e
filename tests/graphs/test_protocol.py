"""A kind of graph of one's own, from outside the package: a class with the protocol, and nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.graphs.nulls import null_of_degrees
from modularity_jax.graphs.protocol import Block
from tests.metric import nets


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ring:
    """Vertex i meets vertex i + 1, the last one the first; weights [N]."""

    weights: jax.Array

    @property
    def num_nodes(self):
        return self.weights.size

    size = num_nodes

    def degrees(self):
        return self.weights + jnp.roll(self.weights, 1)

    def matvec(self, x):
        weights = self.weights[None]
        return weights * jnp.roll(x, -1, axis=-1) + jnp.roll(weights * x, 1, axis=-1)

    def sides(self):
        return None

    def null(self):
        return null_of_degrees(self.degrees())

    def blocks(self):
        return [Block(self.weights, None, None)]

    def with_weights(self, weights):
        return Ring(weights)

    def form(self):
        return RingForm()

    def formed(self):
        return self

    def connected(self):
        return np.asarray(self.degrees()) > 0

    def ends(self):
        first = np.flatnonzero(np.asarray(self.weights))
        return first, (first + 1) % self.num_nodes

    def neighbour_min(self, values):
        there = self.weights > 0
        most = jnp.iinfo(values.dtype).max
        after = jnp.where(there, jnp.roll(values, -1), most)
        return jnp.minimum(after, jnp.where(jnp.roll(there, 1), jnp.roll(values, 1), most))


@dataclasses.dataclass(frozen=True)
class RingForm:
    """A ring as it is; its weights tell its length."""

    def places(self):
        return [np.arange(WEIGHTS.size, dtype=np.int32)]

    def build(self, weights):
        return Ring(weights)

    def order(self):
        return None


WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, 24).astype(np.float32)
WEIGHTS[[5, 11, 23]] = 0.01  # three modules
RING = Ring(jnp.asarray(WEIGHTS))
EDGES = mj.SparseGraph.from_edges(np.arange(24), np.arange(1, 25) % 24, WEIGHTS, num_nodes=24)


def test_it_is_cut_as_the_same_list_of_edges_is():
    found, listed = (mj.cluster(graph, jax.random.key(0), num_clusters=3) for graph in (RING, EDGES))
    np.testing.assert_allclose(found.ncut, listed.ncut, rtol=1e-5)
    np.testing.assert_allclose(found.eigenvalues, listed.eigenvalues, atol=1e-5)
    np.testing.assert_allclose(found.ncut, nets.slow_ncut(nets.dense(EDGES), np.asarray(found.labels), 3), rtol=1e-5)
    assert len(set(found.labels[:6].tolist())) == 1
    assert found.num_components == 1


@pytest.mark.parametrize("under_jit", [False, True])
def test_it_is_shuffled_and_tested(under_jit):
    def shuffled(graph):
        return mj.shuffle(graph, jax.random.key(1), method="layer_nonzero")

    def tested(graph):
        return mj.shuffle_test(graph, jax.random.key(2), num_clusters=3, num_shuffles=19, method="layer_nonzero")

    control, test = (jax.jit(fn)(RING) if under_jit else fn(RING) for fn in (shuffled, tested))
    np.testing.assert_array_equal(np.sort(control.weights), np.sort(WEIGHTS))
    assert (np.asarray(control.weights) != WEIGHTS).any()
    assert test.controls.shape == (19,)
    for index in (0, 7, 18):  # each the n-cut of a ring with these weights in another order
        key, _ = jax.random.split(jax.random.fold_in(jax.random.key(2), index))
        ring = mj.shuffle(EDGES, key, method="layer_nonzero")
        labels = mj.cluster(ring, jax.random.key(0), num_clusters=3).labels
        np.testing.assert_allclose(test.controls[index], mj.ncut(ring, labels, num_clusters=3), rtol=1e-3)


def test_what_has_no_lines_refuses_controls_by_rows():
    with pytest.raises(ValueError, match=r"^method \(of a Ring\) must be one of layer_nonzero, .* got 'row'$"):
        mj.shuffle(RING, jax.random.key(0), method="row")
