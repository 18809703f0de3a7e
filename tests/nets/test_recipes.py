import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.nets import models, sweep, training
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.hyperparameters import Network, values_of
from modularity_jax.nets.kernels import biases_of, kernels_of
from modularity_jax.nets.recipes import recipe_of
from modularity_jax.nets.recipes.clusterable_init import clusterable
from modularity_jax.nets.recipes.renormalized import renormalize

MODEL = ModelConfig(widths=(12, 40, 30, 20, 4))
CNN = ModelConfig(widths=(64, 20, 30, 40, 16, 10), name="cnn")


def params_of(model, seed=0):
    module = models.architecture_of(model).module(model)
    return jax.device_get(models.init_params(module, model.widths[0], jax.random.key(seed)))


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    x, y = jnp.asarray(rng.random((60, 12), np.float32)), jnp.asarray(rng.integers(0, 4, 60), jnp.int32)
    return training.Samples(x, y, x, y)


@pytest.mark.parametrize(("model", "raised"), [(MODEL, [1, 2, 3]), (CNN, [1, 2])])
def test_a_clusterable_start_raises_weights_within_modules(model, raised):
    """Of all kernels but the first; of a CNN's, the convolutions."""
    train, before = TrainConfig(init_modules=5, init_outside=0.7), params_of(model)
    after = kernels_of(clusterable(model, train, before, jax.random.key(1)))
    before_it = None
    for index, (name, kernel) in enumerate(kernels_of(before).items()):
        if index not in raised:
            np.testing.assert_array_equal(after[name], kernel)
            continue
        factors = np.asarray(after[name] / kernel).reshape(-1, *kernel.shape[-2:])
        assert (np.ptp(factors, axis=0) < 1e-6).all()  # one for all places of a convolution
        inside = np.isclose(factors[0], 1 + 0.3 * 4, rtol=1e-5)
        assert (inside | np.isclose(factors[0], 0.7, rtol=1e-5)).all()
        if before_it is not None:  # a unit has one module on both its sides
            alike = (before_it[:, :, None] == before_it[:, None, :]).all(axis=0) & before_it.any(axis=0)[:, None]
            assert (inside[:, None] == inside[None])[alike].all()
            assert alike.sum() > len(inside)
        before_it = inside
        assert 0.1 < inside.mean() < 0.35  # a fifth in the mean


def test_outputs_are_in_the_module_of_their_number():
    train, before = TrainConfig(init_modules=4, init_outside=0.5), params_of(MODEL)
    after = clusterable(MODEL, train, before, jax.random.key(1))
    inside = np.asarray(after["layer_03"]["kernel"] / before["layer_03"]["kernel"]) > 1
    assert (inside.sum(axis=1) == 1).all()  # four outputs, four modules: each unit belongs to one of them
    previous = np.asarray(after["layer_02"]["kernel"] / before["layer_02"]["kernel"]) > 1
    mine = inside.argmax(axis=1)
    for row in previous:
        assert len(set(mine[row])) <= 1


def test_the_published_factors_keep_the_mean_magnitude():
    """4.6 within and .6 between ten modules; the mean square grows by 2.44 (2103.03386)."""
    model = ModelConfig(widths=(300, 600, 600, 10))
    before = params_of(model)
    after = clusterable(model, TrainConfig(), before, jax.random.key(0))
    one, other = (np.asarray(params["layer_01"]["kernel"], np.float64) for params in (before, after))
    assert abs(other).mean() / abs(one).mean() == pytest.approx(1, abs=0.02)
    assert (other**2).mean() / (one**2).mean() == pytest.approx(2.44, abs=0.08)


@pytest.mark.parametrize("recipe", ["clusterable_init", "renormalized"])
def test_recipes_for_chains_refuse_other_architectures(recipe):
    model = ModelConfig(widths=(16, 6, 4), name="rnn")
    x = jnp.zeros((8, 16))
    given = training.Samples(x, jnp.zeros(8, jnp.int32), x, jnp.zeros(8, jnp.int32))
    train = TrainConfig(num_seeds=1, epochs=1, recipe=recipe)
    with pytest.raises(ValueError, match=rf"^train\.recipe {recipe} takes chains of layers only, got model.name rnn$"):
        list(sweep.train_seeds(given, model=model, train=train, prune=PruneConfig(epochs=0)))


def scaled(params):
    """The same network with other sizes of its hidden units."""
    factors = np.random.default_rng(0).uniform(0.2, 5, 40).astype(np.float32)
    made = jax.tree.map(np.array, params)
    made["layer_00"]["kernel"] *= factors
    made["layer_00"]["bias"] *= factors
    made["layer_01"]["kernel"] /= factors[:, None]
    return made


