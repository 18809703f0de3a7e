"""Modes of JAX that users turn on: the whole metric and the lesions give the same in each.

Each mode runs everything on a small network; results are compared with those of JAX's defaults.
"""

import contextlib
import functools
import warnings

import jax
import numpy as np
import pytest

import modularity_jax as mj
from tests.metric import nets
from tests.probes import slow

WIDTHS = (12, 9, 8, 5)
KERNELS = nets.random_weights(0, WIDTHS, 0.8)
WIDE = nets.random_weights(1, (150, 140, 120, 10))  # takes the Krylov solver by itself
EDGES = nets.random_edges(0, 18, 40)
PARAMS = slow.random_params(0, WIDTHS)
LABELS = np.arange(sum(WIDTHS)) % 3
X = np.random.default_rng(2).normal(size=(60, WIDTHS[0])).astype(np.float32)
Y = np.arange(60) % 5
SETTINGS = {"num_clusters": 3, "num_restarts": 2}
LESIONS = {"num_clusters": 3, "num_shuffles": 3, "samples_per_batch": 25}

MODES = {
    "x64": {"enable_x64": True},
    "x64, strict promotion": {"enable_x64": True, "numpy_dtype_promotion": "strict"},
    "strict promotion": {"numpy_dtype_promotion": "strict"},
    "debug_nans": {"debug_nans": True},
    "debug_infs": {"debug_infs": True},
    "no jit": {"disable_jit": True},
    "rank promotion allowed": {"numpy_rank_promotion": "allow"},
    "checks": {"enable_checks": True, "check_tracer_leaks": True},
    "low matmul precision": {"default_matmul_precision": "bfloat16"},
    "rbg": {"default_prng_impl": "rbg"},
    "unsafe_rbg": {"default_prng_impl": "unsafe_rbg"},
}


@contextlib.contextmanager
def mode(settings):
    names = [f"jax_{name}" for name in settings]
    before = {name: getattr(jax.config, name) for name in names}
    for name, value in zip(names, settings.values(), strict=True):
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def key():
    return jax.random.key(3, impl="threefry2x32")


def layered():
    return mj.LayeredGraph.from_weights(KERNELS)


def edges():
    return mj.SparseGraph.from_edges(*EDGES, num_nodes=18)


def shuffle(method):
    return mj.shuffle(layered(), key(), method=method).affinities


def shuffle_test(method, shuffles_per_group):
    settings = {**SETTINGS, "num_shuffles": 5, "method": method, "shuffles_per_group": shuffles_per_group}
    return mj.shuffle_test(layered(), key(), **settings)


def activations(**settings):
    return mj.activation_graph([X, np.maximum(X @ KERNELS[0], 0)], **settings)


def of_activations():
    settings = {**SETTINGS, "num_shuffles": 5, "method": "samples", "shuffles_per_group": 2}
    return mj.shuffle_test(activations(), key(), **settings)


def spectral(kernels):
    def value(graph):
        vectors = mj.spectral_vectors(graph, num_clusters=3, start=mj.spectral_vectors(graph, num_clusters=3))
        return mj.spectral_clusterability(graph, num_clusters=3, vectors=vectors)

    return jax.value_and_grad(value)(mj.LayeredGraph.from_weights(kernels))


def double(kind):
    return mj.double_lesion_test(PARAMS, LABELS, X, Y, key(), kind=kind, **LESIONS)


def forward(params, x):
    for layer in params.values():
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    return x


def masks():
    x, y = np.stack([X, X[::-1]]), np.stack([Y, Y])
    found = mj.train_masks(forward, PARAMS, x, y, key(), alpha=0.1, num_steps=3, batch_size=8, learning_rate=1.0)
    return found, mj.mask_matrix(forward, PARAMS, found, x, y), mj.mask_overlap(found, found)


WORK = {
    "ncut": lambda: mj.ncut(layered(), LABELS, num_clusters=3),
    "gradient": lambda: jax.grad(lambda g: mj.ncut(g, LABELS, num_clusters=3))(layered()).affinities,
    "cluster": lambda: mj.cluster(layered(), key(), **SETTINGS),
    "cluster, krylov": lambda: mj.cluster(layered(), key(), solver="krylov", **SETTINGS),
    "cluster, inertia": lambda: mj.cluster(layered(), key(), selection="inertia", **SETTINGS),
    "cluster, locally": lambda: mj.cluster_locally(layered(), key(), counts=[3, 2], **SETTINGS),
    "cluster, edges": lambda: mj.cluster(edges(), key(), **SETTINGS),
    "cluster, edges, krylov": lambda: mj.cluster(edges(), key(), solver="krylov", **SETTINGS),
    "cluster, wide": lambda: mj.cluster(mj.LayeredGraph.from_weights(WIDE), key(), **SETTINGS),
    **{f"shuffle, {method}": functools.partial(shuffle, method) for method in nets.WEIGHT_METHODS},
    "shuffle, edges": lambda: mj.shuffle(edges(), key(), method="layer_nonzero").weights,
    "shuffle test, layer": lambda: shuffle_test("layer", 1),
    "shuffle test, layer, grouped": lambda: shuffle_test("layer", 4),
    "shuffle test, column": lambda: shuffle_test("column", 2),
    "shuffle test, distribution": lambda: shuffle_test("layer_all_distribution", 2),
    "coverage": lambda: mj.coverage(layered(), LABELS, num_clusters=3, power=2),
    "activations": lambda: mj.shuffle(activations(cross_validated=True), key(), method="samples").affinity,
    "activations, values": lambda: activations(correlation="pearson").affinity,
    "shuffle test, samples": of_activations,
    "spectral": lambda: spectral(KERNELS),
    "spectral, wide": lambda: spectral(WIDE),
    "lesion": lambda: mj.lesion_test(PARAMS, LABELS, X, Y, key(), **LESIONS),
    "lesion, joint": lambda: double("joint"),
    "lesion, conditional": lambda: double("conditional"),
    "masks": masks,
}  # fmt: skip
# Each kind of code once: what the fast lane runs in the modes that change programs.
BRIEF = (
    "gradient",
    "cluster, edges, krylov",
    "shuffle, layer_all_distribution",
    "shuffle test, column",
    "activations",
    "spectral",
    "lesion",
    "masks",
)
BRIEF_MODES = ("x64, strict promotion", "debug_nans", "rbg")
SLOW_WITHOUT_JIT = ("shuffle test, layer, grouped", "shuffle test, column", "cluster, wide")


