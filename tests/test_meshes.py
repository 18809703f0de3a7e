"""Meshes and shardings of every type that JAX makes: the same as without any."""

import contextlib
import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import modularity_jax as mj
from tests.metric import nets
from tests.probes import slow

WIDTHS = (12, 8, 8, 4)
KERNELS = nets.random_weights(0, WIDTHS)
KEY = jax.random.key(0)
PARAMS = slow.random_params(0, WIDTHS)
SAMPLES = np.random.default_rng(2).normal(size=(50, WIDTHS[0])).astype(np.float32)


@functools.cache
def mesh_of(name):
    explicit = jax.make_mesh((4,), ("s",))  # as JAX makes it when nothing is said
    assert explicit.axis_types == (AxisType.Explicit,)
    return {
        "none": None,
        "explicit": explicit,
        "auto": jax.make_mesh((4,), ("s",), axis_types=(AxisType.Auto,)),
        "another": jax.make_mesh((2,), ("t",), devices=jax.devices()[:2]),
    }[name]


def within(name):
    return jax.set_mesh(mesh_of(name)) if name != "none" else contextlib.nullcontext()


def shuffled(kernels, mesh=None):
    graph = mj.LayeredGraph.from_weights(kernels)
    found = mj.shuffle_test(
        graph, KEY, num_clusters=3, num_shuffles=9, num_restarts=2, shuffles_per_group=2, mesh=mesh_of(mesh or "none")
    )
    return [found.observed, found.controls, mj.ncut(graph, found.clustering.labels, num_clusters=3)]


def lesioned(params, mesh=None):
    labels, y = np.arange(sum(WIDTHS)) % 3, np.arange(50) % 4
    settings = {"num_clusters": 3, "num_shuffles": 5, "samples_per_batch": 10, "mesh": mesh_of(mesh or "none")}
    return [mj.lesion_test(params, labels, SAMPLES, y, KEY, **settings).control_accuracy_by_class]


@functools.cache
def expected(work):
    return [np.asarray(x) for x in work(KERNELS if work is shuffled else PARAMS)]


def same(found, work, rtol=0.0):
    for one, other in zip(found, expected(work), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol)


@pytest.mark.bits
@pytest.mark.parametrize("mesh", ["none", "explicit", "auto"])
@pytest.mark.parametrize("context", ["none", "explicit", "auto"])
def test_meshes_given_and_set(mesh, context):
    with within(context):
        same(shuffled(KERNELS, mesh), shuffled)
        same(lesioned(PARAMS, mesh), lesioned)


@pytest.mark.parametrize("spec", [P("s", None), P(None, "s"), P()])
@pytest.mark.parametrize("kind", ["explicit", "auto"])
def test_sharded_kernels(kind, spec):
    kernels = [jax.device_put(kernel, NamedSharding(mesh_of(kind), spec)) for kernel in KERNELS]
    for mesh in (None, "explicit", "auto"):
        same(shuffled(kernels, mesh), shuffled, rtol=1e-6)
    with within("explicit"):
        same(shuffled(kernels, "explicit"), shuffled, rtol=1e-6)


def test_sharded_params():
    sharding = NamedSharding(mesh_of("explicit"), P("s", None))
    params = {name: layer | {"kernel": jax.device_put(layer["kernel"], sharding)} for name, layer in PARAMS.items()}
    same(lesioned(params, "explicit"), lesioned)


def test_under_jit():
    same(jax.jit(functools.partial(shuffled, mesh="explicit"))(KERNELS), shuffled, rtol=1e-6)


@pytest.mark.parametrize(
    ("mesh", "got"),
    [(jax.make_mesh((2, 2), ("a", "b")), r"\{'a': 2, 'b': 2\}"), ([0, 1], "list")],
)
def test_what_is_no_mesh_of_one_axis(mesh, got):
    graph = mj.LayeredGraph.from_weights(KERNELS)
    with pytest.raises(ValueError, match=rf"mesh must have one axis, as jax.make_mesh\(\(n,\), .* has, got {got}"):
        mj.shuffle_test(graph, KEY, num_clusters=3, mesh=mesh)
