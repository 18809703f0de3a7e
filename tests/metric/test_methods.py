"""A control of one's own: one entry, from outside the package."""

import jax
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.runs.config import from_dict
from tests.metric import nets
from tests.plugs.control import METHOD


@pytest.fixture
def mine(monkeypatch):
    monkeypatch.setitem(mj.METHODS, "all_of_it", METHOD)
    return "all_of_it"


def test_a_method_of_ones_own_is_shuffled_by(mine):
    net = nets.random_net(0, (12, 10, 8), 0.15)
    assert not net.connected().all()
    found = mj.shuffle(net, jax.random.key(1), method=mine)
    for before, after in zip(net.affinities, found.affinities, strict=True):
        np.testing.assert_array_equal(np.sort(before, axis=None), np.sort(after, axis=None))
    assert (found.connected() & ~net.connected()).any()  # which no method of the library does
    under_jit = jax.jit(lambda net: mj.shuffle(net, jax.random.key(1), method=mine))(net)
    for one, other in zip(found.affinities, under_jit.affinities, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_tested_against_and_named_in_configs(mine):
    net = nets.random_net(0, (12, 10, 8), 0.5)
    test = mj.shuffle_test(net, jax.random.key(1), num_clusters=3, num_shuffles=4, method=mine)
    assert np.isfinite(test.controls).all()
    assert from_dict({"cluster": {"methods": [mine]}}).cluster.methods == (mine,)


def test_of_a_list_only_those_that_are_defined_for_it(mine):
    edges = mj.SparseGraph.from_edges([0, 1], [1, 2], [1.0, 2.0], num_nodes=3)
    known = "layer_nonzero, layer_nonzero_distribution, edges, samples"
    with pytest.raises(ValueError, match=rf"^method \(of a SparseGraph\) must be one of {known}, got 'all_of_it'"):
        mj.shuffle(edges, jax.random.key(0), method=mine)
