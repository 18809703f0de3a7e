"""How much of a partition is depth: what the clusters tell of the layers."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import divide
from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.moves import members_of
from modularity_jax.parallel import outside_explicit_mesh

Array = jax.Array


@outside_explicit_mesh
def depth_share(graph: Graph, labels: ArrayLike, *, num_clusters: int) -> Array:
    """Mutual information of cluster and layer over the clusters' entropy, both weighted by degree.

    1 where the layer tells the cluster: a partition by depth. 0 where each layer is divided alike.

    Args:
      graph, labels, num_clusters: as `ncut`; vertices without a cluster are left out.

    Returns:
      Scalar in 0..1; 0 for a single cluster, NaN of a graph without known layers.

    Raises:
      ValueError: as `ncut`.
    """
    return share_of_depth(graph, checks.as_partition(graph, labels, num_clusters), num_clusters)


def share_of_depth(graph: Graph, labels: Array, num_clusters: int) -> Array:
    """`depth_share` of labels [N]; no check, no jit."""
    degrees = graph.degrees()
    layers = _layers(graph)
    if not layers:
        return jnp.full((), jnp.nan, degrees.dtype)
    volumes = members_of(labels, num_clusters, degrees.dtype) * degrees[None]
    volumes = jnp.stack([volumes[:, layer].sum(axis=1) for layer in layers])
    joint = divide(volumes, volumes.sum())
    clusters, layer_entropy = entr(joint.sum(axis=0)).sum(), entr(joint.sum(axis=1)).sum()
    return jnp.clip(divide(clusters + layer_entropy - entr(joint).sum(), clusters), 0, 1)


def _layers(graph: Graph) -> Sequence[slice]:
    """The groups of vertices between which the blocks of edges lie; none of a list of edges."""
    ends = [end for block in graph.blocks() for end in (block.rows, block.columns) if end]
    return [slice(*bounds) for bounds in sorted({(end.start, end.stop) for end in ends})]
