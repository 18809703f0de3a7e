"""Training on targets instead of classes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modularity_jax.nets import evaluation, sweep, training
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.models.mlp import MLP

LINEAR = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 3.0]], np.float32)


def samples_of(count=300, outputs=3):
    """Targets that are linear in the inputs, and noise in the test set that has a mean squared error of its own."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count + 200, 2)).astype(np.float32)
    y = x @ LINEAR[:, :outputs] + 1
    y[count:] += rng.normal(size=(200, outputs)).astype(np.float32)
    return training.Samples(*map(jnp.asarray, (x[:count], y[:count], x[count:], y[count:])))


def train(samples, model, **settings):
    own = TrainConfig(num_seeds=2, batch_size=32, learning_rate=0.02, **settings)
    return [*sweep.train_seeds(samples, model=model, train=own, prune=PruneConfig(epochs=0))]


def error_of(params, x, y):
    kernel, bias = (np.asarray(params["layer_00"][name], float) for name in ("kernel", "bias"))
    return np.square(np.asarray(x, float) @ kernel + bias - np.asarray(y, float)).mean()


def test_a_linear_network_learns_a_linear_target():
    samples = samples_of()
    epochs = train(samples, ModelConfig(widths=(2, 3)), epochs=60)
    noise = float(np.square(samples.y_test - samples.x_test @ LINEAR - 1).mean())
    assert [epoch.metrics.test_accuracy for epoch in epochs] == [None] * 61
    assert epochs[-1].metrics.train_loss.max() < 1e-6
    np.testing.assert_allclose(epochs[-1].metrics.test_loss, [noise] * 2, rtol=1e-3)
    assert (epochs[-1].metrics.nonfinite_step == 0).all()
    learnt = epochs[-1].params["layer_00"]
    np.testing.assert_allclose(learnt["kernel"], [LINEAR] * 2, atol=1e-3)
    np.testing.assert_allclose(learnt["bias"], np.ones((2, 3)), atol=1e-3)


def test_losses_are_numpys():
    samples = samples_of()
    for epoch in train(samples, ModelConfig(widths=(2, 3)), epochs=1):
        for seed in range(2):
            own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], epoch.params)
            expected = error_of(own, samples.x_test, samples.y_test)
            assert epoch.metrics.test_loss[seed] == pytest.approx(expected, rel=1e-5)
            if epoch.phase == "init":
                expected = error_of(own, samples.x_train, samples.y_train)
                assert epoch.metrics.train_loss[seed] == pytest.approx(expected, rel=1e-5)


def test_losses_of_slices_are_those_of_all_samples(monkeypatch):
    samples, model = samples_of(), MLP((2, 3))
    params = model.init(jax.random.key(0), samples.x_test[:1])["params"]
    whole = evaluation.evaluate(model, params, samples.x_test, samples.y_test)
    monkeypatch.setattr(evaluation, "evaluated_at_once", lambda widest: 70)
    sliced = jax.jit(functools.partial(evaluation.evaluate, model))(params, samples.x_test, samples.y_test)
    assert sliced[0] == pytest.approx(float(whole[0]), rel=1e-6)
    assert sliced[1] is whole[1] is None


def test_the_loss_of_each_sample_and_its_gradient():
    """Mean over the targets, so that a step does not depend on their number."""
    outputs, y = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    losses, _ = evaluation.per_sample(outputs, y)
    np.testing.assert_allclose(losses, np.square(outputs - y).sum(axis=1) / 3, rtol=1e-6)
    gradient = jax.grad(lambda outputs: evaluation.per_sample(outputs, y)[0].sum())(outputs)
    np.testing.assert_allclose(gradient, 2 * (outputs - y) / 3, rtol=1e-5)


@pytest.mark.parametrize("outputs", [2, 4])
def test_the_network_has_as_many_outputs_as_there_are_targets(outputs):
    with pytest.raises(ValueError, match=rf"^model.widths must end with the data's 3 targets, got \(2, {outputs}\)$"):
        train(samples_of(), ModelConfig(widths=(2, outputs)), epochs=0)
