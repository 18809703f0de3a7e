import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jax.extend.core import jaxprs_in_params

from modularity_jax.metric.permutation import permuted_index, random_words
from modularity_jax.nets import evaluation, group_sizes, models, pruning, training
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.hyperparameters import Network, values_of
from modularity_jax.nets.models.mlp import MLP

WIDTHS = (7, 11, 9, 4)
NAMES = ("layer_00", "layer_01", "layer_02")
SIZES = (77, 99, 36)
MODEL = ModelConfig(widths=WIDTHS)
TRAIN = TrainConfig(batch_size=8, learning_rate=0.01)
NUM_TRAIN = 45  # 6 batches, the last of 5 samples
NUM_STEPS = 6
PRUNE = PruneConfig(epochs=4, frequency=5)  # 24 steps: masks before steps 0, 5, 10, 15, 20 and after the last


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)

    def draw(count):
        x = rng.normal(size=(count, WIDTHS[0])).astype(np.float32)
        # Gradients of the weights on this input are as small as Adam's epsilon, which therefore shows.
        x[:, 0] *= 1e-6
        return jnp.asarray(x), jnp.asarray(rng.integers(0, WIDTHS[-1], count), jnp.int32)

    return training.Samples(*draw(NUM_TRAIN), *draw(30))


@pytest.fixture(scope="module")
def params():
    return jax.jit(functools.partial(models.init_params, MLP(WIDTHS), WIDTHS[0]))(jax.random.key(5))


def values(model=MODEL, **settings):
    """The float settings of one network."""
    sections = {"model": model, "train": dataclasses.replace(TRAIN, **settings)}
    return jax.tree.map(lambda value: value[0], values_of([Network(0)], sections))


@functools.cache
def compiled(model=MODEL, **settings):
    """A recipe and its compiled epoch."""
    recipe = training.training_of(model, dataclasses.replace(TRAIN, **settings))
    return recipe, jax.jit(functools.partial(training.train_epoch, recipe))


def plan_of(phase, epochs, prune=PRUNE, num_steps=NUM_STEPS):
    if phase == "unpruned":
        return pruning.without_masks(epochs)
    return pruning.plan_masks(dataclasses.replace(prune, epochs=epochs), SIZES, steps_per_epoch=num_steps)


def run(phase, samples, params, epochs, prune=PRUNE, **settings):
    """States and metrics after each epoch of a phase."""
    recipe, train_epoch = compiled(**settings)
    num_steps = training.steps_per_epoch(samples.y_train.size, recipe.settings.batch_size)
    plan, found = plan_of(phase, epochs, prune, num_steps), []
    own = values(**settings)
    state = training.start_phase(recipe, params, own, plan.first)
    for epoch, masks in enumerate(plan.epochs):
        state, metrics = train_epoch(state, jax.random.fold_in(jax.random.key(1), epoch), own, samples, masks)
        found.append((state, metrics))
    return jax.device_get(found)


