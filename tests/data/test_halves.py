import zlib

import numpy as np
import pytest

from modularity_jax.data import halves, idx
from modularity_jax.data.dataset import Dataset


@pytest.fixture(scope="module")
def plain():
    """A set whose images have one shade each, which is the sample's own number; training and test share none."""
    rng = np.random.default_rng(0)
    x = np.tile(np.arange(3000, dtype=np.float32)[:, None], (1, 784)) / np.float32(4096)
    y = rng.integers(0, 10, 3000, dtype=np.int32)
    return Dataset(x[:2000], y[:2000], x[2000:], y[2000:], num_classes=10)


SPLITS = [("train", 2000, 0), ("test", 1000, 2000)]


def numbers(x):
    """The samples [n] that the left and right halves come from, each half being of one shade."""
    images = x.reshape(-1, 28, 28) * 4096
    left, right = images[:, :, :14], images[:, :, 14:]
    assert (left == left[:, :1, :1]).all()
    assert (right == right[:, :1, :1]).all()
    return left[:, 0, 0].astype(int), right[:, 0, 0].astype(int)


@pytest.mark.parametrize(("split", "size", "start"), SPLITS)
def test_sums(plain, split, size, start):
    x, y = getattr(halves.sums(plain), split)
    assert (x.shape, x.dtype, y.dtype) == ((size, 784), np.float32, np.int32)
    digits = np.concatenate([plain.y_train, plain.y_test])
    left, right = numbers(x)
    for drawn in (left, right):
        assert drawn.min() >= start
        assert drawn.max() < start + size
        # Drawn with replacement, 1/e of the images stay out; five standard errors of that number.
        assert abs(len(set(drawn.tolist())) / size - (1 - np.exp(-1))) < 5 * np.sqrt(0.1 / size)
    np.testing.assert_array_equal(y, (digits[left] + digits[right]) % 10)


def test_the_two_images_of_a_sum_are_independent(plain):
    left, right = numbers(halves.sums(plain).x_train)
    assert abs(np.corrcoef(left, right)[0, 1]) < 5 / np.sqrt(len(left))
    assert (left == right).mean() < 0.01


@pytest.mark.parametrize(("split", "size", "start"), SPLITS)
def test_same(plain, split, size, start):
    x, y = getattr(halves.same(plain), split)
    assert (x.shape, x.dtype, y.dtype) == ((size, 784), np.float32, np.int32)
    digits = np.concatenate([plain.y_train, plain.y_test])
    left, right = numbers(x)
    np.testing.assert_array_equal(left, start + np.arange(size))
    assert (left != right).all()
    assert right.min() >= start
    assert right.max() < start + size
    np.testing.assert_array_equal(y, digits[left])
    np.testing.assert_array_equal(y, digits[right])


def test_partners_are_any_of_the_others_in_the_class():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(20_000), 3))
    found = halves.partners(labels, np.random.default_rng(1))
    members = np.argsort(labels, kind="stable").reshape(-1, 3)
    for place in range(3):
        others = np.delete(members, place, axis=1)
        chosen = found[members[:, place]][:, None] == others
        assert (chosen.sum(axis=1) == 1).all()
        assert abs(chosen[:, 0].mean() - 0.5) < 5 * np.sqrt(0.25 / len(chosen))


def test_a_class_with_one_image(plain):
    labels = plain.y_train.copy()
    labels[labels == 7] = 6
    labels[3] = 7
    with pytest.raises(ValueError, match=r"^halves_same takes two images of a class, there is one of class 7$"):
        halves.same(plain._replace(y_train=labels))


def test_each_half_is_an_image_with_two_columns_averaged():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20, 784)).astype(np.float32) / 255
    pair = Dataset(x, np.arange(20, dtype=np.int32) % 2, x, np.arange(20, dtype=np.int32) % 2, num_classes=10)
    images = halves.same(pair).x_train.reshape(20, 28, 28)
    expected = x.reshape(20, 28, 14, 2).mean(axis=-1)
    np.testing.assert_allclose(images[:, :, :14], expected, atol=1e-7)
    for i, image in enumerate(images):
        distance = np.abs(expected - image[:, 14:]).max(axis=(1, 2))
        assert distance.min() < 1e-7
        assert distance.argmin() % 2 == i % 2


@pytest.mark.parametrize("make", [halves.sums, halves.same])
def test_stacked_images_are_the_pairs_that_stand_side_by_side(plain, make):
    beside, stacked = make(plain), make(plain, halves.stacked)
    images = stacked.x_train.reshape(-1, 28, 28, 2)
    for channel, expected in enumerate(numbers(beside.x_train)):
        np.testing.assert_array_equal(images[..., channel] * 4096, np.tile(expected[:, None, None], (1, 28, 28)))
    np.testing.assert_array_equal(stacked.y_test, beside.y_test)


def test_draws_repeat_and_differ_between_the_sets_and_their_halves(plain):
    once, again = halves.sums(plain), halves.sums(plain)
    np.testing.assert_array_equal(once.x_train, again.x_train)
    same = halves.same(plain)
    assert not np.array_equal(once.x_train, same.x_train)
    assert not np.array_equal(numbers(once.x_train)[0][:1000], numbers(once.x_test)[0] - 2000)


# These may change only if the sets are meant to change, which makes earlier runs on them incomparable.
def test_golden(real_data_dir):
    mnist = idx.load(real_data_dir / "mnist")
    for made, checksums in (
        (halves.sums(mnist), [86794288, 854592192, 389684233, 105663631]),
        (halves.same(mnist), [1067454254, 4265356245, 1602441599, 3560790628]),
    ):
        assert (made.x_train.shape, made.x_test.shape) == ((60_000, 784), (10_000, 784))
        assert made.x_train.max() == 1
        assert [zlib.crc32(array.tobytes()) for array in made[:4]] == checksums