def numbers(result):
    """All arrays of a result, labels of clusters apart: two partitions with the same n-cut are as good."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(jax.device_get(result)) if not isinstance(leaf, str)]
    return [leaf.astype(float) for leaf in leaves if leaf.dtype.kind in "fb"]


@functools.cache
def by_default(name):
    return numbers(WORK[name]())


def assert_same(name, work):
    expected = by_default(work)
    with mode(MODES[name]):
        found = numbers(WORK[work]())
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6, err_msg=f"{name}: {work}")


@pytest.mark.parametrize("work", BRIEF)
@pytest.mark.parametrize("name", BRIEF_MODES)
def test_same_results_in_brief(name, work):
    assert_same(name, work)


def test_a_shuffle_without_jit():
    assert_same("no jit", "shuffle, layer_all_distribution")


@pytest.mark.long
@pytest.mark.parametrize("name", MODES)
def test_same_results(name):
    for work in WORK:
        if name != "no jit" or work not in SLOW_WITHOUT_JIT:
            assert_same(name, work)


@pytest.mark.long
def test_doubles_under_x64():
    """Float64 kernels are clustered in float64, to the n-cut of float32."""
    kernels = [np.asarray(kernel, np.float64) for kernel in WIDE]
    single = by_default("cluster, wide")
    with mode({"enable_x64": True}):
        found = mj.cluster(mj.LayeredGraph.from_weights(kernels), key(), **SETTINGS)
        assert found.ncut.dtype == found.eigenvalues.dtype == np.float64
        np.testing.assert_allclose(found.eigenvalues, single[2], rtol=1e-6)
        test = mj.shuffle_test(mj.LayeredGraph.from_weights(kernels), key(), num_shuffles=2, **SETTINGS)
        assert test.observed.dtype == np.float64
        assert test.all_converged


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
@pytest.mark.parametrize("style", ["typed", "old"])
def test_controls_do_not_depend_on_what_runs_beside_them(impl, style):
    """XLA's generator gives other bits under another vmap; what is drawn must not."""
    own = jax.random.key(5, impl=impl) if style == "typed" else jax.random.PRNGKey(5, impl=impl)
    with mode({"default_prng_impl": impl}):  # an array of words has the default's
        tests = [
            mj.shuffle_test(layered(), own, num_shuffles=8, shuffles_per_group=size, **SETTINGS) for size in (1, 4, 8)
        ]
        for test in tests[1:]:
            np.testing.assert_allclose(test.controls, tests[0].controls, rtol=2e-4)
        stacked = jax.vmap(lambda k: mj.shuffle(layered(), k, method="layer"))(jax.random.split(own, 3))
        alone = mj.shuffle(layered(), jax.random.split(own, 3)[1], method="layer")
    for one, other in zip(stacked.affinities, alone.affinities, strict=True):
        np.testing.assert_array_equal(one[1], other)


def test_distinct_keys_stay_distinct():
    """All words of a key count, the last ones too."""
    for impl, size in (("rbg", 4), ("unsafe_rbg", 4), ("threefry2x32", 2)):
        words = np.zeros((size + 1, size), np.uint32)
        words[1:] = np.eye(size)
        keys = [jax.random.wrap_key_data(row, impl=impl) for row in words]
        drawn = {np.asarray(mj.shuffle(layered(), k).affinities[0]).tobytes() for k in keys}
        assert len(drawn) == size + 1


def test_a_seed_trains_alike_whatever_the_default_generator():
    from modularity_jax.nets.sweep import network_keys

    expected = jax.random.key_data(network_keys(0, np.arange(3)))
    with mode({"default_prng_impl": "rbg"}):
        np.testing.assert_array_equal(jax.random.key_data(network_keys(0, np.arange(3))), expected)


def test_modes_are_left_again():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jax.config.jax_numpy_rank_promotion == "raise"  # the tests' own
        assert not jax.config.jax_enable_x64
