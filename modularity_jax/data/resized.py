"""MNIST at 7 x 7 pixels, small enough for the study's penalty on eigenvalues (2103.03386)."""

import numpy as np

from modularity_jax.data.dataset import SIDE, Dataset

_FACTOR = 4  # of the sides
_SIGMA = (_FACTOR - 1) / 2  # pixels; the anti-aliasing that scikit-image chooses
_RADIUS = round(4 * _SIGMA)  # where SciPy cuts off the Gaussian


def sevenths(mnist: Dataset) -> Dataset:
    """The same digits, blurred and then interpolated halfway between the middle pixels of each 4 x 4; d = 49.

    As scikit-image's `resize` with anti-aliasing: a Gaussian of sigma 1.5, mirrored at the edges, then bilinear at
    4i + 1.5.
    """
    return mnist._replace(x_train=_shrunk(mnist.x_train), x_test=_shrunk(mnist.x_test))


def _shrunk(x: np.ndarray) -> np.ndarray:
    """Images [n, 784] as [n, 49]. Blur and interpolation are one linear map [7, 28] along each side."""
    taps = np.exp(-np.square(np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) / 2)
    mirrored = np.pad(np.eye(SIDE), ((_RADIUS, _RADIUS), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, taps.size, axis=0)  # [28, 28, taps]
    blur = windows @ (taps / taps.sum())
    shrink = ((blur[1::_FACTOR] + blur[2::_FACTOR]) / 2).astype(np.float32)
    return (shrink @ x.reshape(-1, SIDE, SIDE) @ shrink.T).reshape(len(x), -1)
