"""Lesions by a function of the network: those of a perceptron by the short way, those of a CNN against NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models import apply_silenced, architecture_of, init_params
from tests.probes import slow

WIDTHS, CLUSTERS = (7, 20, 16, 5), 3
PARAMS = slow.random_params(0, WIDTHS, 1.5)
LABELS = slow.random_labels(1, WIDTHS, CLUSTERS)
X = np.random.default_rng(2).normal(size=(83, WIDTHS[0])).astype(np.float32)
Y = np.random.default_rng(3).integers(0, WIDTHS[-1], 83).astype(np.int32)
KEY = jax.random.key(4)


def perceptron(params, x, silence):
    *hidden, last = (params[name] for name in sorted(params))
    for layer, silent in zip(hidden, silence, strict=True):
        x = jnp.where(silent[None], 0, nn.relu(x @ layer["kernel"] + layer["bias"][None]))
    return x @ last["kernel"] + last["bias"][None]


@pytest.mark.parametrize("kind", ["single", "joint", "conditional"])
def test_a_perceptron_as_by_its_short_way(kind):
    """To one image, with all statistics of those where none differs."""
    shared = {"num_clusters": CLUSTERS, "num_shuffles": 5, "samples_per_batch": 30}
    if kind == "single":
        short, whole = (
            mj.lesion_test(PARAMS, LABELS, X, Y, KEY, **shared, **how)
            for how in ({}, {"apply": perceptron, "widths": WIDTHS})
        )
    else:
        short, whole = (
            mj.double_lesion_test(PARAMS, LABELS, X, Y, KEY, kind=kind, **shared, **how)
            for how in ({}, {"apply": perceptron, "widths": WIDTHS})
        )
    assert short.undamaged == whole.undamaged
    for name in ("accuracy", "control_accuracy"):
        np.testing.assert_allclose(getattr(short, name), getattr(whole, name), atol=1.01 / len(X))
        assert (getattr(short, name) != getattr(whole, name)).mean() < 0.02
    np.testing.assert_array_equal(short.submodules.num_units, whole.submodules.num_units)


def test_devices_share_the_batches():
    how = {"num_clusters": CLUSTERS, "num_shuffles": 3, "samples_per_batch": 20, "apply": perceptron, "widths": WIDTHS}
    one = mj.lesion_test(PARAMS, LABELS, X, Y, KEY, **how)
    many = mj.lesion_test(PARAMS, LABELS, X, Y, KEY, **how, mesh=jax.make_mesh((len(jax.devices()),), ("sample",)))
    np.testing.assert_array_equal(one.control_accuracy_by_class, many.control_accuracy_by_class)


def convolved(x, kernel, bias):
    """A 3 x 3 convolution with zeros around, position by position; x [n, h, w, c]."""
    height, width = x.shape[1:3]
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    out = np.zeros((*x.shape[:3], kernel.shape[3]))
    for i in range(3):
        for j in range(3):
            out += padded[:, i : i + height, j : j + width] @ kernel[i, j]
    return out + bias


def pooled(x):
    n, height, width, channels = x.shape
    return (
        x[:, : height // 2 * 2, : width // 2 * 2].reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    )


def slow_cnn(params, x, silent):
    """Logits of the small CNN in NumPy, with the incoming weights and biases of silent units set to 0."""
    layers = [{name: np.array(value, float) for name, value in params[layer].items()} for layer in sorted(params)]
    for layer, units in zip(layers, silent, strict=False):
        layer["kernel"][..., units] = 0
        layer["bias"][units] = 0
    for index, layer in enumerate(layers[:-2]):
        x = np.maximum(convolved(x, layer["kernel"], layer["bias"]), 0)
        x = pooled(x) if index else x
    x = np.maximum(x.reshape(len(x), -1) @ layers[-2]["kernel"] + layers[-2]["bias"], 0)
    return x @ layers[-1]["kernel"] + layers[-1]["bias"]


@pytest.fixture(scope="module")
def small_cnn():
    config = ModelConfig(widths=(36, 6, 5, 8, 4), name="cnn")
    params = init_params(architecture_of(config).module(config), 36, jax.random.key(5))
    rng = np.random.default_rng(6)
    biases = {name: {"bias": rng.normal(size=own["bias"].shape).astype(np.float32)} for name, own in params.items()}
    params = {name: {**params[name], **biases[name]} for name in params}
    x, y = rng.normal(size=(40, 36)).astype(np.float32), rng.integers(0, 4, 40)
    return config, params, x, y


def test_a_cnn_computes_what_numpy_does(small_cnn):
    config, params, x, _ = small_cnn
    nothing = tuple(np.zeros(width, bool) for width in (6, 5, 8))
    found = apply_silenced(config)(params, x, nothing)
    np.testing.assert_allclose(found, slow_cnn(params, x.reshape(-1, 6, 6, 1), nothing), atol=1e-4)
    some = tuple(np.arange(width) % 3 == 1 for width in (6, 5, 8))
    found = apply_silenced(config)(params, x, some)
    np.testing.assert_allclose(found, slow_cnn(params, x.reshape(-1, 6, 6, 1), some), atol=1e-4)


def test_lesions_of_a_cnns_channels(small_cnn):
    config, params, x, y = small_cnn
    graph = architecture_of(config).graph(params)
    assert graph.widths == (1, 6, 5, 8, 4)
    labels = np.random.default_rng(7).integers(0, 2, graph.num_nodes)
    test = mj.lesion_test(
        params, labels, x, y, jax.random.key(8), num_clusters=2, num_shuffles=3, apply=apply_silenced(config),
        widths=graph.widths,
    )  # fmt: skip
    groups = np.split(labels, np.cumsum(graph.widths)[:-1])[1:-1]
    for module, (layer, cluster) in enumerate(zip(*test.submodules[:2], strict=True)):
        silent = [(own == cluster) & (group == layer) for group, own in enumerate(groups, start=1)]
        right = slow_cnn(params, x.reshape(-1, 6, 6, 1), silent).argmax(axis=1) == y
        np.testing.assert_allclose(test.accuracy[module], right.mean(), atol=1.01 / len(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": None}, "widths must be those of inputs, hidden groups and outputs where apply is given, got None"),
        ({"widths": (7, 5)}, r"widths must be those .*, got \(7, 5\)"),
        ({"widths": (7, 20.5, 5)}, "widths must be a whole number, got 20.5"),
        ({"apply": lambda params, x, silence: x[0]}, r"apply must give logits \[B, C\] of samples .*, got \(7,\)"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    how = {"apply": perceptron, "widths": WIDTHS} | change
    with pytest.raises(ValueError, match=message):
        mj.lesion_test(PARAMS, LABELS, X, Y, KEY, num_clusters=CLUSTERS, **how)
