"""What is told of every partition, whatever it was found by; and how much of it is depth.

From one small table for each block of edges: the weight between the clusters of its rows and those of its columns. On
the host where there are values, which compiles nothing.
"""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import MAX_ON_HOST
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.graphs.protocol import Block, Graph
from modularity_jax.metric.modularity import batched_modularity
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.programs import is_concrete, program

Array = Any  # NumPy's or JAX's


class Description(NamedTuple):
    """Of a partition."""

    ncut: Array  # []
    modularity: Array  # []
    depth_share: Array  # [], NaN of a graph without known layers


@outside_explicit_mesh
def depth_share(graph: Graph, labels: ArrayLike, *, num_clusters: int) -> jax.Array:
    """Mutual information of cluster and layer over the clusters' entropy, both weighted by degree.

    1 where the layer tells the cluster: a partition by depth. 0 where each layer is divided alike.

    Args:
      graph, labels, num_clusters: as `ncut`; vertices without a cluster are left out.

    Returns:
      Scalar in 0..1; 0 for a single cluster, NaN of a graph without known layers.

    Raises:
      ValueError: as `ncut`.
    """
    return jnp.asarray(
        description_of(graph, checks.as_partition(graph, labels, num_clusters), num_clusters).depth_share
    )


def description_of(graph: Graph, labels: jax.Array, num_clusters: int) -> Description:
    """What is told of labels [N]; no check."""
    if not all(block.rows for block in graph.blocks()):
        return _of_list(graph, labels, num_clusters)
    if not is_concrete((graph, labels)) or graph.size > MAX_ON_HOST:
        return _of_blocks(jnp, graph.blocks(), labels, num_clusters)
    found = _of_blocks(np, graph.blocks(), np.asarray(labels), num_clusters)
    return jax.device_put(Description(*(np.asarray(value, graph.blocks()[0].weights.dtype) for value in found)))


@functools.partial(program, static_argnums=2)
def _of_list(graph: Graph, labels: jax.Array, num_clusters: int) -> Description:
    cut, excess = (fn(graph, labels[None], num_clusters=num_clusters)[0] for fn in (batched_ncut, batched_modularity))
    return Description(cut, excess, jnp.full((), jnp.nan, graph.degrees().dtype))


@full_precision
def _of_blocks(xp: ModuleType, blocks: Sequence[Block], labels: Array, num_clusters: int) -> Description:
    dtype = np.float64 if xp is np else blocks[0].weights.dtype
    # Those without a cluster, -1, are the last.
    members = (labels[:, None] == xp.asarray([*range(num_clusters), -1], labels.dtype)[None, :]).astype(dtype)
    tables = [members[b.rows].T @ xp.asarray(b.weights) @ members[b.columns] for b in blocks]
    # Of edges without a direction half count as theirs: then r c / w is d d / 2m.
    tables = [(own + own.T) / 2 if b.triangle else own for b, own in zip(blocks, tables, strict=True)]
    crossing, layers = 1 - xp.eye(num_clusters + 1, dtype=dtype), dict[tuple[int, int], Array]()
    cut, excess = xp.zeros(num_clusters + 1, dtype), xp.zeros((), dtype)
    for block, table in zip(blocks, tables, strict=True):
        ends = table.sum(axis=1), table.sum(axis=0)
        cut += (table * crossing).sum(axis=1) + (table * crossing).sum(axis=0)
        excess += (xp.diagonal(table) - ends[0] * _ratio(xp, ends[1], table.sum()))[:-1].sum()
        for layer, volume in zip((block.rows, block.columns), ends, strict=True):
            assert layer is not None
            place = layer.start, layer.stop
            layers[place] = layers.get(place, 0) + volume
    volumes = xp.stack([*layers.values()])
    joint = _ratio(xp, volumes[:, :-1], volumes[:, :-1].sum())
    entropy = [_entropy(xp, own) for own in (joint.sum(axis=0), joint.sum(axis=1), joint)]
    share = xp.clip(_ratio(xp, entropy[0] + entropy[1] - entropy[2], entropy[0]), 0, 1)
    layered = len(layers) > 1 or not blocks[0].triangle  # one group of all vertices may well be all layers
    return Description(
        ncut=_ratio(xp, cut, volumes.sum(axis=0))[:-1].sum(),
        modularity=_ratio(xp, excess, volumes.sum() / 2),
        depth_share=share if layered else xp.full_like(share, xp.nan),
    )


def _ratio(xp: ModuleType, part: Array, whole: Array) -> Array:
    return xp.where(whole > 0, part / xp.where(whole > 0, whole, 1), 0)


def _entropy(xp: ModuleType, shares: Array) -> Array:
    return -(shares * xp.log(xp.where(shares > 0, shares, 1))).sum()