def test_renormalizing_keeps_the_network_and_gives_its_units_one_size(samples):
    params = jax.tree.map(np.array, params_of(MODEL))
    params["layer_00"]["bias"] += 0.3
    after = renormalize(params)
    module = models.architecture_of(MODEL).module(MODEL)
    logits = [models.apply(module, own, samples.x_train) for own in (params, after)]
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-5)
    for kernel, bias in [*zip(kernels_of(after).values(), biases_of(after), strict=True)][:-1]:
        np.testing.assert_allclose(((np.asarray(kernel) ** 2).sum(axis=0) + np.asarray(bias) ** 2) / 2, 1, rtol=1e-5)


def test_a_renormalized_training_does_not_know_its_units_sizes(samples):
    """Networks that differ in these alone become the same; without renormalizing they do not."""

    def trained(recipe, params):
        train = TrainConfig(recipe=recipe, batch_size=20, learning_rate=0.01)
        own = jax.tree.map(lambda value: value[0], values_of([Network(0)], {"model": MODEL, "train": train}))
        made = training.training_of(MODEL, train)
        epoch = jax.jit(functools.partial(training.train_epoch, made))
        state = training.start_phase(made, params, own)
        return epoch(state, jax.random.key(0), own, samples)[0].params["layer_01"]["kernel"]

    params = params_of(MODEL)
    plain, renormalized = (
        [trained(r, own) for own in (params, scaled(params))] for r in ("train_then_prune", "renormalized")
    )
    np.testing.assert_allclose(*renormalized, atol=2e-4)
    assert abs(plain[0] - plain[1]).max() > 0.1


def test_every_recipe_prunes_and_has_the_norms(samples):
    for name in ("clusterable_init", "renormalized", "eigenvalue_penalty", "renormalized_eigenvalue_penalty"):
        train = TrainConfig(num_seeds=2, epochs=1, recipe=name, l2_penalty=1e-3, batch_size=20)
        *_, last = sweep.train_seeds(samples, model=MODEL, train=train, prune=PruneConfig(epochs=1))
        assert last.phase == "pruned"
        np.testing.assert_allclose(last.metrics.sparsity, 0.9, atol=0.01)
        assert np.isfinite(last.metrics.train_loss).all()
        model, own = ModelConfig(widths=(2, 2)), dataclasses.replace(train, eigenvalue_weight=0.0)
        kernel = {"layer_00": {"kernel": jnp.full((2, 2), 3.0)}}
        assert recipe_of(own).penalty(model, own, kernel, None)[0] == pytest.approx(0.036)


def penalised(samples, **settings):
    train = TrainConfig(
        num_seeds=2, epochs=2, recipe="renormalized_eigenvalue_penalty", batch_size=20, seeds_per_group=1
    )
    given = {"model": MODEL, "train": dataclasses.replace(train, eigenvalues_every=2), "prune": PruneConfig(epochs=2)}
    return sweep.train_seeds(samples, **given, **settings)


def test_a_penalised_training_goes_on_with_the_same_bits(samples):
    """The eigenvectors of the step before are part of what a checkpoint holds."""
    whole, states = [], []
    for epoch in penalised(samples):
        whole.append(jax.device_get((epoch.params, epoch.metrics)))
        states.append(jax.device_get(epoch.states))
    for index, phase in ((1, "unpruned"), (3, "pruned")):
        resume = sweep.ResumePoint(phase, 1, states[index])
        rest = [(epoch.params, epoch.metrics) for epoch in penalised(samples, resume=resume)]
        for one, other in zip(jax.tree.leaves(whole[index + 1 :]), jax.tree.leaves(rest), strict=True):
            np.testing.assert_array_equal(one, other)
    # An eigenvector's sign follows its rounding, so that not every bit is the same on two devices.
    apart = [epoch.params for epoch in penalised(samples, mesh=sweep.seed_mesh(jax.devices()[:2]))]
    for one, other in zip(jax.tree.leaves([params for params, _ in whole]), jax.tree.leaves(apart), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_penalty_lowers_the_eigenvalues_that_it_is_of(samples):
    def least(recipe):
        train = TrainConfig(num_seeds=2, epochs=30, recipe=recipe, batch_size=20, eigenvalue_weight=1.0)
        *_, last = sweep.train_seeds(samples, model=MODEL, train=train, prune=PruneConfig(epochs=0))
        graphs = jax.vmap(models.architecture_of(MODEL).graph)(last.params)
        return jax.vmap(lambda graph: mj.spectral_clusterability(graph, num_clusters=4))(graphs)

    assert (least("eigenvalue_penalty") < 0.9 * least("train_then_prune")).all()
