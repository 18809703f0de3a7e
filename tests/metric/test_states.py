"""Hidden states: correlations, controls that keep what they say, p-values of independent units, planted modules."""

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import adjusted_rand_score

import modularity_jax as mj
from modularity_jax.data.planted import linear_states, modules, planted
from modularity_jax.runs.compilation import CompileWatch

KEY = jax.random.key(0)
SETTINGS = {"num_clusters": 3, "num_restarts": 2}
STATES = np.random.default_rng(0).normal(size=(5, 12, 4)).astype(np.float32)


def test_correlations_are_numpys_and_dead_units_have_none():
    states = 1e3 + STATES.copy()
    states[..., 2] = 7.3
    found = np.asarray(mj.unit_correlations(states))
    live = [0, 1, 3]
    expected = np.corrcoef(STATES.reshape(-1, 4)[:, live].T)
    np.testing.assert_allclose(found[np.ix_(live, live)], expected, atol=2e-4)  # 1e3 takes 3 of 7 digits
    assert (found[2] == 0).all()
    assert (found[:, 2] == 0).all()


def test_correlations_do_not_depend_on_units_scales():
    scaled = STATES * np.float32([1e-25, 1, 1e25, 1])
    np.testing.assert_allclose(mj.unit_correlations(scaled), mj.unit_correlations(STATES), atol=1e-6)


@pytest.mark.parametrize(("method", "axis"), [("shifts", 1), ("trials", 0)])
def test_units_that_a_control_keeps_as_they_are_take_no_part(method, axis):
    """What is left of them, less their means, is 0 and not what rounding leaves."""
    held = np.random.default_rng(1).normal(size=(5, 12, 2)).astype(np.float32).take([0], axis)
    states = np.concatenate([STATES, np.broadcast_to(held, (5, 12, 2))], axis=2)
    found = mj.state_test(states, KEY, num_shuffles=1, method=method, **SETTINGS)
    np.testing.assert_array_equal(np.asarray(found.clustering.labels) < 0, [False] * 4 + [True] * 2)


def turns_between(one, other):
    """By how many steps the course [steps] was turned."""
    return [turn for turn in range(len(one)) if (np.roll(one, -turn) == other).all()]


def test_shifts_turn_each_unit_in_each_trial():
    """So that its circular autocorrelation there is the same; all turns are equally likely."""
    found = [np.asarray(mj.shuffle_states(STATES, key)) for key in jax.random.split(KEY, 40)]
    turns = [turns_between(STATES[t, :, u], own[t, :, u]) for own in found for t in range(5) for u in range(4)]
    assert all(len(own) == 1 for own in turns)
    counts = np.bincount(np.concatenate(turns), minlength=12)
    assert stats.chisquare(counts).pvalue > 0.01
    spectra = [np.abs(np.fft.rfft(own, axis=1)) for own in (STATES, found[0])]
    np.testing.assert_allclose(*spectra, rtol=1e-4)


def test_trials_are_put_into_another_order_for_each_unit():
    found = np.asarray(mj.shuffle_states(STATES, KEY, method="trials"))
    orders = []
    for unit in range(4):
        same = (found[:, None, :, unit] == STATES[None, :, :, unit]).all(axis=2)
        np.testing.assert_array_equal(same.sum(axis=0), 1)
        orders.append(tuple(same.argmax(axis=1)))
    assert len(set(orders)) > 1


@pytest.mark.parametrize(("method", "shape"), [("shifts", (2, 60)), ("trials", (30, 4))])
def test_independent_units_with_a_memory_have_uniform_p_values(method, shape):
    """AR(1) of .8, on a grid of 1/20; one program for all of them, and for other numbers of shuffles."""
    trials, steps = shape
    p = []
    for index in range(60):
        key, own_key = jax.random.split(jax.random.fold_in(KEY, index))
        states = linear_states(np.eye(9), key, num_trials=trials, num_steps=steps, radius=0.8)
        found = mj.state_test(states, own_key, num_shuffles=19, method=method, **SETTINGS)
        p.append(float(found.p_value))
    assert stats.kstest(np.array(p) - np.random.default_rng(0).random(60) / 20, "uniform").pvalue > 0.01
    with CompileWatch() as watch:
        mj.state_test(states, KEY, num_shuffles=25, method=method, gamma=1.1, **SETTINGS)
    assert watch.programs == []


def planted_states(share, num_modules=3):
    """Of a network of 30 units, excitatory within modules, of either sign between them."""
    (kernel,) = planted(KEY, share, width=30, num_kernels=1, num_modules=num_modules)
    truth = modules((30,), num_modules)
    kernel = np.where(truth[:, None] == truth[None], np.abs(kernel), kernel)
    return linear_states(kernel, KEY, num_trials=10, num_steps=200), truth


def test_planted_modules_are_found_and_significant():
    """Whatever all units have in common of what a control keeps, a course of all trials or a mean of each."""
    states, truth = planted_states(0.2)
    rng = np.random.default_rng(0)
    common = {"shifts": rng.normal(size=(10, 1, 30)), "trials": rng.normal(size=(1, 200, 30))}
    for method in ("shifts", "trials"):
        found = mj.state_test(
            states + 5 * common[method].astype(np.float32), KEY, num_shuffles=19, method=method, **SETTINGS
        )
        assert adjusted_rand_score(truth, found.clustering.labels) > 0.9
        assert found.p_value == pytest.approx(1 / 20)
        assert found.z_score > 2
        assert found.observed == found.clustering.value
        assert found.controls.shape == (19,)
    left = states - states.mean(axis=0, keepdims=True)
    alone = mj.signed_modularity(mj.unit_correlations(left), found.clustering.labels, num_clusters=3)
    assert float(alone) == pytest.approx(float(found.observed), abs=1e-5)


@pytest.mark.bits
def test_the_number_of_devices_changes_no_bit():
    states, _ = planted_states(0.2)
    mesh = jax.make_mesh((4,), ("shuffle",))
    one, other = (mj.state_test(states, KEY, num_shuffles=19, mesh=own, **SETTINGS) for own in (None, mesh))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"states": STATES[0]}, r"states must have shape \[trials, steps, N\], got \(12, 4\)"),
        ({"states": STATES * np.inf}, "states must be finite"),
        ({"method": "layer"}, "method must be one of shifts, trials, got 'layer'"),
        ({"num_clusters": 5}, "num_clusters must be at most the number of units, 4, got 5"),
        ({"num_shuffles": 0}, "num_shuffles must be at least 1, got 0"),
        ({"shuffles_per_group": 0}, "shuffles_per_group must be at least 1, got 0"),
    ],
)
def test_what_is_refused(more, message):
    given = {"states": STATES, "num_clusters": 2} | more
    with pytest.raises(ValueError, match=message):
        mj.state_test(given.pop("states"), KEY, **given)


def test_correlations_of_what_has_no_samples_are_refused():
    with pytest.raises(ValueError, match=r"states must have shape \[\.\.\., N\], got \(4,\)"):
        mj.unit_correlations(STATES[0, 0])
