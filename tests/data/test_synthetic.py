import zlib

import numpy as np
import pytest

from modularity_jax.data import synthetic


def checksums(dataset):
    return [zlib.crc32(array.tobytes()) for array in dataset[:4]]


@pytest.fixture(scope="module")
def lines():
    return synthetic.load_lines()


@pytest.fixture(scope="module")
def noise():
    return synthetic.load_random()


def assert_shapes(dataset):
    assert dataset.x_train.shape == (60_000, 784)
    assert dataset.x_test.shape == (10_000, 784)
    assert dataset.x_train.dtype == dataset.x_test.dtype == np.float32
    assert dataset.y_train.dtype == dataset.y_test.dtype == np.int32
    assert dataset.num_classes == 10


def assert_uniform(counts):
    """Counts of equally likely outcomes stay within five standard errors."""
    expected = counts.sum() / len(counts)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_lines_are_full_height_and_counted_by_the_label(lines):
    assert_shapes(lines)
    for x, y in (lines.train, lines.test):
        images = x.reshape(-1, 28, 28)
        assert np.isin(x, [0, 1]).all()
        assert (images == images[:, :1, :]).all()
        np.testing.assert_array_equal(images[:, 0, :].sum(axis=1), y + 1)


def test_lines_are_uniform_in_number_and_place(lines):
    assert_uniform(np.bincount(lines.y_train, minlength=10))
    single = lines.x_train[lines.y_train == 0, :28]
    assert_uniform(single.sum(axis=0))


def test_random_is_uniform(noise):
    assert_shapes(noise)
    assert noise.x_train.min() >= 0
    assert noise.x_train.max() <= 1
    assert_uniform(np.histogram(noise.x_test, bins=20, range=(0, 1))[0])
    assert_uniform(np.bincount(noise.y_train, minlength=10))


def test_training_and_test_noise_differ(noise):
    assert not np.array_equal(noise.x_train[:10_000], noise.x_test)
    assert not np.array_equal(noise.y_train[:10_000], noise.y_test)


# These may change only if the sets are meant to change, which makes earlier runs on them incomparable.
def test_lines_golden(lines):
    assert checksums(lines) == [195620859, 1385928868, 896261048, 884986750]


def test_random_golden(noise):
    assert checksums(noise) == [2217543247, 3422860186, 1932865963, 473262730]
