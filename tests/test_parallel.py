"""Groups of a fixed size: the same results, bit for bit, whatever the number of items and devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from modularity_jax import programs
from modularity_jax.parallel import grouped_map

MATRIX = jnp.asarray(np.random.default_rng(0).normal(size=(33, 33)), jnp.float32)


def mesh(size):
    return jax.make_mesh((size,), ("item",), axis_types=(AxisType.Auto,), devices=jax.devices()[:size])


def items(count):
    return {
        "vector": jnp.asarray(np.random.default_rng(1).normal(size=(40, 33)), jnp.float32)[:count],
        "index": jnp.arange(count),
    }


def chaotic(item):
    """Products that round, fed through a map that blows rounding up."""
    x = item["vector"]
    for _ in range(6):
        x = jnp.sin(3 * (MATRIX @ x))
    return x


def run(fn, count, group_size, devices):
    call = jax.jit(lambda x: grouped_map(fn, x, group_size=group_size, mesh=mesh(devices) if devices else None))
    return call(items(count))


@pytest.mark.parametrize("devices", [None, 1, 4])
@pytest.mark.parametrize(("count", "group_size"), [(8, 4), (7, 4), (1, 4), (5, 1), (3, 8)])
def test_equals_one_by_one(count, group_size, devices):
    values, doubled = run(lambda x: (MATRIX @ x["vector"], 2 * x["index"]), count, group_size, devices)
    np.testing.assert_allclose(values, items(count)["vector"] @ MATRIX.T, atol=1e-4)
    np.testing.assert_array_equal(doubled, 2 * np.arange(count))


@pytest.mark.parametrize("devices", [None, 1, 2, 4])
@pytest.mark.parametrize("count", [3, 16])
def test_same_bits_for_any_number_of_items_and_devices(count, devices):
    np.testing.assert_array_equal(run(chaotic, count, 4, devices), run(chaotic, 40, 4, None)[:count])


def test_groups_have_the_size_asked_for():
    # Were groups cut otherwise, the bits would not depend on group_size: here another size rounds otherwise.
    assert not np.array_equal(run(chaotic, 40, 1, None), run(chaotic, 40, 4, None))


def test_work_is_split_over_the_devices():
    values = run(chaotic, 16, 2, 4)
    assert {shard.data.shape for shard in values.addressable_shards} == {(4, 33)}
    assert len({shard.device for shard in values.addressable_shards}) == 4


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As if JAX computed on one: the CPU's compiler reads the same options."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    programs._gpu_options.cache_clear()
    yield monkeypatch
    programs._gpu_options.cache_clear()


def test_a_program_has_its_options_only_where_it_stands_alone(on_a_gpu):
    """JAX refuses options of a program inside another."""
    given = []
    jit = jax.jit
    on_a_gpu.setattr(jax, "jit", lambda fn, **how: (given.append(how.get("compiler_options")), jit(fn, **how))[1])
    double = programs.program(lambda x: 2 * x)
    one = jnp.ones(3)
    wanted = [2.0, 2.0, 2.0]
    np.testing.assert_array_equal(double(one), wanted)
    assert given == [None, programs._ON_GPU, programs._ON_GPU]  # inside others, the question whether it may, alone
    np.testing.assert_array_equal(jit(double)(one), wanted)
    np.testing.assert_array_equal(jit(lambda: double(one))(), wanted)
    np.testing.assert_array_equal(jax.vmap(double)(one), wanted)
    np.testing.assert_array_equal(jax.grad(lambda x: double(x).sum())(one), wanted)


def test_an_option_that_the_compiler_does_not_know_is_left_out(on_a_gpu):
    on_a_gpu.setattr(programs, "_ON_GPU", {"xla_gpu_no_option_of_this_name": False})
    assert programs._gpu_options() == {}
    np.testing.assert_array_equal(programs.program(lambda x: 2 * x)(jnp.ones(2)), [2.0, 2.0])
