import numpy as np
from scipy import ndimage

from modularity_jax.data import digits, idx, resized


def slowly(x):
    """What scikit-image's `resize` does with anti-aliasing, by SciPy, in float64."""
    places = np.mgrid[0:7, 0:7] * 4 + 1.5
    blurred = [ndimage.gaussian_filter(image, 1.5, mode="mirror") for image in x.astype(float).reshape(-1, 28, 28)]
    return np.stack([ndimage.map_coordinates(image, places, order=1).ravel() for image in blurred])


def test_images_are_blurred_and_interpolated():
    small = digits.load()
    x = np.random.default_rng(0).random((30, 784), dtype=np.float32)
    made = resized.sevenths(small._replace(x_train=x[:20], x_test=x[20:]))
    assert (made.x_train.shape, made.x_test.shape, made.x_train.dtype) == ((20, 49), (10, 49), np.float32)
    np.testing.assert_allclose(np.concatenate([made.x_train, made.x_test]), slowly(x), atol=1e-6)
    for name in ("y_train", "y_test", "num_classes"):
        assert getattr(made, name) is getattr(small, name)


def test_mnist(real_data_dir):
    """The study's loader asks for a brightest pixel of at least 250 of 255; a mean over 4 x 4 would give 255."""
    mnist = idx.load(real_data_dir / "mnist")
    made = resized.sevenths(mnist)
    assert (made.x_train.shape, made.x_test.shape) == ((60_000, 49), (10_000, 49))
    assert [int(255 * x.max()) for x in (made.x_train, made.x_test)] == [254, 252]
    np.testing.assert_allclose(made.x_test[:100], slowly(mnist.x_test[:100]), atol=1e-6)
