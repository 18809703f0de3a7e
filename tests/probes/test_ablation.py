"""Ablation of modules against NumPy, with planted modules, and what the public code leaves out: the last matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.probes.submodules import permuted_labels
from modularity_jax.probes.verdicts import p_values
from tests.probes import slow

WIDTHS, CLUSTERS, R = (6, 12, 10, 4), 3, 19
PARAMS = slow.random_params(0, WIDTHS, 1.5)
LABELS = slow.random_labels(1, WIDTHS, CLUSTERS)
X = np.random.default_rng(2).normal(size=(83, WIDTHS[0])).astype(np.float32)
Y = np.random.default_rng(3).integers(0, WIDTHS[-1], 83).astype(np.int32)
KEY = jax.random.key(4)
HOW = {"num_clusters": CLUSTERS, "num_shuffles": R}


def split(labels):
    return np.split(labels, np.cumsum(WIDTHS)[:-1])


def without(params, labels, gone):
    """Params without the weights between units i and j of which gone(label i, label j)."""
    left = jax.tree.map(np.array, params)
    for name, before, after in zip(sorted(left), split(labels), split(labels)[1:], strict=False):
        for i, a in enumerate(before):
            for j, b in enumerate(after):
                if gone(a, b):
                    left[name]["kernel"][i, j] = 0
    return left


def ablations(labels, kind):
    if kind == "between":
        return [without(PARAMS, labels, lambda a, b: a != b and min(a, b) >= 0)]
    return [without(PARAMS, labels, lambda a, b, c=c: a == b == c) for c in range(CLUSTERS)]


@pytest.mark.parametrize("kind", ["inside", "between"])
def test_a_slow_reference(kind):
    """The network and its controls, exactly; statistics from them."""
    found = mj.ablation_test(PARAMS, LABELS, X, Y, KEY, **HOW, kind=kind, samples_per_batch=30)
    trials = [np.concatenate(permuted_labels(split(LABELS), KEY, trial)) for trial in range(R + 1)]
    total = sum(abs(layer["kernel"]).sum() for layer in PARAMS.values())
    scores, removed = np.zeros((2, R + 1, len(found.cluster)))
    for trial, labels in enumerate(trials):
        for index, left in enumerate(ablations(labels, kind)):
            scores[trial, index] = slow.class_sums(left, X, Y).sum() / len(X)
            removed[trial, index] = 1 - sum(abs(layer["kernel"]).sum() for layer in left.values()) / total
    np.testing.assert_allclose(np.concatenate([found.accuracy[None], found.control_accuracy]), scores, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([found.removed[None], found.control_removed]), removed, atol=1e-6)
    np.testing.assert_array_equal(found.cluster, [0, 1, 2] if kind == "inside" else [-1])
    assert found.undamaged == pytest.approx(slow.class_sums(PARAMS, X, Y).sum() / len(X))
    np.testing.assert_allclose(found.diff, scores[0] - found.undamaged, atol=1e-6)
    np.testing.assert_allclose(found.control_mean, scores[1:].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.z_score, (scores[0] - scores[1:].mean(axis=0)) / scores[1:].std(axis=0), rtol=1e-4)
    worse = p_values(scores[0], scores[1:], ties="counted") if kind == "inside" else None
    better = (1 + (scores[1:] >= scores[0] - 1e-6).sum(axis=0)) / (R + 1)
    np.testing.assert_allclose(found.p_value, worse if kind == "inside" else better)
    sizes = np.bincount(Y)
    np.testing.assert_allclose(found.accuracy_by_class @ sizes / len(X), found.accuracy, atol=1e-6)


def test_controls_keep_the_numbers_of_each_layer():
    for trial in (1, 2):
        moved = permuted_labels(split(LABELS), KEY, trial)
        for before, after in zip(split(LABELS), moved, strict=True):
            np.testing.assert_array_equal(np.sort(after), np.sort(before))
            np.testing.assert_array_equal(after < 0, before < 0)
        assert (np.concatenate(moved) != LABELS).mean() > 0.3


def test_modules_that_work_by_themselves():
    """Two networks side by side, hardly joined: as good without what joins them, while controls lose."""
    labels, params = [np.arange(width) * 2 // width for width in WIDTHS], jax.tree.map(np.array, PARAMS)
    for name, before, after in zip(sorted(params), labels, labels[1:], strict=False):
        params[name]["kernel"][before[:, None] != after[None]] *= 1e-3
    labels, y = np.concatenate(labels), slow.logits(params, X).argmax(axis=1)
    between, inside = (
        mj.ablation_test(params, labels, X, y, KEY, num_clusters=2, kind=kind, num_shuffles=49)
        for kind in ("between", "inside")
    )
    assert between.undamaged == 1
    assert between.accuracy[0] > 0.98
    assert between.p_value[0] == 0.02
    assert between.removed[0] < 0.002 < 0.2 < between.control_removed.min()
    assert (inside.diff < -0.05).all()


def test_the_last_matrix_belongs_to_it():
    """A cluster of a hidden unit and an output: the weight between them alone is gone."""
    params = {"Dense_0": {"kernel": np.eye(2)}, "Dense_1": {"kernel": np.eye(2)}}
    labels, x = [-1, -1, 0, 1, 0, 1], np.array([[2.0, 1.0]] * 4)
    found = mj.ablation_test(params, labels, x, [0, 0, 0, 0], KEY, num_clusters=2, num_shuffles=3)
    assert found.undamaged == 1
    np.testing.assert_array_equal(found.accuracy, [0, 1])
    np.testing.assert_allclose(found.removed, [0.25, 0.25])


def test_clusters_that_no_control_can_change():
    """By layers: nothing is inside a cluster, all of a matrix is between two."""
    labels = np.repeat([0, 1, 2, 2], WIDTHS)
    inside = mj.ablation_test(PARAMS, labels, X, Y, KEY, **HOW)
    assert np.isnan(inside.p_value).all()
    np.testing.assert_array_equal(inside.accuracy[:2], inside.undamaged)
    assert np.isnan(mj.ablation_test(PARAMS, labels, X, Y, KEY, **HOW, kind="between").p_value).all()


def test_any_function_of_dense_layers():
    """Of Flax's variables too; the same program for another network and other clusters."""

    def apply(variables, x):
        first, second, third = (variables["params"][name] for name in sorted(variables["params"]))
        x = jnp.tanh(x @ first["kernel"] + first["bias"][None])
        x = jnp.tanh(x @ second["kernel"] + second["bias"][None])
        return x @ third["kernel"] + third["bias"][None]

    found = mj.ablation_test({"params": PARAMS}, LABELS, X, Y, KEY, **HOW, apply=apply)
    for cluster, left in enumerate(ablations(LABELS, "inside")):
        want = (slow.logits(left, X, np.tanh).argmax(axis=1) == Y).mean()
        np.testing.assert_allclose(found.accuracy[cluster], want, atol=1e-6)
    programs = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **more: programs.append((event, more)))
    other = slow.random_params(9, WIDTHS, 1.5)
    mj.ablation_test({"params": other}, LABELS[::-1] * 0, X, Y, KEY, num_clusters=5, num_shuffles=40, apply=apply)
    names = [more.get("fun_name") for event, more in programs if "backend_compile" in event]
    assert "jit(_run)" not in names


