import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from modularity_jax.nets import joint_masks, pruning
from modularity_jax.nets.config import PruneConfig


def slow_mask(kernel, count):
    """The first `count` entries of a stable sort by falling magnitude."""
    order = np.argsort(-np.abs(kernel).ravel(), kind="stable")
    mask = np.zeros(kernel.size, bool)
    mask[order[:count]] = True
    return mask.reshape(kernel.shape)


def kernel_of(kind, shape=(13, 9)):
    rng = np.random.default_rng(3)
    return {
        "normal": rng.normal(size=shape),
        "ties": rng.integers(-3, 4, shape),
        "equal": np.full(shape, -0.25),
        "zeros": np.zeros(shape),
        "signed_zeros": np.where(rng.random(shape) < 0.5, -0.0, 0.0),
        "mostly_zeros": rng.normal(size=shape) * (rng.random(shape) < 0.2),
        "tiny": rng.normal(size=shape) * 1e-30,
        "neighbours": np.nextafter(np.float32(1), np.float32(2), dtype=np.float32)
        - rng.integers(0, 3, shape) * np.float32(2**-23),
        "one": rng.normal(size=(1, 1)),
    }[kind].astype(np.float32)


magnitude_mask = jax.jit(pruning.magnitude_mask)
KINDS = ("normal", "ties", "equal", "zeros", "signed_zeros", "mostly_zeros", "tiny", "neighbours", "one")


def test_sparsity_by_hand():
    # 0.9 - 0.4 (1 - t/T)^3 at t/T = 0, 1/4, 1/2, 3/4, 1.
    got = pruning.sparsity_at(np.array([0, 10, 20, 30, 40]), num_steps=40, initial=0.5, final=0.9)
    np.testing.assert_allclose(got, [0.5, 0.73125, 0.85, 0.89375, 0.9], rtol=1e-12)


def test_sparsity_stays_at_its_end():
    assert pruning.sparsity_at(41, num_steps=40, initial=0.5, final=0.9) == 0.9
    assert pruning.sparsity_at(10**6, num_steps=40, initial=0.0, final=0.3) == 0.3


def test_constant_sparsity():
    got = pruning.sparsity_at(np.arange(8), num_steps=7, initial=0.4, final=0.4)
    np.testing.assert_allclose(got, 0.4)


def test_num_kept_by_hand():
    kept = pruning.num_kept(np.array([0.0, 0.5, 0.9]), [784 * 256, 256 * 10, 7])
    assert kept.dtype == np.int32
    np.testing.assert_array_equal(kept, [[200704, 2560, 7], [100352, 1280, 4], [20070, 256, 1]])


def slow_plan(prune, sizes, steps_per_epoch):
    """Steps after which masks come, with the weights they keep, one step after the other."""
    total = steps_per_epoch * prune.epochs
    for step in range(total + 1):
        if step % prune.frequency == 0 or step == total:
            start, end = prune.initial_sparsity, prune.final_sparsity
            sparsity = end + (start - end) * (1 - step / total) ** 3
            yield step, [round((1 - sparsity) * size) for size in sizes]


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "frequency"),
    [(4, 6, 5), (3, 6, 3), (3, 7, 1), (5, 6, 100), (5, 7, 14), (1, 1, 1), (1, 9, 10), (3, 469, 10), (7, 10, 7)],
)
def test_plan_equals_a_walk_through_the_phase(epochs, steps_per_epoch, frequency):
    prune = PruneConfig(epochs=epochs, frequency=frequency, initial_sparsity=0.3, final_sparsity=0.83)
    sizes = (77, 99, 36)
    plan = pruning.plan_masks(prune, sizes, steps_per_epoch=steps_per_epoch)
    found = [(0, plan.first.tolist())]
    assert len(plan.epochs) == epochs
    for epoch, masks in enumerate(plan.epochs):
        assert [leaf.dtype for leaf in masks] == [np.int32, bool, np.int32]
        assert masks.ends[-1] == steps_per_epoch
        assert (np.diff(masks.ends, prepend=0) >= 0).all()
        for end, due, counts in zip(*masks, strict=True):
            if due:
                found.append((epoch * steps_per_epoch + end, counts.tolist()))
    assert found == list(slow_plan(prune, sizes, steps_per_epoch))