class SlowNet:
    """The same network, gradients and Adam in NumPy, float64 and loops."""

    def __init__(self, params, epsilon=1e-7, l1=0, l2=0):
        self.weights = [np.asarray(params[n][p], np.float64) for n in NAMES for p in ("kernel", "bias")]
        self.first = [np.zeros_like(w) for w in self.weights]
        self.second = [np.zeros_like(w) for w in self.weights]
        self.masks = [np.ones_like(w) for w in self.weights]
        self.epsilon, self.penalties, self.step = epsilon, (l1, l2), 0

    def forward(self, x):
        inputs = [np.asarray(x, np.float64)]
        for layer in range(3):
            out = inputs[-1] @ self.weights[2 * layer] + self.weights[2 * layer + 1]
            inputs.append(np.maximum(out, 0) if layer < 2 else out)
        return inputs

    def measure(self, x, y):
        """Loss and hit of each sample, and the softmax."""
        logits = self.forward(x)[-1]
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        softmax = shifted / shifted.sum(1, keepdims=True)
        return -np.log(softmax[np.arange(len(y)), y]), logits.argmax(1) == y, softmax

    def train(self, x, y):
        inputs = self.forward(x)
        losses, hits, softmax = self.measure(x, y)
        back = (softmax - np.eye(WIDTHS[-1])[y]) / len(y)
        gradients = [None] * 6
        for layer in (2, 1, 0):
            gradients[2 * layer], gradients[2 * layer + 1] = inputs[layer].T @ back, back.sum(0)
            back = back @ self.weights[2 * layer].T * (inputs[layer] > 0)
            kernel, (l1, l2) = self.weights[2 * layer], self.penalties
            gradients[2 * layer] = gradients[2 * layer] + l1 * np.sign(kernel) + 2 * l2 * kernel
        self.step += 1
        for i, gradient in enumerate(gradients):
            self.first[i] = 0.9 * self.first[i] + 0.1 * gradient
            self.second[i] = 0.999 * self.second[i] + 0.001 * gradient**2
            unbiased = self.first[i] / (1 - 0.9**self.step), self.second[i] / (1 - 0.999**self.step)
            self.weights[i] = self.weights[i] - 0.01 * unbiased[0] / (np.sqrt(unbiased[1]) + self.epsilon)
            self.weights[i] *= self.masks[i]
        return losses, hits

    def prune(self, sparsity):
        for i in (0, 2, 4):
            size = self.weights[i].size
            order = np.argsort(-np.abs(self.weights[i]).ravel(), kind="stable")
            self.masks[i] = np.isin(np.arange(size), order[: round((1 - sparsity) * size)]).reshape(self.masks[i].shape)
            self.weights[i] = self.weights[i] * self.masks[i]

    def epoch(self, epoch, samples, schedule=None, reshuffle=True):
        """One epoch in the documented order; schedule gives the sparsity before a step, or None to leave the masks."""
        order, found = np.arange(NUM_TRAIN), []
        if reshuffle:
            words = random_words(jax.random.split(jax.random.fold_in(jax.random.key(1), epoch))[0])
            order = np.asarray(permuted_index(order, NUM_TRAIN, words, max_size=NUM_TRAIN))
        for start in range(0, NUM_TRAIN, 8):
            if schedule is not None and (sparsity := schedule(self.step)) is not None:
                self.prune(sparsity)
            batch = order[start : start + 8]
            found.append(self.train(np.asarray(samples.x_train)[batch], np.asarray(samples.y_train)[batch]))
        losses, hits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return losses.mean(), hits.mean()

    def compare(self, params, tolerance=1e-5):
        flat = [params[n][p] for n in NAMES for p in ("kernel", "bias")]
        for got, expected in zip(flat, self.weights, strict=True):
            np.testing.assert_allclose(got, expected, atol=tolerance)


def test_samples_have_a_short_last_batch(samples):
    assert training.steps_per_epoch(NUM_TRAIN, 8) == NUM_STEPS
    assert [training.steps_per_epoch(n, 128) for n in (1, 128, 129, 60000)] == [1, 1, 2, 469]


def test_epochs_equal_numpy(samples, params):
    slow = SlowNet(params)
    for epoch, (state, metrics) in enumerate(run("unpruned", samples, params, 3)):
        loss, accuracy = slow.epoch(epoch, samples)
        slow.compare(state.params)
        np.testing.assert_allclose(metrics.train_loss, loss, rtol=1e-5)
        np.testing.assert_allclose(metrics.train_accuracy, accuracy, rtol=1e-6)
        losses, hits, _ = slow.measure(samples.x_test, np.asarray(samples.y_test))
        np.testing.assert_allclose(metrics.test_loss, losses.mean(), rtol=1e-5)
        np.testing.assert_allclose(metrics.test_accuracy, hits.mean(), rtol=1e-6)
        assert metrics.sparsity == 0


def test_the_reference_sees_epsilon_and_the_short_batch(samples, params):
    """That the comparison above would fail with Optax's own epsilon, or if the last batch were padded."""
    (state, _) = run("unpruned", samples, params, 1)[0]
    other = SlowNet(params, epsilon=1e-8)
    other.epoch(0, samples)
    with pytest.raises(AssertionError):
        other.compare(state.params)
    padded = SlowNet(params)
    train = padded.train
    padded.train = lambda x, y: train(np.resize(x, (8, 7)), np.resize(y, 8))
    padded.epoch(0, samples)
    with pytest.raises(AssertionError):
        padded.compare(state.params)


PENALTIES = {"l1_penalty": 0.01, "l2_penalty": 0.03}


