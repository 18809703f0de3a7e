import sys
import zlib

import numpy as np
import pytest
from sklearn import datasets

from modularity_jax.data import digits


def test_split_is_a_partition_of_the_original():
    dataset = digits.load()
    assert dataset.x_train.shape == (1437, 64)
    assert dataset.x_test.shape == (360, 64)
    assert dataset.x_train.dtype == np.float32
    assert dataset.y_train.dtype == np.int32
    assert dataset.x_train.min() == 0
    assert dataset.x_train.max() == 1
    x, y = datasets.load_digits(return_X_y=True)
    together = np.column_stack([np.concatenate(dataset[0::2][:2]) * 16, np.concatenate(dataset[1::2][:2])])
    original = np.column_stack([x, y])
    np.testing.assert_array_equal(together[np.lexsort(together.T)], original[np.lexsort(original.T)])


def test_split_is_stratified():
    dataset = digits.load()
    share = np.bincount(dataset.y_test) - np.bincount(np.concatenate([dataset.y_train, dataset.y_test])) / 5
    assert np.abs(share).max() < 1


def test_order_is_mixed():
    """The first samples hold every class, or `num_train` would leave some out."""
    dataset = digits.load()
    assert len(set(dataset.y_train[:60].tolist())) == len(set(dataset.y_test[:60].tolist())) == 10


# May change only if the split is meant to change, which makes earlier runs on it incomparable.
def test_golden():
    checksums = [zlib.crc32(array.tobytes()) for array in digits.load()[:4]]
    assert checksums == [2417851074, 1689875953, 939740761, 2788661915]


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'scikit-learn: pip install "modularity_jax\[experiments\]"'):
        digits.load()
