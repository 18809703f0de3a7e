"""Routing scores: the table of known assignments, a slow reference over all permutations, p under the null."""

import itertools

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mutual_info_score

import modularity_jax as mj

KEY = jax.random.key(0)
NAMES = mj.RoutingScores._fields


def one_module(num_rules, num_modules):
    return np.tile(np.eye(num_modules)[1], (num_rules, 1))


@pytest.mark.parametrize("size", [2, 3, 8, 16])
def test_known_assignments(size):
    """The last column too: of one module 2 (1 - E max p), E max p = H_R / R; of uniform gates R E |p - 1/R|.

    A p of Dirichlet's has the density (R - 1) (1 - p)^(R - 2). The paper's code halves the column.
    """
    shuffled = np.eye(size)[np.random.default_rng(0).permutation(size)]
    uniform, oracle, one = map(mj.routing_scores, (np.full((size, size), 1 / size), shuffled, one_module(size, size)))
    np.testing.assert_allclose(uniform[:4], [0, 0, (size - 1) / size, 1], atol=1e-12)
    np.testing.assert_allclose(oracle, 0, atol=1e-12)
    np.testing.assert_allclose(one[:4], [1, 1, (size - 1) / size, 1], atol=1e-12)
    largest = (1 / np.arange(1, size + 1)).sum() / size
    np.testing.assert_allclose(one.adaptation, 2 * (1 - largest), atol=3.2e-3)
    np.testing.assert_allclose(uniform.adaptation, 2 * (1 - 1 / size) ** size, atol=3.2e-3)


def test_modules_that_are_more_than_rules_or_fewer():
    """Each rule with a module of its own is 0, but what is left of the modules is not used."""
    more, fewer = mj.routing_scores(np.eye(3, 5)), mj.routing_scores(np.eye(3)[[0, 1, 1]][:, :2])
    np.testing.assert_allclose(more, [5 / 4 * 2 / 5, 1, 0, 1 - np.log(3) / np.log(3), 0], atol=1e-12)
    np.testing.assert_allclose(fewer[:3], [2 * (1 / 2 - 1 / 3), 1 - 2 / 3, 0], atol=1e-12)
    told = stats.entropy([1 / 3, 2 / 3]) / np.log(2)
    np.testing.assert_allclose(fewer.inverse_mutual_information, 1 - told, atol=1e-12)
    assert fewer.adaptation > 0
    for shape in ((4, 6), (6, 4)):
        np.testing.assert_allclose(
            mj.routing_scores(np.full(shape, 1 / shape[1]))[:4], [0, 0, 1 - 1 / shape[1], 1], atol=1e-12
        )


def slow(assignment, num_draws=200_000):
    """By all permutations, and by draws."""
    size = len(assignment)
    use = assignment.mean(axis=0)
    permutations = (np.eye(size)[list(order)] for order in itertools.permutations(range(size)))
    rules = np.random.default_rng(0).dirichlet(np.ones(size), num_draws)
    joint = assignment / size
    return [
        size / (size - 1) * sum(max(0, 1 / size - own) for own in use),
        1 - size * min(use),
        min(abs(assignment - own).sum() for own in permutations) / (2 * size),
        1 - (joint * np.log(joint / (joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)))).sum() / np.log(size),
        abs(np.sort(rules, axis=1) - np.sort(rules @ assignment, axis=1)).sum(axis=1).mean(),
    ]


def test_a_slow_reference():
    """Many assignments at once; order of rules and modules changes nothing."""
    rng = np.random.default_rng(1)
    assignments = rng.dirichlet(np.ones(4) / 2, size=(3, 2, 4))
    found = np.stack(mj.routing_scores(assignments), axis=-1)
    for place in np.ndindex(3, 2):
        want = slow(assignments[place])
        np.testing.assert_allclose(found[place][:4], want[:4], atol=1e-12)
        np.testing.assert_allclose(found[place][4], want[4], atol=4e-3)
        moved = mj.routing_scores(assignments[place][rng.permutation(4)][:, rng.permutation(4)])
        np.testing.assert_allclose(moved[:4], found[place][:4], atol=1e-12)
        np.testing.assert_allclose(moved[4], found[place][4], atol=6e-3)  # each is within .003