@pytest.mark.parametrize(("l1", "l2"), [(0.01, 0), (0, 0.03), (0.01, 0.03)])
def test_the_gradient_of_one_step_with_penalties_equals_numpy(samples, params, l1, l2):
    """Adam's first moment after one step is a tenth of the gradient."""
    state, metrics = run("unpruned", samples, params, 1, batch_size=64, l1_penalty=l1, l2_penalty=l2)[0]
    slow = SlowNet(params, l1=l1, l2=l2)
    losses, _ = slow.train(*(np.asarray(part) for part in samples[:2]))
    for i, (name, part) in enumerate((name, part) for name in NAMES for part in ("kernel", "bias")):
        np.testing.assert_allclose(state.opt_state.mu[name][part], slow.first[i], atol=1e-8)
    np.testing.assert_allclose(metrics.train_loss, losses.mean(), rtol=1e-5)


def test_epochs_with_penalties_equal_numpy(samples, params):
    slow = SlowNet(params, l1=0.01, l2=0.03)
    for epoch, (state, metrics) in enumerate(run("unpruned", samples, params, 3, **PENALTIES)):
        loss, _ = slow.epoch(epoch, samples)
        slow.compare(state.params)
        np.testing.assert_allclose(metrics.train_loss, loss, rtol=1e-5)
    plain = run("unpruned", samples, params, 3)[-1][0]
    with pytest.raises(AssertionError):
        slow.compare(plain.params)


def test_pruned_weights_stay_zero_under_penalties(samples, params):
    slow = SlowNet(params, l1=0.01, l2=0.03)
    for epoch, (state, _) in enumerate(run("pruned", samples, params, PRUNE.epochs, **PENALTIES)):
        slow.epoch(epoch, samples, lambda step: cubic(step) if step % PRUNE.frequency == 0 else None)
        if epoch == PRUNE.epochs - 1:
            slow.prune(0.9)
        slow.compare(state.params)
        for name in NAMES:
            assert (state.params[name]["kernel"][~state.masks[name]] == 0).all()
    assert zeros(state) == [69, 89, 32]


def test_without_penalties_there_is_nothing_of_them_in_the_program(samples, params):
    def names(**penalties):
        recipe = training.training_of(MODEL, dataclasses.replace(TRAIN, **penalties))
        epoch = functools.partial(training.train_epoch, recipe)
        own = values(**penalties)
        state = training.start_phase(recipe, params, own)
        return [name for name, *_ in equations(jax.make_jaxpr(epoch)(state, jax.random.key(0), own, samples).jaxpr)]

    plain, absolute, squared = names(), names(l1_penalty=0.1), names(l2_penalty=0.1)
    assert absolute.count("abs") == plain.count("abs") + len(NAMES)
    assert squared.count("integer_pow") == plain.count("integer_pow") + len(NAMES)


def test_without_reshuffling_batches_come_in_the_samples_own_order(samples, params):
    slow = SlowNet(params)
    for epoch, (state, metrics) in enumerate(run("unpruned", samples, params, 2, reshuffle=False)):
        loss, _ = slow.epoch(epoch, samples, reshuffle=False)
        slow.compare(state.params)
        np.testing.assert_allclose(metrics.train_loss, loss, rtol=1e-5)
    shuffled = run("unpruned", samples, params, 2)[-1][0]
    with pytest.raises(AssertionError):
        slow.compare(shuffled.params)


def test_initial_metrics_equal_numpy(samples, params):
    metrics = jax.jit(functools.partial(training.initial_metrics, MLP(WIDTHS, 0.5)))(params, samples)
    slow = SlowNet(params)
    for got, x, y in ((metrics[:2], *samples[:2]), (metrics[2:4], *samples[2:])):
        losses, hits, _ = slow.measure(x, np.asarray(y))
        np.testing.assert_allclose(got, [losses.mean(), hits.mean()], rtol=1e-5)
    assert metrics.sparsity == 0


@pytest.mark.parametrize("size", [7, 10, 15, 29, 30, 31])
def test_evaluation_in_slices(samples, params, size, monkeypatch):
    """Of 30 samples; whole slices, broken ones, and all at once."""
    monkeypatch.setattr(group_sizes, "EVALUATED_AT_ONCE", size)
    x, y = samples.x_test, samples.y_test
    loss, accuracy = jax.jit(functools.partial(evaluation.evaluate, MLP(WIDTHS, 0.5)))(params, x, y)
    losses, hits, _ = SlowNet(params).measure(x, np.asarray(y))
    np.testing.assert_allclose(loss, losses.mean(), rtol=1e-6)
    assert accuracy == pytest.approx(hits.sum() / len(y), rel=1e-6)


