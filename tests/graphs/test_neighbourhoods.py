"""Neighbourhoods of hidden layers: of a chain of layers, and of a graph of one's own with edges within layers."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.graphs.neighbourhoods import Neighbourhoods, between_ends, diagonal_blocks
from modularity_jax.graphs.nulls import null_of_degrees
from modularity_jax.graphs.protocol import OwnForm
from tests.metric import nets


@pytest.mark.parametrize(
    ("widths", "places"), [((4,), []), ((4, 3), []), ((4, 3, 2), [range(4, 7)]), ((1, 2, 3, 4), [(1, 2), (3, 4, 5)])]
)
def test_hidden_layers_lie_between_the_ends(widths, places):
    nodes = range(sum(widths))
    assert [list(nodes[layer]) for layer in between_ends(widths)] == list(map(list, places))


@pytest.mark.parametrize("widths", [(7, 4, 6, 3, 5), (3, 9, 2), (6, 6, 6, 6)])
def test_they_are_the_adjacency_around_each_layer_and_nothing_else(widths):
    graph = nets.random_net(0, widths)
    whole, ends = nets.dense(graph), [0, *itertools.accumulate(widths)]
    found = graph.neighbourhoods()
    shape = [max(widths[first : first + len(widths) - 2]) for first in range(3)]
    for layer in range(1, len(widths) - 1):
        own = jax.tree.map(lambda leaf, layer=layer: leaf[layer - 1], found.graphs)
        assert list(own.widths) == shape
        starts = np.cumsum([0, *shape[:2]])
        assert found.middle == slice(starts[1], starts[2])
        kept = np.concatenate([start + np.arange(widths[layer + side]) for side, start in enumerate(starts, -1)])
        matrix = nets.dense(own)
        np.testing.assert_array_equal(
            matrix[np.ix_(kept, kept)], whole[ends[layer - 1] : ends[layer + 2], ends[layer - 1] : ends[layer + 2]]
        )
        assert np.delete(matrix, kept, axis=0).sum() == 0
        assert graph.hidden_layers[layer - 1] == slice(ends[layer], ends[layer + 1])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Correlations:
    """A graph of edges between all vertices, [N, N], as far as clustering asks for."""

    affinity: jax.Array
    widths: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    num_nodes = property(lambda self: self.affinity.shape[0])
    size = property(lambda self: self.affinity.size)
    hidden_layers = property(lambda self: between_ends(self.widths))
    neighbour_min = blocks = with_weights = None

    def degrees(self):
        return self.affinity.sum(axis=1)

    def matvec(self, x):
        return x @ self.affinity

    def sides(self):
        return None

    def null(self):
        return null_of_degrees(self.degrees())

    def connected(self):
        return np.asarray(self.degrees()) > 0

    def form(self):
        return OwnForm(self)

    def formed(self):
        return self

    def neighbourhoods(self):
        blocks = diagonal_blocks(self.affinity, self.hidden_layers)
        return Neighbourhoods(Correlations(blocks, blocks.shape[1:2]), slice(0, blocks.shape[1]))


def test_a_graph_within_layers_is_cut_layer_by_layer():
    """Edges between layers, which join other units than those within, do not matter."""
    widths, modules = (3, 12, 18, 9, 4), (1, 3, 2, 3, 1)
    rng = np.random.default_rng(0)
    truth = [rng.permutation(np.arange(width) % number) for width, number in zip(widths, modules, strict=True)]
    affinity = rng.uniform(0.5, 1, (sum(widths),) * 2)
    for layer, place in enumerate(between_ends(widths), 1):
        same = truth[layer][:, None] == truth[layer][None, :]
        affinity[place, place] = rng.uniform(0.5, 1, same.shape) * np.where(same, 1, 0.02)
    dead = 3 + 12 + 5
    affinity[dead] = affinity[:, dead] = 0
    graph = Correlations(jnp.asarray(affinity + affinity.T, jnp.float32) * (1 - jnp.eye(sum(widths))), widths)
    found = mj.cluster_locally(graph, jax.random.key(0), num_clusters=3, counts=modules[1:-1], num_restarts=3)
    expected = np.concatenate([np.full(3, -1), *truth[1:-1], np.full(4, -1)])
    assert found.labels[dead] == -1
    for place in between_ends(widths):
        live = np.setdiff1d(np.arange(place.start, place.stop), dead)
        assert nets.same_partition(found.labels[live], expected[live])
