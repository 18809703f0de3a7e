"""Hidden states of a recurrent network: which units go together, and whether more than units of such dynamics do."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.numerics import divide, full_precision, near_one
from modularity_jax.metric.group_sizes import controls_at_once
from modularity_jax.metric.signed import SignedClustering, SignedSettings, as_settings, partition_signed
from modularity_jax.metric.statistics import compare
from modularity_jax.parallel import as_mesh, gather, grouped_range, in_order, outside_explicit_mesh
from modularity_jax.programs import program

Array = jax.Array


class _Numbers(NamedTuple):
    """What decides no program."""

    gamma: Any  # [], of the states' dtype
    count: Any  # [] int32, the states and their controls
    method: Any  # [] int32, of `METHODS_OF_STATES`


class StateTest(NamedTuple):
    """The signed modularity of units' correlations against that of R controls; more is told in `ShuffleTest`."""

    observed: Any  #: []
    controls: Any  #: [R]
    mean: Any  #: [], of the controls
    std: Any  #: [], ddof 0
    z_score: Any  #: []
    p_value: Any  #: [], share of the controls that are at least as modular, itself included: at least 1 / (R + 1)
    p_opposite: Any  #: [], of those that are at most as modular
    p_two_sided: Any  #: []
    p_interval: Any  #: [2], Clopper-Pearson at 95%
    effect_size: Any  #: [], (observed - median) / MAD
    clustering: SignedClustering  #: of the states themselves, less the means that controls keep


@outside_explicit_mesh
def unit_correlations(states: ArrayLike) -> Array:
    """Pearson correlations [N, N] of units over all trials and steps; 0, with themselves too, of units that never move.

    Args:
      states: [..., N], of N units, such as hidden states [trials, steps, N]; real numbers.

    Raises:
      ValueError: if states have no axis before that of the units, or a value that is not finite.
    """
    given = as_floats("states", states)
    if given.ndim < 2 or not given.size:
        raise ValueError(f"states must have shape [..., N], got {given.shape}")
    return _correlations(given)


@outside_explicit_mesh
def shuffle_states(states: ArrayLike, key: Array, *, method: str = "shifts") -> Array:
    """States whose units no longer go together, each with the dynamics that it has; [trials, steps, N] as given.

    Args:
      states: [trials, steps, N], real numbers.
      key: typed PRNG key, consumed.
      method: "shifts" turns the steps of each unit in each trial by a number of its own, the last ones to the front:
        that keeps its values in each trial, so its mean there, and its circular autocorrelation. What all units have of
        the time since a trial's begin goes. "trials" gives each unit its trials in an order of its own: that keeps each
        trial's course, and what all units have of the time since its begin; what a trial's input does to all goes.

    Of units without a common cause the controls are like the states themselves if, for "trials", trials do not depend
    on one another, and for "shifts" no step is special; a turn joins a trial's end to its begin, which matters little
    where trials are much longer than units remember.

    Raises:
      ValueError: if states are not [trials, steps, N] or not finite, the method is unknown, or key is not one key.
    """
    return _shuffle(_as_states(states, method), checks.as_key(key), method)


@outside_explicit_mesh
def state_test(
    states: ArrayLike,
    key: Array,
    *,
    num_clusters: int,
    num_shuffles: int = 99,
    method: str = "shifts",
    num_restarts: int = 10,
    gamma: float | None = None,
    null: str = "strengths",
    shuffles_per_group: int | None = None,
    mesh: Mesh | None = None,
) -> StateTest:
    """Do units go together in modules, more than units of such dynamics that are independent?

    The correlations of states and of num_shuffles controls are partitioned in the same way, and their signed
    modularities compared as in `shuffle_test`. Shuffle r = 1, 2, ... uses the key fold_in(key, r).

    What a control keeps may be common to all units: with "shifts" each trial's mean, with "trials" each step's mean
    over trials. Controls would then have few dimensions, and a higher Q than most networks. So these means are first
    subtracted, from the states and so from the controls, and modules are those of what is left.

    Any input that reaches several units makes them go together, whatever the network has learned: beside p, compare Q
    with that of the network before its training.

    Args:
      states, method: as `shuffle_states`.
      key: typed PRNG key, consumed.
      num_clusters, num_restarts, gamma, null: as `cluster_signed`, of `unit_correlations`.
      num_shuffles: R.
      shuffles_per_group, mesh: as in `shuffle_test`.

    Raises:
      ValueError: as `shuffle_states` and `cluster_signed`, and if num_shuffles or shuffles_per_group is no whole number
        or below 1.
    """
    given, key, mesh = _as_states(states, method), checks.as_key(key), as_mesh(mesh)
    settings, value = as_settings(given.shape[2], num_clusters, num_restarts, gamma, null)
    checks.check_count("num_shuffles", num_shuffles, 1)
    if shuffles_per_group is not None:
        checks.check_count("shuffles_per_group", shuffles_per_group, 1)
    size = shuffles_per_group or controls_at_once(given.size, given.shape[2], num_clusters, num_restarts)
    count, devices = int(num_shuffles) + 1, 1 if mesh is None else mesh.size
    # Numbers of shuffles up to the next power of two share a program.
    capacity, which = 2 ** int(num_shuffles).bit_length(), list(METHODS_OF_STATES).index(method)
    numbers = _Numbers(np.asarray(value, given.dtype), np.int32(count), np.int32(which))
    values, found = gather(_run(given, key, numbers, settings, capacity, int(size), mesh))
    values = in_order(values, count, int(size), devices)
    told = compare(values[0], values[1:], higher=True)[1:]  # none is left out
    return StateTest(values[0], values[1:], *told, clustering=jax.tree.map(lambda x: x[0], found))


