"""Training of all seeds of a run in one program, over groups and devices."""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh
from jax.typing import ArrayLike

from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.group_sizes import networks_at_once
from modularity_jax.nets.hyperparameters import Network, Values, values_of
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models import init_params, kernel_shapes, kernel_sizes, widest
from modularity_jax.nets.pruning import MaskPlan
from modularity_jax.nets.recipes import INIT, plan_phase
from modularity_jax.nets.training import (
    EpochMetrics,
    Samples,
    Training,
    TrainState,
    initial_metrics,
    start_phase,
    steps_per_epoch,
    train_epoch,
    training_of,
)
from modularity_jax.parallel import gather, grouped_map, on_all_devices, over_devices, split, whole_groups

Array = jax.Array

# Tells what a recipe draws for the initial networks from what the phases draw, which are numbered from 1.
INITIAL_STREAM = 2**31


class Epoch(NamedTuple):
    """All S networks after one epoch."""

    phase: str
    epoch: int  # 1, 2, ... within the phase; 0 for the initial networks
    num_epochs: int  # of the phase
    metrics: EpochMetrics  # leaves [S] on the host
    filled: Params  # leaves [S', ...] over the devices: copies of the first network make their parts equal
    states: TrainState | None = None  # leaves [S', ...], gone when the next epoch begins; None for initial networks

    @property
    def params(self) -> Params:
        """Of the networks, leaves [S, ...] on the host; of several processes all ask for them."""
        return jax.tree.map(lambda leaf: leaf[: len(self.metrics.sparsity)], gather(self.filled))


class ResumePoint(NamedTuple):
    """Where to go on: what `Epoch` had after some epoch."""

    phase: str
    epoch: int
    states: TrainState  # leaves [S or more, ...], of which the first S count


def run_key(seed: int | Array) -> Array:
    """The key of a run's seed: Threefry's, whatever the default, whose bits depend on nothing that runs beside them."""
    return jax.random.key(seed, impl="threefry2x32")


def network_keys(seed: int, ids: ArrayLike) -> Array:
    """The keys [S] of a run's networks, whose numbers are ids [S]."""
    return jax.vmap(functools.partial(jax.random.fold_in, run_key(seed)))(jnp.asarray(ids))


def seed_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with one axis, "seed", over the given devices or all of all processes."""
    chosen = list(jax.devices() if devices is None else devices)
    return Mesh(np.asarray(chosen), ("seed",), axis_types=(AxisType.Auto,))


def train_seeds(
    samples: Samples,
    *,
    model: ModelConfig,
    train: TrainConfig,
    prune: PruneConfig,
    mesh: Mesh | None = None,
    networks: Sequence[Network] | None = None,
    resume: ResumePoint | None = None,
) -> Iterator[Epoch]:
    """Train, then prune, all networks of a run; yields after each epoch, the initial networks first.

    A network's randomness is fold_in(key(train.seed), its seed); they go through in groups of train.seeds_per_group, or
    `group_sizes.networks_at_once` where that is 0, and depend on neither the others nor the number of devices.

    Args:
      samples: the data set, on any device.
      model, train, prune: the settings; a phase of 0 epochs is left out.
      mesh: from `seed_mesh`; None for the default device.
      networks: which ones, with seeds 0..num_seeds - 1 and the settings as they are by default.
      resume: goes on after that epoch, with the same bits as if it had never stopped.

    Raises:
      ValueError: if the data do not fit the network's first or last width.
    """
    check_samples(samples, model)
    training, sections = training_of(model, train), {"model": model, "train": train}
    chosen = [Network(seed) for seed in range(train.num_seeds)] if networks is None else list(networks)
    count, num_devices = len(chosen), mesh.size if mesh else 1
    group_size = train.seeds_per_group or networks_at_once(
        kernel_shapes(model), count, num_devices, widest=widest(training.module, model.widths[0])
    )
    if mesh is not None:
        mesh = _no_larger_than(mesh, -(-count // group_size))
        samples = on_all_devices(samples, mesh)
    room = whole_groups(count, group_size, mesh)
    chosen += chosen[:1] * (room - count)  # copies, which make the devices' parts equal
    keys = network_keys(train.seed, np.asarray([network.seed for network in chosen]))
    values = over_devices(values_of(chosen, sections), mesh)
    if resume is None:
        params = over_devices(_init(keys, values, training), mesh)
        yield Epoch(INIT, 0, 0, _first(_measure(params, samples, training.module, group_size, mesh), count), params)
    phases, num_steps = training.recipe.phases(train, prune), steps_per_epoch(len(samples.y_train), train.batch_size)
    begun = [phase.name for phase in phases].index(resume.phase) if resume else -1
    for index, phase in enumerate(phases):
        if index < begun:
            continue
        done, states, plan = 0, None, plan_phase(index, chosen, {**sections, "prune": prune}, num_steps)
        if resume and index == begun:
            states = over_devices(jax.tree.map(lambda x: _filled(x[:count], room), resume.states), mesh)
            done, params = resume.epoch, states.params
        elif plan.epochs:
            states = _start(params, values, plan.first, training, mesh)
        for epoch, masks in [*enumerate(plan.epochs)][done:]:
            # Placed as the results are: otherwise the second epoch would be another program than the first.
            own = over_devices(_fold_in_twice(keys, 1 + index, epoch), mesh)
            counts, times = (None, None) if masks is None else (over_devices(masks.counts, mesh), masks[:2])
            given = (own, values, counts), (samples, times), training, group_size, mesh
            states, params, metrics = _run_epoch(states, *given)
            yield Epoch(phase.name, epoch + 1, len(plan.epochs), _first(metrics, count), params, states)


def _filled(x: ArrayLike, length: int) -> np.ndarray:
    """The array [S, ...] on the host, with copies of its first entry up to the length."""
    host = np.asarray(x)
    return np.concatenate([host, np.repeat(host[:1], length - len(host), axis=0)])


def _first(metrics: EpochMetrics, count: int) -> EpochMetrics:
    return jax.tree.map(lambda leaf: leaf[:count], gather(metrics))


def after_phase(phase: str, epochs: int, params: Params, *, model: ModelConfig, train: TrainConfig) -> ResumePoint:
    """The end of a phase, by its parameters [S, ...] alone: what follows has an optimiser of its own."""
    values = values_of([Network(0)] * len(jax.tree.leaves(params)[0]), {"model": model, "train": train})
    return ResumePoint(phase, epochs, _start(params, values, None, training_of(model, train), None))


def states_like(model: ModelConfig, train: TrainConfig, networks: Sequence[Network], *, pruned: bool) -> TrainState:
    """The shapes and types [S, ...] of what `Epoch` holds as states in a phase; nothing is computed."""
    training = training_of(model, train)
    counts = jnp.zeros((len(networks), len(kernel_sizes(model))), jnp.int32) if pruned else None
    values = values_of(networks, {"model": model, "train": train})

    def make() -> TrainState:
        keys = network_keys(0, np.arange(len(networks)))
        return _start(_init(keys, values, training), values, counts, training, None)

    return jax.eval_shape(make)


def _no_larger_than(mesh: Mesh, num_groups: int) -> Mesh:
    """The mesh's first devices, one a group at most: what else there is would only train copies.

    Where other processes have some of the devices these train the copies, since each process must take part.
    """
    if mesh.size <= num_groups or mesh.is_multi_process:
        return mesh
    return seed_mesh(mesh.devices.ravel()[:num_groups].tolist())


def check_samples(samples: Samples, model: ModelConfig) -> None:
    """The data have the network's number of inputs, and labels below its number of outputs or as many targets."""
    inputs, targets = samples.x_train.shape[1], samples.y_train.shape[1:]
    if inputs != model.widths[0]:
        raise ValueError(f"model.widths must begin with the data's {inputs} inputs, got {model.widths}")
    if targets:
        if targets != model.widths[-1:]:
            raise ValueError(f"model.widths must end with the data's {targets[0]} targets, got {model.widths}")
        return
    classes = int(max(samples.y_train.max(), samples.y_test.max())) + 1
    if classes > model.widths[-1]:
        raise ValueError(f"model.widths must end with at least the data's {classes} classes, got {model.widths}")


