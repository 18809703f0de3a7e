"""The measures that are put to the test, by name, and the controls that each is compared with."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import modularity_jax as mj
from experiments.known_modules.roles import Layers, activations
from modularity_jax.graphs.numerics import near_one
from modularity_jax.metric.embedding import embed, num_draws
from modularity_jax.metric.excess import Excess
from modularity_jax.metric.kmeans import kmeans, num_uniforms
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.modularity import batched_modularity, partition_by_modularity
from modularity_jax.metric.settings import Settings

Array = jax.Array
NUM_RESTARTS = 10


class Found(NamedTuple):
    """Modules that a measure finds."""

    labels: Array  # [N] int32, -1 on isolated units
    value: Array  # [], higher is more modular; NaN where so many modules cannot be had


class Way(NamedTuple):
    """A way to modules.

    Attributes:
      find: (layers, x, key, num_clusters) -> `Found`, of a network and samples [n, d_0].
      by_depth: takes as many clusters as there are modules in each layer of units.
      by_layer: labels of different layers have nothing to do with each other.
    """

    find: Callable[[Layers, Array, Array, int], Found]
    by_depth: bool = False
    by_layer: bool = False


def _of_weights(measure: str, layers: Layers, x: Array, key: Array, num_clusters: int) -> Found:
    """By a measure of `mj.cluster`."""
    del x
    found = mj.cluster(_graph(layers), key, num_clusters=num_clusters, num_restarts=NUM_RESTARTS, measure=measure)
    sign = 1 if measure_of(measure).higher else -1
    return Found(found.labels, jnp.where(found.num_empty > 0, jnp.nan, sign * found.value))


def _corrected(layers: Layers, x: Array, key: Array, num_clusters: int) -> Found:
    """Spectral clustering with the layered null subtracted: the start of the layered modularity, without its moves."""
    del x
    graph = _graph(layers)
    excess, connected = Excess(graph, graph.null()), graph.degrees() > 0
    split = num_draws(excess, num_clusters - 1)
    draws = jax.random.uniform(key, (split + num_uniforms(num_clusters, NUM_RESTARTS),))
    points = near_one(embed(excess, draws[:split], num_clusters=num_clusters - 1).points)
    weights = connected.astype(points.dtype)
    labels = kmeans(points, draws[split:], weights=weights, num_clusters=num_clusters, num_restarts=NUM_RESTARTS).labels
    scores = batched_modularity(graph, labels, num_clusters=num_clusters)
    return Found(jnp.where(connected, labels[scores.argmax()], -1), scores.max())


def _of_activations(layers: Layers, x: Array, key: Array, num_clusters: int) -> Found:
    """By Newman's Q of the units' absolute correlations over samples."""
    units = jnp.concatenate(activations(layers, x), axis=1)
    centred = units - units.mean(axis=0, keepdims=True)
    norm = jnp.linalg.norm(centred, axis=0)
    alive = norm > 1e-6 * norm.max()
    scaled = jnp.where(alive[None, :], centred / jnp.where(alive, norm, 1)[None, :], 0)
    graph = mj.DenseGraph(jnp.abs(scaled.T @ scaled) * (1 - jnp.eye(norm.size)), (norm.size,))
    found = partition_by_modularity(graph, key, Settings(num_clusters, NUM_RESTARTS, "ncut", "auto", refine=False))
    return Found(found.labels, found.value)


def _of_signed_correlations(layers: Layers, x: Array, key: Array, num_clusters: int) -> Found:
    """By the signed modularity of the units' correlations, as of a recurrent network's states."""
    correlations = mj.unit_correlations(jnp.concatenate(activations(layers, x), axis=1))
    found = mj.cluster_signed(correlations, key, num_clusters=num_clusters, num_restarts=NUM_RESTARTS)
    return Found(found.labels, found.value)


def _of_activation_graph(layers: Layers, x: Array, key: Array, num_clusters: int) -> Found:
    """By the n-cut of the graph of squared rank correlations."""
    graph = mj.activation_graph(activations(layers, x))
    found = mj.cluster(graph, key, num_clusters=num_clusters, num_restarts=NUM_RESTARTS)
    return Found(found.labels, jnp.where(found.num_empty > 0, jnp.nan, -found.value))


def _layer_by_layer(kind: Callable[[Layers, Array], Any], layers: Layers, x: Array, key: Array, size: int) -> Found:
    """Hidden layers each by its own neighbourhood, in as many clusters as there are modules."""
    graph = kind(layers, x)
    counts = np.full(len(graph.hidden_layers), size, np.int32)
    found = mj.cluster_locally(graph, key, num_clusters=size, counts=counts, num_restarts=NUM_RESTARTS)
    return Found(found.labels, -found.ncut.sum())


def _graph(layers: Layers) -> mj.LayeredGraph:
    return mj.LayeredGraph.from_weights([kernel for kernel, _ in layers])


def _way(measure: str, *, by_depth: bool = False) -> Way:
    return Way(functools.partial(_of_weights, measure), by_depth)


#: The measures, by their name in the tables.
WAYS: dict[str, Way] = {
    "n-cut": _way("ncut"),
    "n-cut, depth x K": _way("ncut", by_depth=True),
    "corrected spectral": Way(_corrected),
    "Newman Q": _way("newman"),
    "layered Q": _way("modularity"),
    "correlations": Way(_of_activations),
    "signed correlations": Way(_of_signed_correlations),
    "activation n-cut": Way(_of_activation_graph),
    "local n-cut": Way(functools.partial(_layer_by_layer, lambda layers, x: _graph(layers)), by_layer=True),
    "local activation n-cut": Way(
        functools.partial(_layer_by_layer, lambda layers, x: mj.activation_graph(activations(layers, x))), by_layer=True
    ),
}
#: The controls, of `mj.METHODS`, that each of them is compared with.
CONTROLS: tuple[str, ...] = ("layer", "strengths")
