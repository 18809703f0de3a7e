"""Training of one network as pure functions, an epoch at a time; `sweep` maps them over seeds."""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from modularity_jax.metric.permutation import permuted_index, random_words
from modularity_jax.nets import pruning
from modularity_jax.nets.augmentation import augmented
from modularity_jax.nets.config import ModelConfig, TrainConfig
from modularity_jax.nets.evaluation import evaluate, of_classes, per_sample
from modularity_jax.nets.hyperparameters import Values, is_zero, with_values
from modularity_jax.nets.kernels import Params, kernels_of
from modularity_jax.nets.models import apply_in_training, architecture_of
from modularity_jax.nets.models.cnn import image_shape
from modularity_jax.nets.recipes import Recipe, check_recipe, recipe_of

Array = jax.Array


class Samples(NamedTuple):
    """A data set on the device, with n training and m test samples of d values."""

    x_train: Array  # [n, d]
    y_train: Array  # [n] int32; of a regression [n, t] float32
    x_test: Array  # [m, d]
    y_test: Array  # [m] int32 or [m, t] float32


class TrainState(NamedTuple):
    """One network between two epochs. Pruned weights are exactly 0."""

    params: Params
    opt_state: optax.OptState
    masks: pruning.Masks | None  # by layer, bool of the kernel's shape; None in a phase without pruning
    memory: Any = None  # of the recipe's penalty


class EpochMetrics(NamedTuple):
    """One epoch; training figures are means over its batches while they were trained on, dropout included."""

    train_loss: Array  # [], without the penalties; see `per_sample`
    train_accuracy: Array | None  # []; a regression has none
    test_loss: Array  # [], after the epoch
    test_accuracy: Array | None  # []
    sparsity: Array  # [], share of all kernel entries that are 0, after the epoch
    nonfinite_step: Array  # [] int32, the epoch's first step (1, 2, ...) whose loss was not finite; 0 if there was none


# Number of the stretch, its first step, the network, and sums over the epoch's steps: loss, hits, steps of finite loss.
Stretch = tuple[Array, Array, TrainState, Array, Array, Array]


class Training(NamedTuple):
    """What all epochs of a run have in common; hashable, so that equal runs share their compiled programs."""

    model: ModelConfig  # the float settings of both are 0: they are a network's own `Values`
    settings: TrainConfig  # without what decides no program
    recipe: Recipe

    @property
    def module(self) -> nn.Module:
        """The network in evaluation."""
        return architecture_of(self.model).module(self.model)

    def own(self, values: Values) -> tuple[ModelConfig, TrainConfig]:
        """The settings of one network."""
        return with_values("model", self.model, values), with_values("train", self.settings, values)


def training_of(model: ModelConfig, train: TrainConfig) -> Training:
    """Of a run's settings; ValueError if the recipe does not take the architecture."""
    check_recipe(model, train)
    default = TrainConfig()
    same = {name: getattr(default, name) for name in ("num_seeds", "seed", "epochs", "on_nan", "seeds_per_group")}
    return Training(*Training(model, dataclasses.replace(train, **same), recipe_of(train)).own({}), recipe_of(train))


