"""The adjusted Rand index against scikit-learn's, and by weights."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import modularity_jax as mj


@pytest.mark.parametrize("size", [2, 7, 60, 500])
def test_it_is_scikit_learns(size):
    stream = np.random.default_rng(size)
    for clusters in (2, 5):
        labels, others = stream.integers(-1, clusters, (2, size))
        others[: size // 2] = labels[: size // 2]  # so that it is not always near 0
        found = mj.adjusted_rand(labels, others)
        assert np.isnan(found) or found == pytest.approx(adjusted_rand_score(labels, others), abs=1e-12)
        assert size < 60 or 0 < found < 1
        np.testing.assert_allclose(mj.adjusted_rand(labels, others, np.full(size, 3.0)), found, atol=1e-12)


def test_names_of_labels_do_not_matter():
    labels = np.arange(60) % 4
    assert mj.adjusted_rand(labels, np.array([9, -7, 10**12, 3])[labels]) == 1
    assert mj.adjusted_rand(labels.tolist(), np.arange(60) // 15) == pytest.approx(
        adjusted_rand_score(labels, np.arange(60) // 15)
    )


def test_what_has_no_weight_is_left_out():
    labels, others = np.random.default_rng(0).integers(0, 3, (2, 60))
    kept = np.arange(60) % 3 > 0
    np.testing.assert_allclose(mj.adjusted_rand(labels, others, kept), mj.adjusted_rand(labels[kept], others[kept]))


@pytest.mark.parametrize("labels", [[], [3], [0, 0, 0, 0], [0, 1, 2, 3]])
def test_nothing_to_compare(labels):
    assert np.isnan(mj.adjusted_rand(labels, labels))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([0.5, 1], [0, 1]), r"^labels must be integers, got float"),
        (([0, 1], [[0, 1]]), r"^others must have one axis \[N\], got shape \(1, 2\)"),
        (([0, 1], [0, 1, 1]), r"^labels, others and weights must have one shape \[N\], got \(2,\), \(3,\), \(2,\)"),
        (([0, 1], [0, 1], [1]), r"^labels, others and weights must have one shape \[N\], got \(2,\), \(2,\), \(1,\)"),
        (([0, 1], [0, 1], ["a", "b"]), r"^weights must be real numbers"),
        (([0, 1], [0, 1], [1, np.nan]), r"^weights must be finite, got 1 non-finite of 2 values"),
        (([0, 1], [0, 1], [1, -0.5]), r"^weights must be at least 0, got -0.5"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(ValueError, match=text):
        mj.adjusted_rand(*arguments)
