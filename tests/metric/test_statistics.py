"""Monte Carlo statistics against sums by hand, NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from modularity_jax.metric.statistics import TIE_TOLERANCE, clopper_pearson, compare

statistics = jax.jit(compare)


def of(observed, controls):
    return statistics(jnp.float32(observed), jnp.asarray(controls, jnp.float32))


@pytest.mark.parametrize(
    ("observed", "lower", "upper", "two_sided"),
    [
        (0.5, 1 / 5, 5 / 5, 2 / 5),  # below all four controls: only the observed value itself counts
        (1.0, 2 / 5, 5 / 5, 4 / 5),  # tied with the first: it counts on both sides
        (2.5, 3 / 5, 3 / 5, 1),
        (4.0, 5 / 5, 2 / 5, 4 / 5),
        (9.0, 5 / 5, 1 / 5, 2 / 5),
    ],
)
def test_p_values(observed, lower, upper, two_sided):
    found = of(observed, [1, 2, 3, 4])
    np.testing.assert_allclose(
        [found.p_value, found.p_opposite, found.p_two_sided], [lower, upper, two_sided], rtol=1e-6
    )


def test_all_controls_tied():
    found = of(2.0, [2, 2, 2, 2])
    np.testing.assert_allclose([found.p_value, found.p_opposite, found.p_two_sided], [1, 1, 1])


@pytest.mark.parametrize("sign", [1, -1])
def test_rounding_counts_as_tied(sign):
    near, far = (1 + sign * f * TIE_TOLERANCE for f in (0.5, 5))
    tied, apart = of(1.0, [near] * 9), of(1.0, [far] * 9)
    assert (float(tied.p_value), float(tied.p_opposite)) == (1, 1)
    assert float(apart.p_value if sign > 0 else apart.p_opposite) == pytest.approx(0.1)
    assert float(apart.p_opposite if sign > 0 else apart.p_value) == 1


def test_moments_and_effect_size():
    controls = np.random.default_rng(0).normal(2.4, 0.03, 200)
    found = of(2.2, controls)
    np.testing.assert_allclose(found.mean, controls.mean(), rtol=1e-6)
    np.testing.assert_allclose(found.std, controls.std(ddof=0), rtol=1e-4)
    np.testing.assert_allclose(found.z_score, (2.2 - controls.mean()) / controls.std(ddof=0), rtol=1e-4)
    spread = np.median(np.abs(controls - np.median(controls)))
    np.testing.assert_allclose(found.effect_size, (np.median(controls) - 2.2) / spread, rtol=1e-4)


def test_z_score_and_effect_size_by_hand():
    # Mean 4, deviations -3 -2 0 1 4, variance 30 / 5 = 6; median 4, their sizes 0 1 2 3 4 have the median 2.
    found = of(1.0, [1, 2, 4, 5, 8])
    np.testing.assert_allclose(found.z_score, -3 / 6**0.5, rtol=1e-6)
    np.testing.assert_allclose(found.effect_size, 3 / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("observed", "z_score", "effect_size"), [(2, 0, 0), (1, -np.inf, np.inf), (3, np.inf, -np.inf)]
)
@pytest.mark.parametrize("constant", [[2.0] * 7, [2.0]])
def test_controls_that_do_not_vary(observed, z_score, effect_size, constant):
    found = of(observed, constant)
    assert float(found.z_score) == z_score
    assert float(found.effect_size) == effect_size
    assert not any(np.isnan(leaf).any() for leaf in found)


def test_controls_that_vary_by_rounding_only():
    found = of(2.0, [2.0, np.nextafter(np.float32(2), np.float32(3))] * 5)
    assert float(found.z_score) == 0
    assert float(found.effect_size) == 0


def test_observed_value_of_zero():
    found = of(0.0, [0.0, 0.0, 1.0])
    assert float(found.p_value) == pytest.approx(3 / 4)
    assert float(found.p_opposite) == 1
    assert not any(np.isnan(leaf).any() for leaf in found)


@pytest.mark.parametrize("trials", [1, 19, 200, 3200])
def test_interval_equals_scipy(trials):
    hits = np.unique(np.array([0, 1, 2, trials // 20, trials // 2, trials - 1, trials]))
    hits = hits[(hits >= 0) & (hits <= trials)]
    found = jax.jit(jax.vmap(lambda h: clopper_pearson(h, trials)))(jnp.asarray(hits))
    expected = [scipy.stats.binomtest(int(h), trials).proportion_ci(method="exact") for h in hits]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(found[1:, 0], np.array(expected)[1:, 0], rtol=2e-3)


def test_interval_at_another_confidence():
    expected = scipy.stats.binomtest(7, 50).proportion_ci(confidence_level=0.8, method="exact")
    np.testing.assert_allclose(clopper_pearson(jnp.asarray(7), 50, 0.8), expected, atol=1e-5)


def test_interval_counts_the_ties():
    found = of(1.0, [1, 1, 2, 3])
    expected = scipy.stats.binomtest(2, 4).proportion_ci(method="exact")
    np.testing.assert_allclose(found.p_interval, expected, atol=1e-5)


def test_vmap():
    controls = np.random.default_rng(1).normal(size=(5, 30))
    batched = jax.jit(jax.vmap(compare))(jnp.zeros(5), jnp.asarray(controls, jnp.float32))
    np.testing.assert_allclose(batched.p_value, (1 + (controls <= 0).sum(axis=1)) / 31, rtol=1e-6)


def test_controls_without_a_value_are_left_out():
    found, known = of(2.5, [1, np.nan, 2, 3, np.nan, 4]), of(2.5, [1, 2, 3, 4])
    assert (int(found.num_left_out), int(known.num_left_out)) == (2, 0)
    for name, value in known._asdict().items():
        if name != "num_left_out":
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(("observed", "controls"), [(2.5, [np.nan] * 3), (np.nan, [1, 2, 3])])
def test_nothing_to_compare_has_no_p(observed, controls):
    found = of(observed, controls)
    for name in ("p_value", "p_opposite", "p_two_sided", "p_interval", "z_score", "effect_size"):
        assert np.isnan(getattr(found, name)).all(), name