@functools.partial(jax.jit, static_argnames=("training", "group_size", "mesh"), donate_argnums=0)
def _run_epoch(
    states: TrainState,
    own: tuple[Array, Values, Array | None],
    shared: tuple[Samples, tuple[np.ndarray, np.ndarray] | None],
    training: Training,
    group_size: int,
    mesh: Mesh | None,
) -> tuple[TrainState, Params, EpochMetrics]:
    """One epoch of all networks, which takes over the memory of the states it is given.

    Own: the networks' keys, float settings and counts of weights in their masks, which come at times that they share. A
    program of the process, not of a run: runs that differ in data, seeds, epochs, sparsities or other float settings
    share it.
    """

    def one(
        item: tuple[TrainState, Array, Values, Array | None], samples: Samples, times: tuple[Array, Array] | None
    ) -> tuple[TrainState, EpochMetrics]:
        state, key, values, counts = item
        plan = None if times is None else MaskPlan(*times, counts)  # type: ignore[arg-type]  # JAX's arrays for NumPy's
        return train_epoch(training, state, key, values, samples, plan)

    states, metrics = grouped_map(one, (states, *own), *shared, group_size=group_size, mesh=mesh)
    # A copy for the caller, since the next call takes the states' memory.
    results = states, jax.tree.map(jnp.copy, states.params), metrics
    return results if mesh is None else jax.lax.with_sharding_constraint(results, split(mesh))


def _fold_in_twice(keys: Array, phase: int, epoch: int) -> Array:
    return jax.vmap(lambda key: jax.random.fold_in(jax.random.fold_in(key, phase), epoch))(keys)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _measure(params: Params, samples: Samples, model: nn.Module, group_size: int, mesh: Mesh | None) -> EpochMetrics:
    measure = functools.partial(initial_metrics, model)
    return grouped_map(measure, params, samples, group_size=group_size, mesh=mesh)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _start(params: Params, values: Values, counts: Array | None, training: Training, mesh: Mesh | None) -> TrainState:
    # A copy, since the first epoch takes the states' memory and the caller may hold the parameters.
    start = functools.partial(start_phase, training)
    states = jax.vmap(start)(jax.tree.map(jnp.copy, params), values, counts)
    return states if mesh is None else jax.lax.with_sharding_constraint(states, split(mesh))


@functools.partial(jax.jit, static_argnums=2)
def _init(keys: Array, values: Values, training: Training) -> Params:
    def one(key: Array, values: Values) -> Params:
        params = init_params(training.module, training.model.widths[0], jax.random.fold_in(key, 0))
        return training.recipe.initial(*training.own(values), params, jax.random.fold_in(key, INITIAL_STREAM))

    return jax.vmap(one)(keys, values)
