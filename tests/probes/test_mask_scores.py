"""What masks say: against NumPy, hand-made masks, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from tests.probes import slow

WIDTHS = (6, 8, 5, 3)


def linear(params, x):
    return x @ params["kernel"] + params["bias"][None]


@pytest.fixture(scope="module")
def network():
    """Params, and two masks of each of three sub-tasks, as logits, [2, 3, ...]."""
    params, stream = slow.random_params(0, WIDTHS), np.random.default_rng(1)
    shape = 2, 3
    return params, {
        name: {"kernel": stream.normal(size=(*shape, *own["kernel"].shape)).astype(np.float32), "bias": None}
        for name, own in params.items()
    }


def test_overlap_against_sets(network):
    _, logits = network
    first, second = (jax.tree.map(lambda leaf, number=number: leaf[number, 0], logits) for number in (0, 1))
    found = mj.mask_overlap(first, jax.tree.map(lambda leaf: leaf > 0, second))
    for name in first:
        a, b = (set(np.flatnonzero(own[name]["kernel"].ravel() > 0)) for own in (first, second))
        size = first[name]["kernel"].size
        one, other = len(a) / size, len(b) / size
        want = len(a & b) / len(a | b), len(a & b) / min(len(a), len(b)), one * other / (one + other - one * other)
        np.testing.assert_allclose([own[name]["kernel"] for own in found], [*want, max(one, other)], rtol=1e-6)
        assert found.iou[name]["bias"] is None
    many = jax.vmap(jax.vmap(mj.mask_overlap))(logits, jax.tree.map(lambda leaf: leaf[::-1], logits))
    assert many.iou["layer_01"]["kernel"].shape == (2, 3)
    np.testing.assert_allclose(many.iou["layer_01"]["kernel"][0, 0], found.iou["layer_01"]["kernel"])


def test_the_chance_of_overlap_is_that_of_random_masks():
    stream = np.random.default_rng(0)
    first, second = (stream.random((400, 30, 40)) < share for share in (0.2, 0.5))
    found = jax.vmap(mj.mask_overlap)(first, second)
    for own, chance in ((found.iou, found.chance_iou), (found.iomin, found.chance_iomin)):
        difference = np.asarray(own - chance)
        assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))
        assert difference.std() < 0.05


def test_masks_that_keep_nothing_have_no_overlap():
    nothing, some = np.zeros((2, 3), bool), np.eye(2, 3) > 0
    assert np.isnan(mj.mask_overlap(nothing, nothing)).all()
    found = mj.mask_overlap(nothing, some)
    assert found.iou == 0
    assert found.chance_iou == 0
    assert np.isnan(found.iomin)
    assert np.isnan(found.chance_iomin)
    np.testing.assert_array_equal(mj.mask_overlap(some, some)[:2], 1)


def test_each_mask_and_its_inverse_on_each_sub_task():
    """Three classes that a diagonal kernel tells: a mask of a column says its class, the inverse the others."""
    params = {"kernel": jnp.eye(3), "bias": jnp.zeros(3)}
    x, y = np.eye(3, dtype=np.float32)[:, None].repeat(2, axis=1), np.arange(3)[:, None].repeat(2, axis=1)
    masks = {"kernel": np.stack([np.eye(3) * (np.arange(3) == own) > 0 for own in range(3)]), "bias": None}
    found = mj.mask_matrix(linear, params, masks, x, y)
    own = np.eye(3)
    # Without its weight a class has three equal logits, of which the first is the answer.
    np.testing.assert_array_equal(found.kept, np.maximum(own, [[1, 0, 0]]))
    np.testing.assert_array_equal(found.inverse, np.maximum(1 - own, [[1, 0, 0], [0, 0, 0], [0, 0, 0]]))
    lost = mj.mask_matrix(linear, params, masks, x, y, metric=lambda logits, y: logits.max(axis=-1))
    np.testing.assert_array_equal(lost.kept, own)


def test_units_are_of_the_sub_task_that_keeps_most_of_their_weight(network):
    params, logits = network
    masks = jax.tree.map(lambda leaf: leaf[0] > 0, logits)
    strength = np.zeros((3, sum(WIDTHS)))
    starts = np.cumsum((0, *WIDTHS))
    for layer, name in enumerate(sorted(params)):
        weights = np.where(masks[name]["kernel"], np.abs(params[name]["kernel"]), 0)
        strength[:, starts[layer] : starts[layer + 1]] += weights.sum(axis=2)
        strength[:, starts[layer + 1] : starts[layer + 2]] += weights.sum(axis=1)
    np.testing.assert_array_equal(mj.unit_labels(logits_of(logits), params), strength.argmax(axis=0))
    first, second = masks["layer_00"]["kernel"][1], masks["layer_00"]["kernel"][2]
    first[0], second[0], masks["layer_00"]["kernel"][:, 1] = True, True, False
    found = mj.unit_labels(masks, params)
    assert (found[0], found[1]) == (-1, -1)  # kept by two alike, kept by none
    assert (found[2:6] == strength[:, 2:6].argmax(axis=0)).all()
    nothing = jax.tree.map(lambda leaf: np.zeros_like(leaf[:1]), masks)
    assert (mj.unit_labels(nothing, params) == -1).all()


def logits_of(both):
    return jax.tree.map(lambda leaf: leaf[0], both)


def test_the_share_of_a_clusters_weight_that_masks_keep(network):
    params, logits = network
    labels = slow.random_labels(2, WIDTHS, 2)
    found = mj.cluster_shares(logits_of(logits), params, labels, num_clusters=2)
    ends = np.split(labels, np.cumsum(WIDTHS)[:-1])
    kept, whole = np.zeros((3, 2)), np.zeros(2)
    for layer, name in enumerate(sorted(params)):
        for cluster in (0, 1):
            inside = np.outer(ends[layer] == cluster, ends[layer + 1] == cluster) * np.abs(params[name]["kernel"])
            whole[cluster] += inside.sum()
            kept[:, cluster] += (inside * (logits[name]["kernel"][0] > 0)).sum(axis=(1, 2))
    np.testing.assert_allclose(found, kept / whole, rtol=1e-5)
    np.testing.assert_array_equal(
        mj.cluster_shares(logits_of(logits), params, np.full(len(labels), 1), num_clusters=2)[:, 0], 0
    )


PARAMS = {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}
X, Y = np.zeros((2, 5, 3), np.float32), np.zeros((2, 5), int)
MASKS = {"kernel": np.ones((1, 3, 4), bool), "bias": None}


def train(x=X, y=Y, params=PARAMS, apply=linear, key=None, **how):
    key = jax.random.key(0) if key is None else key
    return mj.train_masks(apply, params, x, y, key, **{"alpha": 1.0, "num_steps": 1} | how)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train(x=X[0, 0]), r"x and y must have shape \[T, n, ...\], of T sub-tasks, got \(3,\) and \(2, 5\)"),
        (
            lambda: train(y=Y[:1]),
            r"x and y must have shape \[T, n, ...\], of T sub-tasks, got \(2, 5, 3\) and \(1, 5\)",
        ),
        (lambda: train(y=Y + 4), r"y must lie in 0..3, got 4..4"),
        (lambda: train(y=Y + 0.5), "y must be integers, one class per sample, got float64"),
        (lambda: train(y=Y[..., None]), r"y must be classes \[T, n\], .* got \(2, 5, 1\)"),
        (lambda: train(x=X + np.inf), "x must be finite"),
        (lambda: train(apply=lambda p, x: x[:, 0]), r"apply must give logits \[B, C\] of x \[B, ...\], got \(5,\) of"),
        (
            lambda: train(params={"kernel": jnp.ones(3), "bias": jnp.zeros(4)}, apply=lambda p, x: x),
            "params must hold a",
        ),
        (lambda: train(key=jax.random.split(jax.random.key(0), 2)), r"params must have leaves \[2, ...\], .* got \["),
        (lambda: train(key=jax.random.split(jax.random.key(0), 0)), r"key must be one key, .* of shape \(0,\)"),
        (lambda: train(key=0), "key must be one key"),
        (lambda: train(num_samples=3), "num_samples must divide batch_size=128, got 3"),
        (lambda: train(num_samples=0), "num_samples must be at least 1, got 0"),
        (lambda: train(num_steps=-1), "num_steps must be at least 0, got -1"),
        (lambda: train(alpha=-1), "alpha must be a finite number of at least 0, got -1"),
        (lambda: train(learning_rate=np.nan), "learning_rate must be a finite number of at least 0, got nan"),
        (lambda: mj.mask_matrix(linear, PARAMS, MASKS, X, Y[:1]), "x and y must have shape"),
        (
            lambda: mj.mask_matrix(linear, PARAMS, MASKS | {"kernel": np.ones((1, 3, 1))}, X, Y),
            r"masks must have the shapes of the params, got \(3, 1\) for \(3, 4\)",
        ),
        (
            lambda: mj.mask_overlap(MASKS, {"kernel": np.ones((1, 3, 1), bool), "bias": None}),
            "first and second must be",
        ),
        (lambda: mj.mask_overlap(MASKS, MASKS["kernel"]), "first and second must be masks of one network, got"),
        (lambda: mj.masked(PARAMS, MASKS), r"masks must have the shapes of the params, got \(1, 3, 4\) for \(3, 4\)"),
    ],
)
def test_what_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()
