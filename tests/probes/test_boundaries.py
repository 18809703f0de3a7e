"""Boundaries between modules: a slow reference, p-values under the null and not, task variances by hand."""

import jax
import numpy as np
import pytest
from scipy import stats

import modularity_jax as mj

KEY = jax.random.key(0)
LABELS = np.array([0, 0, 3, 1, 1, 1, -1, 3, 0, 1, 0, 0])


def slow(labels, rows, similarity):
    """T pair by pair, of the units that have a module."""
    live = labels >= 0
    labels, rows = labels[live], rows[live]
    rows = rows - rows.mean(axis=0) if similarity == "cosine" else rows
    pairs = {True: [], False: []}
    for i in range(len(rows)):
        for j in range(i):
            a, b = rows[i], rows[j]
            own = a @ b / np.linalg.norm(a) / np.linalg.norm(b) if similarity == "cosine" else -np.linalg.norm(a - b)
            pairs[bool(labels[i] == labels[j])].append(own)
    return np.mean(pairs[True]) - np.mean(pairs[False])


@pytest.mark.parametrize("similarity", ["cosine", "distance"])
def test_a_slow_reference(similarity):
    rng = np.random.default_rng(0)
    features = {"wide": rng.normal(size=(12, 5)), "one": rng.normal(size=12)}
    found = mj.boundary_test(LABELS, features, KEY, num_shuffles=50, similarity=similarity)
    assert found.names == ("wide", "one")
    for name, observed in zip(found.names, found.observed, strict=True):
        expected = slow(LABELS, features[name].reshape(12, -1), similarity)
        assert observed == pytest.approx(expected, abs=1e-12)
    above = (found.controls >= found.observed - 1e-9).sum(axis=0)
    np.testing.assert_allclose(found.p_value, (1 + above) / 51)
    assert (found.p_adjusted >= found.p_value).all()
    again = mj.boundary_test(LABELS + 5 * (LABELS >= 0), features, KEY, num_shuffles=20, similarity=similarity)
    np.testing.assert_allclose(again.controls, found.controls[:20])  # whatever the modules' numbers are


def test_controls_keep_the_modules_sizes():
    """Of 4 units in two pairs, three partitions are possible, a third of all permutations each."""
    values = np.random.default_rng(3).normal(size=(4, 2))
    found = mj.boundary_test([0, 0, 1, 1], {"x": values}, KEY, num_shuffles=600, similarity="distance")
    wanted = [slow(np.array(own), values, "distance") for own in ([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0])]
    nearest = abs(found.controls - np.array(wanted)).argmin(axis=1)
    np.testing.assert_allclose(found.controls[:, 0], np.array(wanted)[nearest], atol=1e-12)
    assert stats.chisquare(np.bincount(nearest, minlength=3)).pvalue > 0.01


def test_p_values_under_the_null_and_not():
    """Features that know nothing of the modules: p is uniform on a grid of 1/40, and adjusted ones are .05 at most so
    often; one that does is found beside nine that do not.
    """
    rng, labels, p, adjusted = np.random.default_rng(1), np.arange(24) % 3, [], []
    for index in range(120):
        features = {str(number): rng.normal(size=(24, 2)) for number in range(3)}
        found = mj.boundary_test(labels, features, jax.random.fold_in(KEY, index), num_shuffles=39)
        p.append(found.p_value[0])
        adjusted.append(found.p_adjusted.min())
    assert stats.kstest(np.array(p) - rng.random(120) / 40, "uniform").pvalue > 0.01
    assert stats.binomtest(int((np.array(adjusted) <= 0.05).sum()), 120, 0.05, alternative="greater").pvalue > 0.01
    features = {str(number): rng.normal(size=(24, 4)) for number in range(9)}
    features["told"] = np.eye(3)[labels] + rng.normal(size=(24, 3)) / 3
    found = mj.boundary_test(labels, features, KEY, num_shuffles=199)
    assert found.p_adjusted[-1] == pytest.approx(1 / 200)
    assert (found.p_adjusted[:-1] > 0.05).all()


def test_task_variance_by_hand():
    states, tasks = np.random.default_rng(2).normal(size=(7, 3, 4)), np.array([2, 5, 2, 5, 5, 2, 2])
    states[..., 3] = 1.5
    found = mj.task_variance(states, tasks)
    for unit in range(3):
        own = [np.mean([np.var(states[tasks == task, step, unit]) for step in range(3)]) for task in (2, 5)]
        np.testing.assert_allclose(found[unit], np.array(own) / max(own), rtol=1e-12)
    assert (found[3] == 0).all()
    assert found.shape == (4, 2)


ROWS = {"x": np.arange(4.0)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mj.boundary_test([0, 0, 1, 1], {}, KEY), "features must hold at least one array"),
        (lambda: mj.boundary_test([0, 0, 1], ROWS, KEY), r"features\['x'\] must have shape \(3, F\), .* got \(4,\)"),
        (lambda: mj.boundary_test([0, 0, 1, 1], {"x": [0, 1, 2, np.nan]}, KEY), r"features\['x'\] must be finite"),
        (lambda: mj.boundary_test([0, 0, -1, 0], ROWS, KEY), r"two modules, one of them of several .* sizes \[3\]"),
        (lambda: mj.boundary_test([0, 1, 2, 3], ROWS, KEY), r"got sizes \[1, 1, 1, 1\]"),
        (lambda: mj.boundary_test([[0, 1]], ROWS, KEY), r"labels must have shape \[N\], got \(1, 2\)"),
        (lambda: mj.boundary_test([0, 0, 1, 1], ROWS, KEY, num_shuffles=0), "num_shuffles must be at least 1, got 0"),
        (lambda: mj.boundary_test([0, 0, 1, 1], ROWS, KEY, similarity="x"), "similarity must be one of cosine, dist"),
        (lambda: mj.boundary_test([0, 0, 1, 1], ROWS, 3), "key must be one key"),
        (lambda: mj.task_variance(np.ones((4, 2)), [0, 0, 1, 1]), r"states must have shape \[trials, steps, N\]"),
        (lambda: mj.task_variance(np.ones((4, 2, 3)), [0, 0, 1]), r"tasks must have shape \(4,\), one per trial"),
        (lambda: mj.task_variance(np.ones((4, 2, 3)), [0, 0, 0, 7]), "at least 2 trials each, got 1 of task 7"),
        (lambda: mj.task_variance(np.full((4, 2, 3), np.inf), [0, 0, 1, 1]), "states must be finite"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
