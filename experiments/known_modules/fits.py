"""Controls of many networks, and the modules of them all: a program for each shape, and for each measure and shape."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

import modularity_jax as mj
from experiments.known_modules.measures import WAYS, Found
from experiments.known_modules.networks import Networks
from experiments.known_modules.roles import Layers
from modularity_jax.metric.group_sizes import on_cpu
from modularity_jax.metric.statistics import compare
from modularity_jax.nets.sweep import run_key, seed_mesh
from modularity_jax.parallel import grouped_map

Array = jax.Array

# Networks and controls that a call of a program takes, whatever there are.
CALL = 16


class Item(NamedTuple):
    """A network or a control."""

    layers: Any  # kernel [a, b] and bias [b] of each
    x: Any  # [n, d_0]
    numbers: Any  # [2] uint32, of the network and of its control, which decide the randomness


class Fit(NamedTuple):
    """Modules of S networks."""

    labels: np.ndarray  # [S, N]
    p_values: np.ndarray  # [S], NaN without controls


def with_controls(networks: Networks, control: str, num_controls: int) -> Item:
    """The networks and R controls of each, leaves [S (1 + R), ...]; those of number 0 are the networks themselves.

    A control is of magnitudes, which get the signs of the network's in random order.
    """
    ranges = np.arange(len(networks.truth), dtype=np.uint32), np.arange(1 + num_controls, dtype=np.uint32)
    numbers = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 2)
    layers, x = jax.tree.map(lambda leaf: leaf[numbers[:, 0]], (networks.layers, networks.x))
    items = Item(layers, x, numbers)
    return items._replace(layers=_in_calls(_shuffled, items, control)) if num_controls else items


def fit(items: Item, *, way: str, num_clusters: int) -> Fit:
    """Find the modules of networks, and compare each with its controls."""
    found = _in_calls(_found, items, way, num_clusters)
    controls = int(items.numbers[:, 1].max())
    labels, values = (whole.reshape(-1, 1 + controls, *whole.shape[1:]) for whole in found)
    tests = [compare(own[0], own[1:], higher=True).p_value if controls else np.nan for own in values]
    return Fit(labels[:, 0], np.array(tests))


def _in_calls(program: Callable[..., Any], items: Item, *static: Any) -> Any:
    """The program's results for all items, on the host, `CALL` at a time; the last call is filled up."""
    count, results = len(items.numbers), []
    for first in range(0, count, CALL):
        chosen = np.minimum(np.arange(first, first + CALL), count - 1)
        own = jax.tree.map(lambda leaf, chosen=chosen: leaf[chosen], items)
        results.append(jax.tree.map(np.asarray, program(own, *static, seed_mesh())))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *results)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _shuffled(items: Item, control: str, mesh: Mesh) -> Any:
    def one(item: Item) -> Layers:
        place_key, *sign_keys = jax.random.split(_key(item), 1 + len(item.layers))
        graph = mj.LayeredGraph.from_weights([kernel for kernel, _ in item.layers])
        moved = mj.shuffle(graph, place_key, method=control).affinities
        layers = []
        for key, weights, (kernel, bias) in zip(sign_keys, moved, item.layers, strict=True):
            layers.append((jnp.where(item.numbers[1] == 0, kernel, _signed(weights, kernel, key)), bias))
        return layers

    return _map(one, items, mesh)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _found(items: Item, way: str, num_clusters: int, mesh: Mesh) -> Any:
    def one(item: Item) -> Found:
        key = jax.random.fold_in(_key(item), 1)  # another than its places have
        return WAYS[way].find(item.layers, item.x, key, num_clusters)

    return _map(one, items, mesh)


def _signed(weights: Array, kernel: Array, key: Array) -> Array:
    """Magnitudes with the signs of a kernel's non-zero weights, permuted."""
    to, given = weights.ravel(), jnp.sign(kernel).ravel()
    source = jnp.where(given != 0, jax.random.uniform(key, given.shape), 2).argsort()
    target = (to == 0).argsort()  # the non-zero ones first, as in the source
    return to.at[target].multiply(given[source]).reshape(kernel.shape)


def _key(item: Item) -> Array:
    return functools.reduce(jax.random.fold_in, item.numbers, run_key(0))


def _map(one: Callable[[Item], Any], items: Item, mesh: Mesh) -> Any:
    return grouped_map(one, items, group_size=1 if on_cpu() else CALL, mesh=mesh)