@functools.partial(program, static_argnums=(3, 4, 5, 6))
def _run(
    states: Array,
    key: Array,
    numbers: _Numbers,
    settings: SignedSettings,
    capacity: int,
    group_size: int,
    mesh: Mesh | None,
) -> tuple[Array, SignedClustering]:
    """Q of the states, item 0, and of their controls; and the partition of each device's first item."""
    controls = METHODS_OF_STATES.values()

    def less_means(states: Array, axis: int) -> Array:
        beyond = states - jax.lax.slice_in_dim(states, 0, 1, axis=axis)  # exactly 0 where all are equal
        return beyond - beyond.mean(axis=axis, keepdims=True)

    def item(index: Array, states: Array, key: Array, numbers: _Numbers) -> tuple[Array, SignedClustering]:
        shuffle_key, cluster_key = jax.random.split(jax.random.fold_in(key, index))
        shuffled = jax.lax.switch(numbers.method, [own.shuffled for own in controls], states, shuffle_key)
        own = jnp.where(index == 0, states, shuffled)
        found = partition_signed(_correlations(own), cluster_key, numbers.gamma, settings)
        return found.value, found

    left = [functools.partial(less_means, axis=own.kept_means) for own in controls]
    shared = jax.lax.switch(numbers.method, left, states), key, numbers
    return grouped_range(item, numbers.count, *shared, capacity=capacity, group_size=group_size, mesh=mesh)


@functools.partial(program, static_argnums=2)
def _shuffle(states: Array, key: Array, method: str) -> Array:
    return METHODS_OF_STATES[method].shuffled(states, key)


@program
@full_precision
def _correlations(states: Array) -> Array:
    flat = states.reshape(-1, states.shape[-1])
    beyond = jax.vmap(near_one, 1, 1)(flat - flat[:1])  # exactly 0 where all are equal
    deviations = beyond - beyond.mean(axis=0, keepdims=True)
    scaled = divide(deviations, jnp.sqrt((deviations**2).sum(axis=0, keepdims=True)))
    return jnp.clip(scaled.T @ scaled, -1, 1)


def _turned(states: Array, key: Array) -> Array:
    trials, steps, units = states.shape
    turns = jax.random.randint(key, (trials, 1, units), 0, steps, jnp.int32)
    places = (jnp.arange(steps, dtype=jnp.int32)[None, :, None] + turns) % steps
    return jnp.take_along_axis(states, places, axis=1)


def _reordered(states: Array, key: Array) -> Array:
    trials, _, units = states.shape
    numbers = jnp.broadcast_to(jnp.arange(trials, dtype=jnp.int32)[:, None], (trials, units))
    order = jax.random.permutation(key, numbers, axis=0, independent=True)
    return jnp.take_along_axis(states, order[:, None, :], axis=0)


class StateControl(NamedTuple):
    """A control of states [trials, steps, N]."""

    shuffled: Callable[[Array, Array], Array]  # of states and a key
    kept_means: int  # the axis over which each unit's means stay as they are


#: Controls of states, by name; see `shuffle_states`.
METHODS_OF_STATES = {"shifts": StateControl(_turned, 1), "trials": StateControl(_reordered, 0)}


def _as_states(states: ArrayLike, method: str) -> Array:
    checks.check_choice("method", method, tuple(METHODS_OF_STATES))
    given = as_floats("states", states)
    if given.ndim != 3 or not given.size:
        raise ValueError(f"states must have shape [trials, steps, N], got {given.shape}")
    return given
