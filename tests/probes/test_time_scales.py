"""Time scales of modules: of autoregressive units as their formula has it, of any activity as a slow loop has it."""

import numpy as np
import pytest

import modularity_jax as mj

RNG = np.random.default_rng(0)


def autoregressive(coefficients, trials, steps):
    """x_t = a x_{t - 1} + noise from its stationary distribution on, [n, T, N]."""
    a = np.asarray(coefficients)
    x = [RNG.normal(size=(trials, a.size)) / np.sqrt(1 - a**2)]
    for _ in range(steps - 1):
        x.append(a * x[-1] + RNG.normal(size=(trials, a.size)))
    return np.stack(x, axis=1)


def slow(activity, labels, module):
    """Lag after lag and unit after unit."""
    centred, steps = activity - activity.mean(axis=(0, 1)), activity.shape[1]
    last, first = 1.0, 0
    for lag in range(1, steps // 2 + 1):
        own = []
        for unit in np.flatnonzero(labels == module):
            x = centred[:, :, unit]
            own.append((x[:, :-lag] * x[:, lag:]).mean() / (x**2).mean())
        value = np.mean(own)
        if value <= 0.5:
            return first + (last - 0.5) / (last - value)
        last, first = value, lag
    return np.inf


def test_autoregressive_units_halve_as_their_coefficient_does():
    """a^lag = 1/2; a line between two lags is within a hundredth of the power there, and sampling within 5%."""
    coefficients = np.array([0.5, 0.5, 0.9, 0.9, 0.98, 0.98])
    activity = autoregressive(coefficients, 100, 1000)
    found = mj.time_scales(10 * activity + 3, np.arange(6) // 2, num_clusters=3)
    np.testing.assert_allclose(found, np.log(0.5) / np.log([0.5, 0.9, 0.98]), rtol=0.05)


def test_any_activity():
    activity = autoregressive([0.6, 0.8, 0.9, 0.3, 0.95], 3, 40) * np.array([1, 50, 2, 1, 1])
    labels = np.array([0, 0, 1, -1, 1])
    found = mj.time_scales(activity, labels, num_clusters=3)
    np.testing.assert_allclose(found[:2], [slow(activity, labels, module) for module in (0, 1)], rtol=1e-4)
    assert np.isnan(found[2])
    for unit in (1e-25, 1e25):
        again = mj.time_scales(activity * np.array([1, unit, 1, 1, unit]), labels, num_clusters=3)
        np.testing.assert_allclose(again, found, rtol=1e-4)


def test_limits():
    """Signs that alternate fall to -1 at once, a constant unit counts for nothing, what trials keep never halves."""
    signs = np.tile([1.0, -1.0], 10)[:, None]
    step = np.repeat([0.0, 1.0], 10)[:, None]
    still = np.ones((20, 1))
    found = mj.time_scales(np.concatenate([signs, still, still], axis=1), [0, 0, 1], num_clusters=2)
    np.testing.assert_allclose(found, [0.25, np.nan], rtol=1e-5)
    slowly = mj.time_scales(np.concatenate([step, np.flip(step)]), [0], num_clusters=1)
    assert 3 < slowly < 10
    assert mj.time_scales(np.stack([still, -still]) + 1e-3 * signs, [0], num_clusters=1) == np.inf


@pytest.mark.parametrize(
    ("activity", "labels", "message"),
    [
        (np.ones(4), [0], r"activity must have shape \[T, N\] or \[n, T, N\] with at least 2 steps, got \(4,\)"),
        (np.ones((1, 2)), [0, 0], r"at least 2 steps, got \(1, 2\)"),
        (np.full((4, 1), np.nan), [0], "activity must be finite"),
        (np.ones((4, 2)), [0], r"labels must have shape \(2,\)"),
        (np.ones((4, 2)), [0, 2], r"labels must lie in -1\.\.1, got 0\.\.2"),
    ],
)
def test_what_is_refused(activity, labels, message):
    with pytest.raises(ValueError, match=message):
        mj.time_scales(activity, labels, num_clusters=2)
