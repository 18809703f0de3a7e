"""What modules read, against SciPy's angles between subspaces."""

import numpy as np
import pytest
from scipy.linalg import orth, subspace_angles

import modularity_jax as mj

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("rank", [None, 2])
def test_angles(rank):
    """Of modules of 3, 5 and 2 units, and one of none; the leading directions by SciPy's singular values."""
    labels = np.array([0, 1, 1, 2, 0, 1, 1, 2, 0, 1, -1])
    kernel = RNG.normal(size=(8, 11))
    found = np.asarray(mj.input_overlap(kernel, labels, num_clusters=4, rank=rank))
    spaces = [np.linalg.svd(kernel[:, labels == module])[0] for module in range(3)]
    spaces = [own[:, : min(rank or 8, size)] for own, size in zip(spaces, (3, 5, 2), strict=True)]
    want = [[(np.cos(subspace_angles(a, b)) ** 2).mean() for b in spaces] for a in spaces]
    np.testing.assert_allclose(found[:3, :3], want, rtol=1e-4)
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()


def test_known_overlaps():
    """Own inputs: 0; the same two inputs: 1; one of two shared: 1/2. Units that are copies add no direction."""
    reads = np.zeros((6, 8))
    for unit, inputs in enumerate([(0, 1), (0, 1), (2, 3), (2, 3), (1, 2), (1, 2), (0, 1), (0, 1)]):
        reads[list(inputs), unit] = RNG.normal(size=2)
    found = np.asarray(mj.input_overlap(reads, np.arange(8) // 2, num_clusters=4))
    np.testing.assert_allclose(found, [[1, 0, 0.5, 1], [0, 1, 0.5, 0], [0.5, 0.5, 1, 0.5], [1, 0, 0.5, 1]], atol=1e-5)
    copies = np.repeat(RNG.normal(size=(6, 2)), 3, axis=1)
    found = mj.input_overlap(copies, np.arange(6) // 3, num_clusters=2)
    np.testing.assert_allclose(found[0, 1], (orth(copies[:, :1]).T @ orth(copies[:, 3:4]))[0, 0] ** 2, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "labels", "rank", "message"),
    [
        (np.ones(3), [0], None, r"kernel must have shape \[d_in, d_out\], got \(3,\)"),
        ([[np.inf, 1]], [0, 1], None, "kernel must be finite"),
        (np.ones((3, 2)), [0], None, r"labels must have shape \(2,\)"),
        (np.ones((3, 2)), [0, 1], 0, "rank must be at least 1, got 0"),
    ],
)
def test_what_is_refused(kernel, labels, rank, message):
    with pytest.raises(ValueError, match=message):
        mj.input_overlap(kernel, labels, num_clusters=2, rank=rank)