def test_memory_of_evaluation_does_not_grow_with_the_samples():
    """By the compiler's account, of 16 networks side by side, besides the samples themselves."""
    model = MLP((8, 64, 10))
    keys = jax.random.split(jax.random.key(0), 16)
    nets = jax.eval_shape(jax.vmap(functools.partial(models.init_params, model, 8)), keys)

    def temporary(count):
        data = jax.ShapeDtypeStruct((count, 8), jnp.float32), jax.ShapeDtypeStruct((count,), jnp.int32)
        program = jax.jit(jax.vmap(functools.partial(evaluation.evaluate, model), in_axes=(0, None, None)))
        return program.lower(nets, *data).compile().memory_analysis().temp_size_in_bytes

    few, many = temporary(group_sizes.EVALUATED_AT_ONCE + 1), temporary(10 * group_sizes.EVALUATED_AT_ONCE)
    layer = 16 * 64 * 4 * group_sizes.EVALUATED_AT_ONCE
    assert layer < many < 1.1 * few < 4 * layer


def cubic(step):
    return 0.9 - 0.4 * (1 - step / (NUM_STEPS * PRUNE.epochs)) ** 3


def zeros(state):
    return [int((state.params[name]["kernel"] == 0).sum()) for name in NAMES]


def test_pruning_equals_numpy(samples, params):
    slow = SlowNet(params)
    for epoch, (state, metrics) in enumerate(run("pruned", samples, params, PRUNE.epochs, prune=PRUNE)):
        loss, accuracy = slow.epoch(epoch, samples, lambda step: cubic(step) if step % PRUNE.frequency == 0 else None)
        if epoch == PRUNE.epochs - 1:
            slow.prune(0.9)
        slow.compare(state.params)
        np.testing.assert_allclose(metrics.train_loss, loss, rtol=1e-5)
        np.testing.assert_allclose(metrics.train_accuracy, accuracy, rtol=1e-6)
        np.testing.assert_allclose(metrics.sparsity, sum(zeros(state)) / sum(SIZES), rtol=1e-6)


def test_sparsity_follows_the_schedule(samples, params):
    states = [state for state, _ in run("pruned", samples, params, PRUNE.epochs, prune=PRUNE)]
    # The last masks of the four epochs come before steps 5, 10 and 15 and after step 23.
    for state, step in zip(states, (5, 10, 15, 24), strict=True):
        assert zeros(state) == [size - round((1 - cubic(step)) * size) for size in SIZES]
    assert zeros(states[-1]) == [69, 89, 32]


def test_pruned_weights_are_zero_and_stay_so(samples, params):
    before = None
    for state, _ in run("pruned", samples, params, PRUNE.epochs, prune=PRUNE):
        for name in NAMES:
            kernel, mask = state.params[name]["kernel"], state.masks[name]
            assert (kernel[~mask] == 0).all()
            assert (kernel[mask] != 0).all()
            assert (state.params[name]["bias"] != 0).any()
            if before is not None:
                assert not (mask & ~before[name]).any()
        before = state.masks


@pytest.mark.parametrize(("batch_size", "epochs", "frequency"), [(45, 17, 10), (8, 1, 100), (9, 3, 5)])
def test_final_sparsity_is_exact_whatever_the_frequency(samples, params, batch_size, epochs, frequency):
    prune = PruneConfig(epochs=epochs, frequency=frequency, final_sparsity=0.83)
    states = [state for state, _ in run("pruned", samples, params, epochs, prune=prune, batch_size=batch_size)]
    assert zeros(states[-1]) == [size - round(0.17 * size) for size in SIZES]
    # No epoch before the last one has it yet: the schedule is not cut short.
    assert all(zeros(state)[1] < zeros(states[-1])[1] for state in states[:-1])


def test_dropout_trains_on_other_activations_but_tests_without(samples, params):
    state, metrics = run("unpruned", samples, params, 1, model=dataclasses.replace(MODEL, dropout_rate=0.5))[0]
    plain = run("unpruned", samples, params, 1)[0][1]
    assert abs(metrics.train_loss - plain.train_loss) > 0.01
    slow = SlowNet(state.params)
    losses, hits, _ = slow.measure(samples.x_test, np.asarray(samples.y_test))
    np.testing.assert_allclose([metrics.test_loss, metrics.test_accuracy], [losses.mean(), hits.mean()], rtol=1e-5)