def test_devices_share_the_batches():
    one, many = (
        mj.ablation_test(PARAMS, LABELS, X, Y, KEY, **HOW, samples_per_batch=20, mesh=mesh)
        for mesh in (None, jax.make_mesh((len(jax.devices()),), ("sample",)))
    )
    np.testing.assert_array_equal(one.control_accuracy, many.control_accuracy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "outside"}, "kind must be one of inside, between, got 'outside'"),
        ({"num_clusters": 1}, "num_clusters must be at least 2, got 1"),
        ({"num_shuffles": 0}, "num_shuffles must be at least 1, got 0"),
        ({"labels": LABELS[:-1]}, r"labels must have shape \(32,\)"),
        ({"labels": np.full(32, -1)}, "labels must put some unit into a cluster, got none"),
        ({"x": X[:, :5]}, r"x must have shape \[n, 6\], one column per input of the network, got \(83, 5\)"),
        ({"y": Y[:-1]}, r"y must have shape \(83,\)"),
        ({"undamaged": 0.99}, "undamaged=0.99 is not what params, x and y give"),
        ({"samples_per_batch": 0}, "samples_per_batch must be at least 1, got 0"),
        ({"ties": "broken"}, "ties must be one of counted, strict"),
        ({"params": PARAMS | {"norm": {"scale": np.ones(3)}}}, "params must hold Dense layers only"),
        ({"metric": lambda logits, y: jnp.full(y.shape, jnp.nan)}, "metric must be finite"),
    ],
)
def test_what_is_refused(change, message):
    given = {"params": PARAMS, "labels": LABELS, "x": X, "y": Y, "key": KEY, **HOW} | change
    with pytest.raises(ValueError, match=message):
        mj.ablation_test(**given)
