"""Kernels of convolutions, norms, pools, sums, concatenations and cells, against what a network computes."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.graphs import conv


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_norms_by_hand():
    kernel = np.zeros((2, 2, 1, 2), np.float32)
    kernel[:, :, 0, 0] = [[3, -1], [0, 4]]
    np.testing.assert_array_equal(conv.channel_norms(kernel), [[8, 0]])
    np.testing.assert_allclose(conv.channel_norms(kernel, "l2"), [[26**0.5, 0]], rtol=1e-6)
    np.testing.assert_array_equal(conv.channel_norms(kernel, "max_column"), [[5, 0]])  # columns 3 and 5
    matrix = random(3, 4)
    for norm in conv.NORMS:
        np.testing.assert_array_equal(conv.channel_norms(matrix, norm), abs(matrix))
        slow = [[np.ravel(conv.channel_norms(kernel[:, :, :, j : j + 1], norm))[0] for j in range(2)]]
        np.testing.assert_allclose(conv.channel_norms(jnp.asarray(kernel), norm), slow, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_l2_holds_at_any_scale(scale):
    kernel = random(3, 3, 2, 2) * np.float32(scale)
    np.testing.assert_allclose(
        conv.channel_norms(kernel, "l2"), np.sqrt((kernel.astype(float) ** 2).sum(axis=(0, 1))), rtol=1e-5
    )


def test_channel_norms_are_checked():
    with pytest.raises(ValueError, match=r"kernel must have shape \[..., units in, units out\], got \(3,\)"):
        conv.channel_norms(np.ones(3))


@pytest.mark.parametrize("channels_first", [False, True])
def test_flattened_rows_go_to_their_channels(channels_first):
    """What a dense layer makes of a map is what its kernel by channels makes of it."""
    image, kernel = random(2, 3, 4), random(24, 5, seed=1)  # 2 x 3 positions, 4 channels
    flat = (image.transpose(2, 0, 1) if channels_first else image).reshape(-1)
    by_channel = conv.flattened(kernel, 4, channels_first=channels_first)
    assert by_channel.shape == (6, 4, 5)
    np.testing.assert_allclose(np.einsum("pc,pcd->d", image.reshape(6, 4), by_channel), flat @ kernel, rtol=1e-4)
    graph = mj.wire([("image", "map", random(3, 3, 1, 4)), ("map", "dense", by_channel)])
    assert graph.widths == (1, 4, 5)
    np.testing.assert_allclose(graph.affinities[1], abs(by_channel).sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("num_groups", [1, 2, 4])
def test_grouped_and_depthwise_convolutions(num_groups):
    layer = nn.Conv(8, (3, 3), feature_group_count=num_groups, use_bias=False)
    x = random(1, 5, 5, 4)
    params = layer.init(jax.random.key(0), x)
    whole = conv.grouped(params["params"]["kernel"], num_groups)
    assert whole.shape == (3, 3, 4, 8)
    plain = nn.Conv(8, (3, 3), use_bias=False).apply({"params": {"kernel": whole}}, x)
    np.testing.assert_allclose(plain, layer.apply(params, x), atol=1e-5)
    np.testing.assert_array_equal(conv.grouped(np.asarray(params["params"]["kernel"]), num_groups), whole)


@pytest.mark.parametrize("behind_relu", [False, True])
def test_folded_norms_leave_what_the_network_computes(behind_relu):
    """Kernel -> norm -> ReLU and kernel -> ReLU -> norm -> kernel; means and shifts of 0, which biases would take."""
    x, kernels = random(7, 5), [random(5, 6, seed=1), random(6, 4, seed=2)]
    scale, variance = random(6, seed=3), random(6, seed=4) ** 2
    norm = nn.BatchNorm(use_running_average=True, epsilon=1e-3, use_bias=False)
    variables = {"params": {"scale": scale}, "batch_stats": {"mean": np.zeros(6, np.float32), "var": variance}}

    def normed(h):
        return norm.apply(variables, h)

    if behind_relu:
        want = normed(jax.nn.relu(x @ kernels[0])) @ kernels[1]
        folded = [kernels[0], conv.norm_folded_into_next(kernels[1], scale, variance, epsilon=1e-3)]
    else:
        want = jax.nn.relu(normed(x @ kernels[0])) @ kernels[1]
        folded = [conv.norm_folded(kernels[0], scale, variance, epsilon=1e-3), kernels[1]]
    np.testing.assert_allclose(jax.nn.relu(x @ folded[0]) @ folded[1], want, rtol=1e-4, atol=1e-5)


def test_a_norm_of_twice_the_scale_and_a_quarter_of_the_variance_weighs_four_times():
    kernel, ones = random(3, 3, 2, 5), np.ones(5, np.float32)
    before = conv.channel_norms(conv.norm_folded(kernel, ones, ones, epsilon=0))
    np.testing.assert_allclose(conv.channel_norms(conv.norm_folded(kernel, 2 * ones, ones / 4, epsilon=0)), 4 * before)
    after = random(5, 3)
    np.testing.assert_allclose(conv.norm_folded_into_next(after, 2 * ones, ones / 4, epsilon=0), 4 * after)


def test_added_and_concatenated_groups_compute_the_same():
    parts, kernel = {"a": random(2, 3), "b": random(2, 3, seed=1)}, random(3, 4, seed=2)
    by_edges = sum(parts[source] @ own for source, _, own in conv.added(["a", "b"], "next", kernel))
    np.testing.assert_allclose(by_edges, (parts["a"] + parts["b"]) @ kernel, atol=1e-5)
    parts["c"], kernel = random(2, 5, seed=3), random(11, 4, seed=4)
    edges = conv.concatenated({"a": 3, "b": 3, "c": 5}, "next", kernel)
    by_edges = sum(parts[source] @ own for source, _, own in edges)
    np.testing.assert_allclose(by_edges, np.concatenate([*parts.values()], axis=1) @ kernel, atol=1e-5)
    assert {target for _, target, _ in edges} == {"next"}


def test_gates_of_a_cell_sum_up_for_each_unit():
    kernels = [random(3, 4, seed=seed) for seed in range(4)]
    side_by_side = np.concatenate(kernels, axis=1)
    want = sum(map(abs, kernels))
    np.testing.assert_allclose(conv.channel_norms(conv.gates(side_by_side, 4)), want, rtol=1e-6)
    graph = mj.wire([("in", "h", conv.gates(side_by_side, 4)), ("h", "out", random(4, 2))])
    np.testing.assert_allclose(graph.affinities[0], want, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conv.flattened(random(6, 2), 4), "num_channels must divide the 6 rows of the kernel, got 4"),
        (lambda: conv.grouped(random(2, 6), 4), "num_groups must divide the 6 outputs of the kernel, got 4"),
        (lambda: conv.gates(random(2, 6), 4), "num_gates must divide the 6 columns of the kernel, got 4"),
        (
            lambda: conv.concatenated({"a": 2, "b": 3}, "c", random(6, 2)),
            r"sources must add up to the 6 rows of the kernel, got \{'a': 2, 'b': 3\}",
        ),
        (
            lambda: conv.norm_folded(random(2, 3), np.ones(2), np.ones(3), epsilon=0),
            r"scale must have shape \(3,\), got \(2,\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_numpy_gives_numpy_and_jax_gives_jax():
    for make in (
        lambda k: conv.grouped(k, 2),
        lambda k: conv.gates(k, 2),
        lambda k: conv.flattened(k, 2),
        conv.channel_norms,
    ):
        for kernel, kind in itertools.product([random(4, 6)], (np.ndarray, jax.Array)):
            given = kernel if kind is np.ndarray else jnp.asarray(kernel)
            assert isinstance(make(given), kind)
