"""Gates of mixtures of experts and of functions with signatures, against SciPy, scikit-learn and a slow reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.metrics import mutual_info_score

import modularity_jax as mj

RNG = np.random.default_rng(0)
GATES = RNG.dirichlet(np.ones(4), 60).astype(np.float32)
GROUPS = RNG.choice([1, 4, 6], 60)


def test_load_entropy():
    np.testing.assert_allclose(mj.load_entropy(GATES), stats.entropy(GATES.mean(axis=0)), rtol=1e-6)
    np.testing.assert_allclose(mj.load_entropy(np.eye(5)), np.log(5), rtol=1e-6)
    assert mj.load_entropy(np.tile([1, 0, 0], (7, 1))) == 0


def test_information_of_experts_and_groups():
    """Of hard gates scikit-learn's; of soft ones that of the joint table of groups and experts."""
    hard = RNG.integers(0, 4, 60)
    np.testing.assert_allclose(mj.gate_information(np.eye(4)[hard], GROUPS), mutual_info_score(hard, GROUPS), rtol=1e-5)
    table = np.stack([GATES[group == GROUPS].sum(axis=0) for group in (1, 4, 6)]) / 60
    want = stats.entropy(table.ravel(), np.outer(table.sum(axis=1), table.sum(axis=0)).ravel())
    np.testing.assert_allclose(mj.gate_information(GATES, GROUPS), want, rtol=1e-4)
    assert abs(mj.gate_information(GATES, np.zeros(60, int))) < 1e-6


def test_information_of_experts_and_tokens_is_a_loss():
    """H(mean p) less the mean of H(p), with a gradient that finite differences have."""
    want = stats.entropy(GATES.mean(axis=0)) - stats.entropy(GATES, axis=1).mean()
    np.testing.assert_allclose(mj.gate_information(GATES), want, rtol=1e-5)

    def loss(scores):
        return mj.gate_information(jax.nn.softmax(scores))

    scores, step = jnp.log(GATES), jnp.zeros((60, 4)).at[3, 1].set(0.05)
    slope = (loss(scores + step) - loss(scores - step)) / 0.1
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(scores)[3, 1], slope, rtol=0.02, atol=1e-5)


def test_gates_that_are_0_have_slopes():
    """As a softmax is where scores are far apart: one expert for each of two tokens, where all is at its most."""

    def loss(scores):
        gates = jax.nn.softmax(scores)
        return mj.gate_information(gates) + mj.load_entropy(gates)

    scores = jnp.array([[0.0, 200.0, 0.0], [200.0, 0.0, 0.0]])
    assert (jax.nn.softmax(scores) == 0).sum() == 4
    np.testing.assert_allclose(loss(scores), 2 * np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(jax.grad(loss)(scores), 0)


def test_signatures():
    """Against SciPy's cosine distances; sizes of vectors do not matter, and far ones are cut off."""
    signatures, types = RNG.normal(size=(3, 5)), RNG.normal(size=(8, 5))
    distance = cdist(types, signatures, "cosine")
    found = mj.signature_affinity(signatures, 2 * types, bandwidth=0.5)
    np.testing.assert_allclose(found, np.exp(-distance / 0.5), rtol=1e-5)
    cut = mj.signature_affinity(signatures, types, truncation=0.9)
    np.testing.assert_allclose(cut, np.where(distance <= 0.9, np.exp(-distance), 0), rtol=1e-5)
    assert 0 < (distance <= 0.9).mean() < 1
    own = mj.signature_affinity(signatures, signatures)
    np.testing.assert_allclose(own, own.T, rtol=1e-6)
    np.testing.assert_allclose(jnp.diagonal(own), 1, rtol=1e-6)
    many = RNG.normal(size=(200, 3))
    opposites = jnp.diagonal(mj.signature_affinity(many, -many))
    np.testing.assert_allclose(opposites, np.exp(-2), rtol=1e-5)  # none is cut off by rounding
    slope = jax.grad(lambda width: mj.signature_affinity(signatures, types, bandwidth=width).sum())(0.5)
    np.testing.assert_allclose(slope, (np.exp(-distance / 0.5) * distance / 0.25).sum(), rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mj.load_entropy(np.ones(3)), r"gates must have shape \[n, M\], got \(3,\)"),
        (lambda: mj.load_entropy(np.ones((2, 2))), "gates must be probabilities"),
        (
            lambda: mj.gate_information(GATES, GROUPS[:-1]),
            r"groups must have shape \(60,\), one per sample, got \(59,\)",
        ),
        (lambda: mj.gate_information(GATES, GROUPS / 2), "groups must be integers"),
        (lambda: mj.signature_affinity(np.ones((2, 3)), np.ones((4, 2))), r"of one d, got \(2, 3\) and \(4, 2\)"),
        (lambda: mj.signature_affinity(np.ones(3), np.ones((4, 3))), r"signatures must be \[U, d\] .* got \(3,\) and"),
        (lambda: mj.signature_affinity(np.ones((2, 3)), [[1, 2, np.inf]]), "types must be finite"),
        (lambda: mj.signature_affinity(np.eye(2), np.eye(2), bandwidth=0), "bandwidth must be above 0, got 0"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
