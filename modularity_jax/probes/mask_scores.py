"""What masks of sub-tasks say: how far they overlap, what each does elsewhere, which units and clusters are whose."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import divide, full_precision
from modularity_jax.graphs.protocol import Graph
from modularity_jax.graphs.readers import graph_of
from modularity_jax.metric.moves import members_of, weight_inside
from modularity_jax.parallel import as_mesh, grouped_map, outside_explicit_mesh
from modularity_jax.probes.labels import accuracy
from modularity_jax.probes.lesions import Metric
from modularity_jax.probes.mask_trees import binary_masks, masked
from modularity_jax.probes.masks import Predict, check_sub_tasks
from modularity_jax.programs import program

Array = jax.Array


class MaskOverlap(NamedTuple):
    """Of two masks, for each kernel; pytrees with their structure. NaN where nothing is kept."""

    iou: Any  #: [], weights that both keep, as a share of those that either keeps
    iomin: Any  #: [], the same as a share of the smaller mask
    chance_iou: Any  #: [], of independent random masks of these sizes, a b / (a + b - a b) of the shares a, b they keep
    chance_iomin: Any  #: [], and max(a, b)


class MaskMatrix(NamedTuple):
    """How good a network is on each of T sub-tasks, with each of M masks; the metric's mean."""

    kept: np.ndarray  #: [M, T], with the mask
    inverse: np.ndarray  #: [M, T], with the kernels' other weights


def mask_overlap(first: Any, second: Any) -> MaskOverlap:
    """How far two masks of one network overlap in each kernel (Csordas et al. 2021), and how far by chance.

    The chance level is that of the shares kept. What training alone leaves open is the overlap of two masks of one
    sub-task from different keys, the most that can be expected of two sub-tasks.

    Args:
      first, second: masks as `masked` takes them; under `jax.vmap` many pairs.

    Raises:
      ValueError: if they are not masks of one network.
    """
    shapes, others = (jax.tree.map(np.shape, own) for own in (first, second))
    if shapes != others:
        raise ValueError(f"first and second must be masks of one network, got shapes {shapes} and {others}")
    return _overlap(binary_masks(first), binary_masks(second))


@jax.jit
def _overlap(first: Any, second: Any) -> MaskOverlap:
    def one(a: Array, b: Array) -> Array:
        both, either, a, b = (values.mean(dtype=jnp.float32) for values in (a & b, a | b, a, b))
        parts = jnp.stack([both, both, a * b, jnp.maximum(a, b)])
        whole = jnp.stack([either, jnp.minimum(a, b), a + b - a * b, (jnp.minimum(a, b) > 0).astype(jnp.float32)])
        return jnp.where(whole > 0, divide(parts, whole), jnp.nan)

    found = jax.tree.map(one, first, second)
    return MaskOverlap(*(jax.tree.map(lambda leaf, index=index: leaf[index], found) for index in range(4)))


@outside_explicit_mesh
def mask_matrix(
    apply: Predict,
    params: Any,
    masks: Any,
    x: ArrayLike,
    y: ArrayLike,
    *,
    metric: Metric = accuracy,
    mesh: Mesh | None = None,
) -> MaskMatrix:
    """What each mask, and its inverse, does on each sub-task (Csordas et al. 2021).

    A network specialises where a mask keeps its own sub-task alone, and its inverse all others.

    Args:
      apply, params: as `train_masks`.
      masks: [M, ...], as `train_masks` gives them, or of whatever else.
      x, y: samples of the sub-tasks [T, n, ...].
      metric: (logits [B, C], y [B, ...]) -> [B], static.
      mesh: whose devices share the masks.

    Raises:
      ValueError: if samples, masks and network do not fit one another.
    """
    x, y = check_sub_tasks(apply, params, x, y, classes=metric is accuracy)
    return MaskMatrix(*map(np.asarray, _matrix(apply, metric, as_mesh(mesh), params, masks, x, y)))


def unit_labels(masks: Any, params: Any, *, graph: Callable[[Any], Graph] = graph_of) -> np.ndarray:
    """The sub-task of each unit: whose mask keeps the largest share of the |weight| of its edges. [N] int32.

    -1 where no mask keeps any, or two of them the same. So masks can be compared with clusters, for instance by the
    adjusted Rand index with `mj.cluster`'s labels.

    Args:
      masks: [T, ...], as `train_masks` gives them.
      params: of the network.
      graph: of params, whose vertices are the units.
    """
    strength = np.stack([np.asarray(own.degrees()) for own in _graphs(masks, params, graph)])
    most = strength.max(axis=0)
    alone = (strength == most).sum(axis=0) == 1
    return np.where(alone & (most > 0), strength.argmax(axis=0), -1).astype(np.int32)


def cluster_shares(
    masks: Any, params: Any, labels: ArrayLike, *, num_clusters: int, graph: Callable[[Any], Graph] = graph_of
) -> np.ndarray:
    """Share of the |weight| inside each cluster that each mask keeps, [T, K]; 0 of a cluster without an edge inside.

    An edge is inside where both its ends are.

    Args:
      masks, params, graph: as `unit_labels`.
      labels: of the graph's vertices [N], -1 of no cluster.
      num_clusters: K.

    Raises:
      ValueError: if labels are no partition of the graph.
    """
    whole = graph(params)
    members = members_of(checks.as_partition(whole, labels, num_clusters), num_clusters, whole.degrees().dtype)[None]
    inside = [weight_inside(own, members)[0] for own in (whole, *_graphs(masks, params, graph))]
    return np.asarray(divide(jnp.stack(inside[1:]), inside[0][None]))


def _graphs(masks: Any, params: Any, graph: Callable[[Any], Graph]) -> list[Graph]:
    """The graph of the network with each mask."""
    masks, params = jax.tree.map(np.asarray, (masks, params))
    own = [
        jax.tree.map(lambda leaf, index=index: leaf[index], masks) for index in range(len(jax.tree.leaves(masks)[0]))
    ]
    return [graph(masked(params, mask)) for mask in own]


@functools.partial(program, static_argnums=(0, 1, 2))
@full_precision
def _matrix(
    apply: Predict, metric: Metric, mesh: Mesh | None, params: Any, masks: Any, x: Any, y: Any
) -> tuple[Array, ...]:
    """With each mask [M, T], and with its inverse."""

    def one(masks: Any, params: Any, x: Array, y: Array) -> tuple[Array, ...]:
        own = binary_masks(masks)
        networks = [masked(params, both) for both in (own, jax.tree.map(jnp.logical_not, own))]
        return tuple(
            jax.lax.map(lambda own, made=made: metric(apply(made, own[0]), own[1]).mean(), (x, y)) for made in networks
        )

    return grouped_map(one, masks, params, x, y, group_size=1, mesh=mesh)
