"""Part of a network's wiring: what is taken out, and that all places that are free then are as likely."""

import collections
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.metric.rewiring import rewired
from tests.conftest import OPTIMISED
from tests.metric import nets

COUNT = 100
draw = jax.jit(jax.vmap(rewired, in_axes=(None, 0, None)))
draw_many = jax.jit(jax.vmap(rewired, in_axes=(None, 0, None)), compiler_options=OPTIMISED)

HOLED = mj.LayeredGraph.from_weights(nets.holed_weights())


def drawn(graph, seed, share, draw=draw, count=COUNT):
    """Kernels of `count` rewirings, each [count, d_in, d_out]."""
    return [np.asarray(w) for w in draw(graph, nets.keys(seed, count), jnp.float32(share)).affinities]


def law(values, share):
    """Probability of each arrangement of a line of values, 0 for none, by going through all that may happen."""
    found = collections.Counter()
    held = np.flatnonzero(values)
    for choice in itertools.product([False, True], repeat=held.size):
        taken = held[np.array(choice)]
        odds = share ** len(taken) * (1 - share) ** (held.size - len(taken))
        free = sorted({*np.flatnonzero(np.equal(values, 0)), *taken})
        for places in itertools.permutations(free, len(taken)):
            after = np.array(values)
            after[taken] = 0
            after[list(places)] = np.array(values)[taken]
            found[tuple(after.tolist())] += odds / math.perm(len(free), len(taken))
    return found


@pytest.mark.parametrize("values", [(1, 2, 3, 4), (1, 0, 2, 0), (0, 0, 0, 5)], ids=["dense", "half", "single"])
@pytest.mark.parametrize("share", [0.25, 0.7, 1])
def test_arrangements_are_as_likely_as_they_should_be(values, share):
    """2 x 2 connected neurons among isolated ones; a second kernel connects those without a weight."""
    first, second = np.zeros((3, 3)), np.zeros((3, 5))
    first[np.ix_([0, 2], [0, 1])] = np.reshape(values, (2, 2))
    first[[0, 2], [0, 0]] += np.equal(first[[0, 2]].sum(axis=1), 0) * 9  # no neuron without a weight before it
    second[:2, 0] = 1
    values = first[np.ix_([0, 2], [0, 1])].reshape(-1).astype(int)
    kernels = drawn(mj.LayeredGraph.from_weights([first, second]), 0, share, draw_many, 20_000)[0]
    assert (kernels[:, 1] == 0).all()
    assert (kernels[:, :, 2] == 0).all()
    seen = collections.Counter(map(tuple, kernels[:, [0, 2], :2].reshape(-1, 4).astype(int).tolist()))
    expected = law(tuple(values.tolist()), share)
    assert set(seen) <= set(expected)
    nets.assert_counts([seen[key] for key in expected], [20_000 * odds for odds in expected.values()])


def test_no_share_is_the_network_itself():
    for kernels, before in zip(drawn(HOLED, 0, 0), HOLED.affinities, strict=True):
        np.testing.assert_array_equal(kernels, np.broadcast_to(before, kernels.shape))


@pytest.mark.parametrize("share", [0.3, 1])
def test_kernels_keep_their_weights_and_isolated_neurons_stay_so(share):
    connected = [np.asarray(part) > 0 for part in HOLED.split(HOLED.degrees())]
    for index, (kernels, before) in enumerate(zip(drawn(HOLED, 1, share), HOLED.affinities, strict=True)):
        expected = np.broadcast_to(np.sort(before, axis=None), (COUNT, before.size))
        np.testing.assert_array_equal(np.sort(kernels.reshape(COUNT, -1), axis=1), expected)
        assert (kernels[:, ~connected[index]] == 0).all()
        assert (kernels[:, :, ~connected[index + 1]] == 0).all()


@pytest.mark.parametrize("density", [0.1, 1])
def test_as_many_weights_move_as_the_share_says_in_each_kernel_on_its_own(density):
    """A weight stays if it is not taken out, or comes back to its own of all the free places."""
    before, share = np.abs(nets.random_weights(0, (20, 20), density)[0]), 0.4
    kernels = drawn(mj.LayeredGraph.from_weights([before, before]), 2, share)
    weights, places = np.count_nonzero(before), before.size
    odds = 1 - share + share / (places - (1 - share) * weights)
    assert not (kernels[0] == kernels[1]).all(axis=(1, 2)).any()
    for kernel in kernels:
        stayed = ((before > 0) & (kernel == before)).sum()
        assert abs(stayed - COUNT * weights * odds) < 4 * math.sqrt(COUNT * weights * odds * (1 - odds))


@pytest.mark.bits
def test_a_rewiring_does_not_depend_on_those_beside_it():
    alone = jax.jit(rewired)(HOLED, nets.keys(1, COUNT)[17], jnp.float32(0.3))
    for kernels, one in zip(drawn(HOLED, 1, 0.3), alone.affinities, strict=True):
        np.testing.assert_array_equal(one, kernels[17])


def matrix_of_groups():
    rng = np.random.default_rng(5)
    upper = np.triu(rng.uniform(0.1, 1, (9, 9)) * (rng.random((9, 9)) < 0.6), 1)
    return mj.DenseGraph.from_matrix(upper + upper.T, widths=(5, 4))


@pytest.mark.parametrize("graph", [nets.recurrent_net(0), matrix_of_groups()], ids=["recurrent", "matrix"])
@pytest.mark.parametrize("share", [0.5, 1])
def test_blocks_of_a_group_with_itself(graph, share):
    """Of a symmetric matrix such a block holds each edge once, above the diagonal."""
    changed = jax.jit(rewired)(graph, jax.random.key(4), jnp.float32(share))
    for after, before in zip(changed.blocks(), graph.blocks(), strict=True):
        np.testing.assert_array_equal(np.sort(after.weights, axis=None), np.sort(before.weights, axis=None))
        assert (np.asarray(after.weights) != np.asarray(before.weights)).mean() > 0.1