def steps_per_epoch(num_train: int, batch_size: int) -> int:
    """Batches in an epoch, the last, shorter one included."""
    return -(-num_train // batch_size)


def start_phase(training: Training, params: Params, values: Values, counts: Array | None = None) -> TrainState:
    """A fresh optimiser state for given parameters, which a pruning phase begins by pruning.

    Args:
      training: from `training_of`.
      params: the parameters.
      values: the network's float settings.
      counts: weights that the phase's first masks keep [L]; None for a phase without pruning.
    """
    masks = None
    if counts is not None:
        masks = pruning.kernel_masks(params, counts)
        params = pruning.apply_masks(params, masks)
    model, train = training.own(values)
    memory = training.recipe.memory(model, train, params)
    return TrainState(params, training.recipe.optimizer(train).init(params), masks, memory)


def train_epoch(
    training: Training,
    state: TrainState,
    key: Array,
    values: Values,
    samples: Samples,
    plan: pruning.MaskPlan | None = None,
) -> tuple[TrainState, EpochMetrics]:
    """One epoch of one network.

    Args:
      training: from `training_of`.
      state: from `start_phase` or the epoch before.
      key: typed PRNG key of this network and epoch.
      values: the network's float settings, scalars.
      samples: the data set.
      plan: the epoch's masks, from `pruning.plan_masks`; None without pruning. Its counts alone may be batched under
        vmap, or every step would compute a new mask.
    """
    order_key, dropout_key = jax.random.split(key)
    batches, weights = _batches(order_key, len(samples.y_train), training.settings)
    num_steps = batches.shape[0]

    def step(index: Array, carry: tuple[TrainState, Array, Array, Array]) -> tuple[TrainState, Array, Array, Array]:
        state, loss, hits, finite = carry
        x, y = samples.x_train[batches[index]], samples.y_train[batches[index]]
        key = jax.random.fold_in(dropout_key, index)
        if training.settings.augment:
            images, key = x.reshape(-1, *image_shape(x.shape[-1])), jax.random.fold_in(key, 1)
            x = augmented(images, jax.random.fold_in(key, 0)).reshape(x.shape)
        state, sums = _update(training, values, state, x, y, weights[index], key)
        loss = loss + sums[0]
        return state, loss, hits + sums[1], finite + jnp.isfinite(loss)  # a sum that was not finite stays so

    def stretch(carry: Stretch) -> Stretch:
        """Steps up to the next masks: a condition inside each step would copy the whole state."""
        number, first, *rest = carry
        end = jnp.int32(num_steps) if plan is None else jnp.asarray(plan.ends)[number]
        state, loss, hits, finite = jax.lax.fori_loop(first, end, step, tuple(rest))
        return number + 1, end, state if plan is None else _prune(state, plan, number), loss, hits, finite

    start = jnp.int32(0), jnp.int32(0), state, jnp.float32(0), jnp.float32(0), jnp.int32(0)
    *_, state, loss, hits, finite = jax.lax.while_loop(lambda carry: carry[1] < num_steps, stretch, start)
    test_loss, test_accuracy = evaluate(training.module, state.params, samples.x_test, samples.y_test)
    count = len(samples.y_train)
    # Where only the last update went wrong, the test loss tells.
    first_bad = jnp.where(finite < num_steps, finite + 1, jnp.where(jnp.isfinite(test_loss), 0, num_steps))
    train = loss / count, of_classes(samples.y_train, hits / count)
    return state, EpochMetrics(*train, test_loss, test_accuracy, _sparsity(state.params), first_bad)


def initial_metrics(model: nn.Module, params: Params, samples: Samples) -> EpochMetrics:
    """The figures of a network that was not trained."""
    train = evaluate(model, params, samples.x_train, samples.y_train)
    test = evaluate(model, params, samples.x_test, samples.y_test)
    return EpochMetrics(*train, *test, _sparsity(params), jnp.int32(0))


def _batches(key: Array, count: int, settings: TrainConfig) -> tuple[Array, Array]:
    """Sample indices [steps, B], in their own order or shuffled, and their weights, 0 for what pads the last batch."""
    size = min(settings.batch_size, count)  # a larger batch would be padded to its size
    steps = steps_per_epoch(count, size)
    missing = steps * size - count
    order = jnp.arange(count, dtype=jnp.int32)
    if settings.reshuffle:
        order = permuted_index(order, count, random_words(key), max_size=count)  # a sort takes 20 ms on MNIST
    order = jnp.pad(order, (0, missing), mode="wrap")  # a batch norm sees what fills, and it is to be any samples
    weights = jnp.pad(jnp.ones(count, jnp.float32), (0, missing))
    return order.reshape(steps, size), weights.reshape(steps, size)


def _prune(state: TrainState, plan: pruning.MaskPlan, number: Array) -> TrainState:
    """New masks after a stretch, where they are due; the weights that they drop become 0."""
    due, counts = jnp.asarray(plan.due)[number], jnp.asarray(plan.counts)[number]
    return jax.lax.cond(due, _tighten, lambda state, _: state, state, counts)


def _tighten(state: TrainState, counts: Array) -> TrainState:
    masks = pruning.kernel_masks(state.params, counts)
    return state._replace(params=pruning.apply_masks(state.params, masks), masks=masks)


def _update(
    training: Training, values: Values, state: TrainState, x: Array, y: Array, weight: Array, dropout_key: Array
) -> tuple[TrainState, tuple[Array, Array]]:
    """One step of the optimiser on one batch; also the summed loss and the number of right answers."""
    (model, train), recipe = training.own(values), training.recipe
    module = architecture_of(model).module(model)
    before = recipe.before_step(state.params)

    def loss_fn(params: Params) -> tuple[Array, tuple[tuple[Array, Array], Params]]:
        outputs, running = apply_in_training(module, params, x, None if is_zero(model.dropout_rate) else dropout_key)
        losses, hits = (weight * values for values in per_sample(outputs, y))
        return losses.sum() / weight.sum(), ((losses.sum(), hits.sum()), running)

    def penalty_fn(params: Params) -> tuple[Array, Any]:
        penalty, memory = recipe.penalty(model, train, params, state.memory)
        return jnp.asarray(penalty, jnp.float32), memory

    gradients, (sums, running) = jax.grad(loss_fn, has_aux=True)(before)
    added, memory = jax.grad(penalty_fn, has_aux=True)(before)
    gradients = jax.tree.map(jnp.add, gradients, added)
    updates, opt_state = recipe.optimizer(train).update(gradients, state.opt_state, before)
    params = {**optax.apply_updates(before, updates), **running}
    if state.masks is not None:
        params = pruning.apply_masks(params, state.masks)
    return TrainState(params, opt_state, state.masks, memory), sums


def _sparsity(params: Params) -> Array:
    kernels = kernels_of(params).values()
    zeros = sum((k == 0).sum(dtype=jnp.int32) for k in kernels)
    return jnp.asarray(zeros) / sum(k.size for k in kernels)
