import numpy as np
import pytest

import modularity_jax.data
from modularity_jax.data import polynomials

X, Y = np.float32(1.5), np.float32(-2.0)
# The bits of a target are, from the highest: 1, y, y^2, x, x y, x y^2, x^2, x^2 y, x^2 y^2.
BY_HAND = {
    0: 0,
    0b000000001: X**2 * Y**2,
    0b000000010: X**2 * Y,
    0b000010000: X * Y,
    0b010000000: Y,
    0b100000000: 1,
    0b100100001: 1 + X + X**2 * Y**2,
    0b001001100: Y**2 + X * Y**2 + X**2,
    0b111111111: (1 + X + X**2) * (1 + Y + Y**2),
}


@pytest.mark.parametrize(("target", "value"), BY_HAND.items(), ids=map("{:09b}".format, BY_HAND))
def test_targets_by_hand(target, value):
    found = polynomials.targets(np.array([[0, 0], [X, Y]], np.float32))
    assert found.shape == (2, 512)
    assert found[1, target] == value
    assert found[0, target] == target >> 8  # at the origin there is but the constant


def test_the_set():
    found, again = (modularity_jax.data.load("polynomials", num_train=2000) for _ in range(2))
    for x, y, count in ((found.x_train, found.y_train, 2000), (found.x_test, found.y_test, 10_000)):
        assert (x.shape, y.shape, x.dtype, y.dtype) == ((count, 2), (count, 512), np.float32, np.float32)
        assert abs(x.mean(axis=0)).max() < 5 / np.sqrt(count)
        assert abs(x.std(axis=0) - 1).max() < 5 / np.sqrt(2 * count)
        assert (y[:, 0] == 0).all()
        np.testing.assert_array_equal(y[:, 0b000100000], x[:, 0])
    np.testing.assert_array_equal(found.x_train, again.x_train)
    assert not np.array_equal(found.x_train, found.x_test[:2000])
