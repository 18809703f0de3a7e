"""Networks whose sub-modules do what is known: nothing in particular, or one group of classes each."""

import numpy as np

from tests.probes import slow


def without_modules(widths, num_samples, *, noise=1.0):
    """Params, samples, classes and hidden activations of random features with a readout by least squares.

    Classes lie around random points. Whatever labels are drawn for the hidden units, they are labels at random.
    """
    rng, params = np.random.default_rng(0), slow.random_params(0, widths)
    y = np.arange(num_samples) % widths[-1]
    x = rng.normal(size=(widths[-1], widths[0]))[y] + noise * rng.normal(size=(num_samples, widths[0]))
    hidden, last = activations(params, x), sorted(params)[-1]
    readout = np.linalg.lstsq(np.c_[hidden[-1], np.ones(num_samples)], np.eye(widths[-1])[y], rcond=None)[0]
    params[last] = {"kernel": readout[:-1].astype(np.float32), "bias": readout[-1].astype(np.float32)}
    return params, x.astype(np.float32), y, hidden


def with_modules(num_classes, num_clusters, copies, num_samples):
    """Params, labels, samples, classes and hidden activations of two layers in which each class has units of its own.

    A sub-module has all the copies of num_classes / num_clusters classes; a sample's input is 1 at its own class and
    less at another one, which wins once it has lost fewer of its copies.
    """
    rng, owner = np.random.default_rng(0), np.repeat(np.arange(num_classes), copies)
    spread = np.eye(num_classes, dtype=np.float32)[:, owner]
    kernels = spread, (owner[:, None] == owner[None]).astype(np.float32) / copies, spread.T / copies
    params = {f"layer_{index:02d}": {"kernel": kernel} for index, kernel in enumerate(kernels)}
    outside, modules = np.full(num_classes, -1), owner * num_clusters // num_classes
    y = np.arange(num_samples) % num_classes
    x = 0.02 * rng.random((num_samples, num_classes))
    x[np.arange(num_samples), (y + rng.integers(1, num_classes, num_samples)) % num_classes] += rng.random(num_samples)
    x[np.arange(num_samples), y] = 1
    x = x.astype(np.float32)
    return params, np.concatenate([outside, modules, modules, outside]), x, y, activations(params, x)


def activations(params, x):
    """Of the hidden layers, [n, d_l] each."""
    found = [np.asarray(x, np.float64)]
    for name in sorted(params)[:-1]:
        found.append(np.maximum(found[-1] @ params[name]["kernel"] + params[name].get("bias", 0), 0))
    return found[1:]