def test_the_assignment_of_gates():
    """Mean gates of each rule's samples, whatever the rules' numbers, of several routers at once."""
    rng = np.random.default_rng(0)
    tasks = rng.choice([2, 5, 7], 40)
    gates = rng.dirichlet(np.ones(4), size=(2, 40)).astype(np.float32)
    found = mj.gate_assignment(gates, tasks)
    assert found.shape == (2, 3, 4)
    for row, task in enumerate((2, 5, 7)):
        np.testing.assert_allclose(found[:, row], gates[:, tasks == task].mean(axis=1), rtol=1e-6)
    hard = np.eye(3)[rng.integers(0, 3, 600)]  # of equally frequent rules, scikit-learn's mutual information
    rules = np.arange(600) % 3
    told = 1 - mj.routing_scores(mj.gate_assignment(hard, rules)).inverse_mutual_information
    np.testing.assert_allclose(told * np.log(3), mutual_info_score(rules, hard.argmax(axis=1)), atol=1e-12)


def test_p_values_under_the_null_and_not():
    """Gates that do not depend on the rule: p is uniform, on a grid of 1/40; gates that do: the smallest p."""
    rng = np.random.default_rng(2)
    found = []
    for index in range(120):
        gates, tasks = rng.dirichlet(np.ones(3), 30), rng.integers(0, 3, 30)
        found.append(mj.routing_test(gates, tasks, jax.random.fold_in(KEY, index), num_shuffles=39).p_value)
    for name in NAMES[2:]:
        values = np.array([getattr(own, name) for own in found])
        assert stats.kstest(values - rng.random(120) / 40, "uniform").pvalue > 0.01, name
    assert np.isnan([own[:2] for own in found]).all()
    told = mj.routing_test((gates + 4 * np.eye(3)[tasks]) / 5, tasks, KEY, num_shuffles=99)
    np.testing.assert_allclose(told.p_value[2:], 0.01)
    np.testing.assert_allclose(told.scores, mj.routing_scores(told.assignment))
    assert told.controls.alignment.shape == (99,)
    assert np.unique(told.controls.alignment).size > 90


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mj.routing_scores(np.ones((3, 1))), r"at least 2 rules and modules, got \(3, 1\)"),
        (lambda: mj.routing_scores(np.ones(3)), r"assignment must have shape \[..., R, M\]"),
        (lambda: mj.routing_scores(np.ones((2, 2))), "assignment must be probabilities .* sums from 2 to 2"),
        (lambda: mj.routing_scores([[1.5, -0.5], [1, 0]]), "assignment must be probabilities .* from -0.5 on"),
        (lambda: mj.routing_scores([[np.nan, 1], [1, 0]]), "assignment must be finite"),
        (lambda: mj.gate_assignment(np.eye(2), [0]), r"tasks must have shape \(2,\), one per sample, got \(1,\)"),
        (lambda: mj.gate_assignment(np.eye(2), [0.5, 1]), "tasks must be integers"),
        (lambda: mj.gate_assignment(np.ones(2), [0, 1]), r"gates must have shape \[..., n, M\], got \(2,\)"),
        (lambda: mj.gate_assignment(2 * np.eye(2), [0, 1]), "gates must be probabilities"),
        (lambda: mj.routing_test(np.eye(2)[None], [0, 1], KEY), r"gates must have shape \[n, M\], got \(1, 2, 2\)"),
        (lambda: mj.routing_test(np.eye(2), [0, 1], KEY, num_shuffles=0), "num_shuffles must be at least 1, got 0"),
        (lambda: mj.routing_test(np.eye(2), [0, 1], 3), "key must be one key"),
        (
            lambda: mj.routing_test(np.eye(2), [1, 1], KEY, num_shuffles=1),
            r"at least 2 rules and modules, got \(2, 1, 2\)",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
