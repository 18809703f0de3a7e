"""Spectral clusterability against full decompositions in NumPy and their central differences."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.csgraph

import modularity_jax as mj
from tests.metric import nets

STEP = 1e-5
WIDTHS = (9, 8, 6, 4)


def reference(adjacency, num_clusters, sided):
    """The value of a matrix [N, N], and how far the last eigenvalue of the sum is from the next one."""
    values = nets.spectrum(adjacency)[0]
    parts = scipy.sparse.csgraph.connected_components(adjacency)[0] - (adjacency.sum(axis=0) == 0).sum()
    np.testing.assert_allclose(values[:parts], 1, atol=1e-12)
    proper = np.pad(values[parts:], (0, num_clusters))
    proper = np.maximum(proper, 0) if sided else proper
    return (1 - proper[: num_clusters - 1]).sum(), proper[num_clusters - 2] - proper[num_clusters - 1]


def layers(weights):
    return mj.LayeredGraph.from_weights(weights)


def skip(weights):
    """x -> h -> y -> z, where z reads x, too: a circle of an odd number of groups."""
    return mj.wire(list(zip("xhx", "hyy", weights, strict=True)))


def edge_list(weights):
    senders, receivers, _ = nets.random_edges(5, 14, weights[0].size, num_parts=2, num_isolated=2)
    return mj.SparseGraph.from_edges(senders, receivers, weights[0], num_nodes=14)


def in_parts(seed, num_parts):
    """Kernels of a network in several components."""
    weights = nets.random_weights(seed, (8, 12, 8, 4))
    return [
        w * (nets.block_labels(w.shape[0], num_parts)[:, None] == nets.block_labels(w.shape[1], num_parts)[None, :])
        for w in weights
    ]


def repeated():
    """Three equal modules, weakly joined alike: the two eigenvalues beyond the trivial one coincide."""
    module = nets.random_weights(3, (3, 4, 2))
    return [np.kron(np.eye(3), w) + 0.05 * np.ones((3 * w.shape[0], 3 * w.shape[1])) for w in map(np.abs, module)]


SKIPPED = [*nets.random_weights(7, (6, 9, 5)), *nets.random_weights(8, (6, 5))]
CASES = {
    "random": (layers, nets.random_weights(0, (6, 8, 5)), 4),
    "many clusters": (layers, nets.random_weights(0, (6, 8, 5)), 7),
    "pruned": (layers, nets.random_weights(1, (9, 12, 8, 4), 0.35), 4),
    "isolated inputs, hidden units and outputs": (layers, nets.holed_weights(), 3),
    "coinciding eigenvalues": (layers, repeated(), 3),
    "two components": (layers, in_parts(2, 2), 4),
    "four components": (layers, in_parts(3, 4), 4),
    "a list of edges in two components": (edge_list, nets.random_weights(4, (30, 1))[:1], 4),
    "skip": (skip, SKIPPED, 4),
    "wide": (layers, nets.planted_weights(0, (30, 90, 75), 3, 0.2), 3),
    "wide skip": (
        skip,
        [*nets.planted_weights(7, (20, 70, 30), 3, 0.2), *nets.planted_weights(8, (20, 30), 3, 0.2)],
        3,
    ),
}


def value_of(weights, build=layers, **how):
    return mj.spectral_clusterability(build(weights), **how)


def difference(build, weights, place, num_clusters):
    """Central difference of the reference in the weight at (layer, place)."""
    ends = []
    for sign in (1, -1):
        moved = [w.copy() for w in weights]
        moved[place[0]][place[1]] += sign * STEP
        ends.append(reference(nets.dense(build(moved)), num_clusters, build is layers)[0])
    return (ends[0] - ends[1]) / (2 * STEP)


def doubles(case):
    build, weights, num_clusters = CASES[case]
    return build, [np.asarray(w, np.float64).squeeze() for w in weights], num_clusters


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_those_of_full_decompositions(case):
    build, weights, num_clusters = doubles(case)
    with jax.enable_x64(True), nets.one_thread():
        value, gradient = jax.value_and_grad(value_of)(weights, build, num_clusters=num_clusters)
        exact, gap = reference(nets.dense(build(weights)), num_clusters, build is layers)
        assert gap > 1e-3
        np.testing.assert_allclose(value, exact, rtol=1e-9)
        places = [(layer, place) for layer, w in enumerate(weights) for place in zip(*np.nonzero(w), strict=True)]
        chosen = [
            places[i] for i in np.random.default_rng(0).permutation(len(places))[: 300 if len(places) < 300 else 8]
        ]
        wanted = np.array([difference(build, weights, place, num_clusters) for place in chosen])
    found = np.array([gradient[layer][place] for layer, place in chosen])
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    assert all((np.asarray(g)[w == 0] == 0).all() for g, w in zip(gradient, weights, strict=True))


def test_equals_the_lower_bound_of_the_ncut():
    graph = nets.random_net(1, (12, 14, 9))
    found = mj.cluster(graph, jax.random.key(0), num_clusters=3)
    value = mj.spectral_clusterability(graph, num_clusters=3)
    np.testing.assert_allclose(value, found.lower_bound, rtol=1e-5)
    assert value < found.ncut


def test_jit_vmap_and_grad_in_any_order():
    nets_ = [[w + 0.1 * np.sign(w) for w in nets.random_weights(seed, WIDTHS)] for seed in range(3)]
    stacked = [jnp.stack(kernels) for kernels in zip(*nets_, strict=True)]
    one_by_one = [jax.grad(value_of)(weights) for weights in nets_]
    expected = [np.stack(kernels) for kernels in zip(*one_by_one, strict=True)]
    ways = (
        jax.vmap(jax.grad(value_of)),
        jax.vmap(jax.jit(jax.grad(value_of))),
        jax.jit(jax.vmap(jax.grad(jax.jit(value_of)))),
        jax.jit(jax.grad(lambda w: jax.vmap(value_of)(w).sum())),
        jax.jit(jax.jacfwd(lambda w: jax.vmap(value_of)(w).sum())),
    )
    for way in ways:
        for found, wanted in zip(way(stacked), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def generated(count):
    """Kernels [count, ...]: zeros, dead units, dead layers, equal weights, scales of 2^+-100."""
    rng = np.random.default_rng(0)
    scale = 2.0 ** rng.integers(-100, 101, count)
    density = rng.choice([0.02, 0.1, 0.3, 0.7, 1.0], count)
    equal, dead = rng.random(count) < 0.2, rng.integers(-4, 3, count)
    alive = [rng.random((count, width)) >= rng.choice([0, 0.3], (count, 1)) for width in WIDTHS]
    kernels = []
    for layer, shape in enumerate(itertools.pairwise(WIDTHS)):
        kernel = np.where(equal[:, None, None], 1, rng.normal(size=(count, *shape)))
        kept = (rng.random(kernel.shape) < density[:, None, None]) & (dead != layer)[:, None, None]
        kept &= alive[layer][:, :, None] & alive[layer + 1][:, None, :]
        kernels.append(np.where(kept, kernel * scale[:, None, None], 0).astype(np.float32))
    return kernels


def test_generated_networks_have_the_exact_value_and_a_finite_gradient():
    kernels = generated(2000)

    def step(weights, vectors):
        following = mj.spectral_vectors(layers(weights), start=vectors)
        return *jax.value_and_grad(value_of)(weights, vectors=following), following

    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(value_of)))(kernels)
    strangers = jnp.roll(jax.jit(jax.vmap(lambda w: mj.spectral_vectors(layers(w))))(kernels), 1, axis=0)
    bounds, warm_gradients, vectors = jax.jit(jax.vmap(step))(kernels, strangers)
    exact = []
    for weights in zip(*kernels, strict=True):
        unit = max(np.abs(w).max() for w in weights) or 1
        exact.append(reference(nets.dense(layers([w / unit for w in weights])), 4, True)[0])
    np.testing.assert_allclose(values, exact, atol=1e-3)
    assert (bounds > np.array(exact) - 1e-3).all()
    assert len(np.unique(np.round(exact, 3))) > 500
    assert all(np.isfinite(found).all() for found in (*gradients, *warm_gradients, vectors))


def test_the_penalty_of_params_and_of_a_module():
    weights = [w + 0.1 * np.sign(w) for w in nets.random_weights(2, (5, 6, 4))]
    expected = jax.grad(value_of)(weights)
    params = {f"layer_{i:02d}": {"kernel": w, "bias": np.ones(w.shape[1])} for i, w in enumerate(weights)}
    found = jax.jit(jax.grad(mj.clusterability_penalty))(params)
    keys = jax.random.split(jax.random.key(0))
    model = eqx.nn.Sequential([eqx.nn.Linear(5, 6, key=keys[0]), eqx.nn.Linear(6, 4, key=keys[1])])
    model = eqx.tree_at(lambda m: [layer.weight for layer in m.layers], model, [jnp.asarray(w.T) for w in weights])
    of_module = eqx.filter_jit(eqx.filter_grad(mj.clusterability_penalty))(model)
    for index, wanted in enumerate(expected):
        np.testing.assert_allclose(found[f"layer_{index:02d}"]["kernel"], wanted, rtol=1e-4, atol=1e-6)
        assert not found[f"layer_{index:02d}"]["bias"].any()
        np.testing.assert_allclose(of_module.layers[index].weight.T, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"num_clusters": 1}, r"num_clusters must be at least 2, got 1"),
        ({"num_clusters": 8}, r"num_clusters must be at most the number of connected neurons, 7, got 8"),
        ({"vectors": np.ones((7, 2))}, r"vectors must have shape \(7, 3\), or more columns, got \(7, 2\)"),
        ({"vectors": np.ones(7)}, r"vectors must have shape \(7, 3\), or more columns, got \(7,\)"),
        ({"vectors": "warm"}, r"vectors must be real numbers, got"),
        (
            {"graph": [np.ones((4, 3))]},
            r"graph must be a LayeredGraph, a BlockGraph, a SparseGraph or a DenseGraph, got list",
        ),
        ({"graph": layers([np.zeros((4, 3))])}, r"graph must have at least one edge, got none"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.spectral_clusterability(**({"graph": nets.random_net(0, (4, 3))} | arguments))
