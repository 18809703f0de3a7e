"""Lesions the slow way: the damaged weights are rebuilt, and the whole network runs in NumPy."""

import numpy as np


def random_params(seed, widths, scale=1.0):
    """Params of a perceptron, as Flax names them, normal weights and biases."""
    rng = np.random.default_rng(seed)
    return {
        f"layer_{i:02d}": {
            "kernel": (scale * rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32),
            "bias": (0.1 * rng.normal(size=shape[1])).astype(np.float32),
        }
        for i, shape in enumerate(zip(widths, widths[1:], strict=False))
    }


def random_labels(seed, widths, num_clusters, isolated=0.1):
    """Labels of all vertices, a share of them isolated."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_clusters, sum(widths))
    labels[rng.random(sum(widths)) < isolated] = -1
    return labels


def hidden(labels, widths):
    """Labels of the hidden layers."""
    return np.split(np.asarray(labels), np.cumsum(widths)[:-1])[1:-1]


def damage(params, masks):
    """Params whose units in masks (one [d_l] bool array per hidden layer) have no incoming weights and no bias."""
    damaged = {
        name: {part: np.array(value, np.float64) for part, value in layer.items()} for name, layer in params.items()
    }
    for name, mask in zip(sorted(damaged), masks, strict=False):
        damaged[name]["kernel"][:, mask] = 0
        damaged[name]["bias"][mask] = 0
    return damaged


def logits(params, x, activation=lambda a: np.maximum(a, 0)):
    """Logits [n, C] of samples [n, d_0], in float64; the lesions know of ReLU only."""
    a = np.asarray(x, np.float64)
    names = sorted(params)
    for name in names:
        a = a @ np.asarray(params[name]["kernel"], np.float64) + np.asarray(params[name]["bias"], np.float64)
        a = activation(a) if name != names[-1] else a
    return a


def class_sums(params, x, y, metric=None):
    """Sum of the metric (right answers by default) over each class."""
    found = logits(params, x)
    values = (found.argmax(1) == y).astype(float) if metric is None else np.asarray(metric(found, y))
    return np.bincount(y, values, minlength=found.shape[1])


def modules(hidden_labels):
    """Layer index and cluster of each sub-module."""
    return [(layer, c) for layer, own in enumerate(hidden_labels) for c in np.unique(own[own >= 0])]


def masks_of(hidden_labels, *chosen):
    """Masks that silence the chosen sub-modules."""
    masks = [np.zeros(len(own), bool) for own in hidden_labels]
    for layer, cluster in chosen:
        masks[layer] |= hidden_labels[layer] == cluster
    return masks