def test_the_dropout_key_matters_only_with_dropout(samples, params, monkeypatch):
    """Without dropout an epoch's randomness is its order alone: the other half of the key is never used."""
    used = []
    apply = models.apply_in_training

    def spy(model, params, x, dropout_key):
        used.append(dropout_key is not None)
        return apply(model, params, x, dropout_key)

    monkeypatch.setattr(training, "apply_in_training", spy)
    for rate, expected in ((0.0, False), (0.3, True)):
        used.clear()
        model = dataclasses.replace(MODEL, dropout_rate=rate)
        recipe, own = training.training_of(model, TRAIN), values(model)
        jax.eval_shape(
            functools.partial(training.train_epoch, recipe),
            training.start_phase(recipe, params, own),
            jax.random.key(0),
            own,
            samples,
        )
        assert any(used) == expected


def test_an_epoch_follows_its_key(samples, params):
    recipe, train_epoch = compiled()
    state = training.start_phase(recipe, params, values())
    one, again, other = (
        np.asarray(train_epoch(state, jax.random.key(seed), values(), samples)[0].params["layer_00"]["kernel"])
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


AXES = (0, 0, 0, None, None)  # of an epoch's arguments, for networks side by side


def batched_epoch(phase, samples, params, dropout_rate=0.5):
    """The epoch of two networks under vmap, and its arguments."""
    model = dataclasses.replace(MODEL, dropout_rate=dropout_rate)
    (recipe, _), own, plan = compiled(model=model), values(model), plan_of(phase, 1)
    state = training.start_phase(recipe, params, own, plan.first)
    states, own = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (state, own))
    keys = jax.random.split(jax.random.key(0), 2)
    return functools.partial(training.train_epoch, recipe), (states, keys, own, samples, plan.epochs[0])


def equations(jaxpr, inside=()):
    """Each equation's primitive, the primitives around it, and the equation."""
    for equation in jaxpr.eqns:
        yield equation.primitive.name, inside, equation
        for inner in jaxprs_in_params(equation.params):
            yield from equations(inner, (*inside, equation.primitive.name))


def test_masks_are_computed_inside_a_cond_beside_the_steps(samples, params):
    train_epoch, arguments = batched_epoch("pruned", samples, params)
    jaxpr = jax.make_jaxpr(jax.vmap(train_epoch, in_axes=AXES))(*arguments)
    found = list(equations(jaxpr.jaxpr))
    masks = [inside for name, inside, _ in found if name == "bitcast_convert_type" and "cond" in inside]
    assert len(masks) == 2 * len(NAMES)  # for CPU cores, and for other platforms
    # The cond stands in the loop over stretches, beside the loop over their steps: masks now and then, not every step.
    assert all(inside[: inside.index("cond")].count("while") == 1 for inside in masks)
    products = [inside for name, inside, _ in found if name == "dot_general" and "while" in inside]
    assert products
    assert all(inside.count("while") == 2 and "cond" not in inside for inside in products)
    assert not any(name == "sort" for name, *_ in found)


def test_a_batched_plan_would_lose_the_cond(samples, params):
    """That the test above can fail: what `train_epoch` warns of does happen."""
    train_epoch, (*own, samples, plan) = batched_epoch("pruned", samples, params)
    plans = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), plan)
    jaxpr = jax.make_jaxpr(jax.vmap(train_epoch, in_axes=(0, 0, 0, None, 0)))(*own, samples, plans)
    found = list(equations(jaxpr.jaxpr))
    assert [inside for name, inside, _ in found if name == "cond"] == [
        ("while",)
    ]  # that of the platform, not of what is due


@pytest.mark.parametrize("phase", ["unpruned", "pruned"])
def test_training_lowers_for_accelerators(samples, params, phase):
    train_epoch, arguments = batched_epoch(phase, samples, params)
    program = jax.jit(jax.vmap(train_epoch, in_axes=AXES))
    exported = export.export(program, platforms=["cuda", "tpu"])(*arguments)
    assert exported.platforms == ("cuda", "tpu")
    assert len(exported.out_avals) == len(jax.tree.leaves(jax.eval_shape(program, *arguments)))