def test_shapes_of_a_plan_follow_steps_and_frequency_alone():
    shapes = {
        tuple(leaf.shape for leaf in masks)
        for prune in (PruneConfig(epochs=1), PruneConfig(epochs=9, final_sparsity=0.6))
        for masks in pruning.plan_masks(prune, (5, 6), steps_per_epoch=469).epochs
    }
    assert shapes == {((48,), (48,), (48, 2))}


def test_plans_without_masks():
    assert pruning.without_masks(2) == (None, (None, None))
    assert pruning.plan_masks(PruneConfig(epochs=0), (5,), steps_per_epoch=3) == (None, ())


@pytest.mark.parametrize("kind", KINDS)
def test_mask_equals_a_stable_sort(kind):
    kernel = kernel_of(kind)
    for count in sorted({0, 1, kernel.size // 10, kernel.size // 2, kernel.size - 1, kernel.size}):
        got = np.asarray(magnitude_mask(kernel, count))
        assert got.dtype == bool
        assert got.sum() == count
        np.testing.assert_array_equal(got, slow_mask(kernel, count))


@pytest.mark.parametrize("seed", range(5))
def test_mask_of_random_shapes_and_counts(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 40, 2))
    kernel = np.round(rng.normal(size=shape), rng.integers(0, 3)).astype(np.float32)
    count = int(rng.integers(0, kernel.size + 1))
    np.testing.assert_array_equal(magnitude_mask(kernel, count), slow_mask(kernel, count))


@pytest.mark.parametrize("size", [64, 63, 65])
def test_mask_around_a_power_of_two(size):
    kernel = np.zeros((size, 1), np.float32)
    for count in (1, size - 1, size):
        np.testing.assert_array_equal(magnitude_mask(kernel, count), slow_mask(kernel, count))


def test_mask_under_vmap():
    rng = np.random.default_rng(0)
    kernels = rng.integers(-4, 5, (6, 11, 8)).astype(np.float32)
    counts = np.array([0, 1, 30, 44, 87, 88])
    got = jax.jit(jax.vmap(pruning.magnitude_mask))(kernels, counts)
    for mask, kernel, count in zip(np.asarray(got), kernels, counts, strict=True):
        np.testing.assert_array_equal(mask, slow_mask(kernel, count))


@functools.partial(jax.jit, static_argnums=1)
def masks_at_once(kernels, batched, counts):
    return (
        jax.vmap(joint_masks.masks_at_once)(kernels, counts) if batched else joint_masks.masks_at_once(kernels, counts)
    )


@pytest.mark.parametrize("row", [8, 512])
def test_masks_at_once_are_those_of_each_kernel(row, monkeypatch):
    """Kernels of all kinds and of several sizes together, whole rows and broken ones."""
    monkeypatch.setattr(joint_masks, "_ROW", row)
    at_once = jax.jit(lambda *given: joint_masks.masks_at_once(*given))  # a program of its own for each row
    kernels = [kernel_of(kind, shape) for kind in KINDS for shape in ((13, 9), (8, 8))] + [kernel_of("one")]
    for share in (0, 0.1, 0.5, 0.99, 1):
        counts = np.array([round(share * kernel.size) for kernel in kernels], np.int32)
        for got, kernel, count in zip(at_once(kernels, counts), kernels, counts, strict=True):
            assert got.dtype == bool
            np.testing.assert_array_equal(got, slow_mask(kernel, count))
            np.testing.assert_array_equal(got, magnitude_mask(kernel, count))


def test_masks_at_once_under_vmap():
    rng = np.random.default_rng(0)
    kernels = [np.round(rng.normal(size=(5, *shape)), 1).astype(np.float32) for shape in ((30, 40), (40, 7), (7, 1))]
    counts = rng.integers(0, (1200, 280, 7), (5, 3)).astype(np.int32)
    for got, kernel, count in zip(masks_at_once(kernels, True, counts), kernels, counts.T, strict=True):
        for own in range(5):
            np.testing.assert_array_equal(got[own], slow_mask(kernel[own], count[own]))


def test_masks_at_once_of_what_is_not_finite():
    kernel = np.array([[np.nan, -np.inf, 1, np.inf], [0, -1, 2, np.nan]], np.float32)
    for count in range(9):
        (got,) = joint_masks.masks_at_once([kernel], np.array([count], np.int32))
        np.testing.assert_array_equal(got, magnitude_mask(kernel, count))


@pytest.mark.parametrize(("platform", "num_loops"), [("cpu", 6), ("cuda", 1), ("tpu", 1)])
def test_each_platform_gets_its_own_masks(platform, num_loops):
    """On a CPU two loops a kernel, elsewhere one in all, of a fixed number of passes."""
    params = {f"layer_{index:02d}": {"kernel": jnp.ones((20, 20))} for index in range(3)}
    exported = export.export(jax.jit(pruning.kernel_masks), platforms=[platform])(params, jnp.zeros(3, jnp.int32))
    assert exported.mlir_module().count("stablehlo.while") == num_loops


def test_mask_of_a_paper_sized_kernel():
    kernel = np.random.default_rng(0).normal(size=(784, 256)).astype(np.float32)
    np.testing.assert_array_equal(magnitude_mask(kernel, 20070), slow_mask(kernel, 20070))


def layers(seed):
    rng = np.random.default_rng(seed)
    shapes = {"layer_00": (6, 5), "layer_01": (5, 4), "layer_02": (4, 3)}
    return {
        name: {"kernel": jnp.asarray(rng.normal(size=s), jnp.float32), "bias": jnp.full(s[1], 0.001)}
        for name, s in shapes.items()
    }


def test_each_mask_depends_on_its_own_kernel_and_count():
    params, counts = layers(0), jnp.array([3, 10, 7])
    kernel_masks = jax.jit(pruning.kernel_masks)
    before = kernel_masks(params, counts)
    assert list(before) == ["layer_00", "layer_01", "layer_02"]
    assert [int(mask.sum()) for mask in before.values()] == [3, 10, 7]
    params["layer_01"] = {"kernel": 100 * layers(1)["layer_01"]["kernel"], "bias": jnp.full(4, 9.0)}
    after = kernel_masks(params, counts.at[1].set(4))
    assert after["layer_01"].sum() == 4
    for name in ("layer_00", "layer_02"):
        np.testing.assert_array_equal(before[name], after[name])


def test_masks_do_not_follow_the_order_of_the_dict():
    params, counts = layers(0), jnp.array([3, 10, 7])
    turned = jax.jit(pruning.kernel_masks)(dict(reversed(params.items())), counts)
    assert {name: int(mask.sum()) for name, mask in turned.items()} == {"layer_00": 3, "layer_01": 10, "layer_02": 7}


def test_apply_masks_leaves_what_it_keeps():
    params = layers(0)
    params["layer_00"]["kernel"] = params["layer_00"]["kernel"].at[0, 0].set(jnp.inf)
    masks = jax.jit(pruning.kernel_masks)(params, jnp.array([29, 10, 7]))
    masks["layer_00"] = masks["layer_00"].at[0, 0].set(False)
    pruned = pruning.apply_masks(params, masks)
    for name, layer in pruned.items():
        kernel, mask = np.asarray(layer["kernel"]), np.asarray(masks[name])
        np.testing.assert_array_equal(kernel[mask], np.asarray(params[name]["kernel"])[mask])
        assert (kernel[~mask] == 0).all()
        np.testing.assert_array_equal(layer["bias"], params[name]["bias"])
