"""Checks at the public edge: each raises a `ValueError` that names the argument and what it got.

Sizes and names are always checked. Values are checked only where they are concrete: under `jit`, `vmap` or `grad`
there is nothing to look at.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np


def is_concrete(tree: Any) -> bool:
    """Whether every array of the pytree has values to look at."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def check_kernel_shapes(shapes: Sequence[tuple[int, ...]]) -> None:
    """A network is at least one kernel [d_in, d_out], each as tall as the one before it is wide."""
    if not shapes:
        raise ValueError("weights must hold at least one layer, got none")
    for index, shape in enumerate(shapes):
        if len(shape) != 2:
            raise ValueError(f"weights[{index}] must have shape [d_in, d_out], got {shape}")
        if 0 in shape:
            raise ValueError(f"weights[{index}] must not be empty, got {shape}")
    for index, (before, after) in enumerate(itertools.pairwise(shapes)):
        if before[1] != after[0]:
            raise ValueError(
                f"weights must chain: weights[{index}] has shape {before}, so weights[{index + 1}] "
                f"needs {before[1]} rows, got {after}"
            )


def check_finite(name: str, values: jax.Array) -> None:
    """No NaN and no infinity."""
    if is_concrete(values):
        bad = int(np.size(values) - np.isfinite(np.asarray(values)).sum())
        if bad:
            raise ValueError(f"{name} must be finite, got {bad} non-finite of {np.size(values)} values")


def check_edges(senders: jax.Array, receivers: jax.Array, weights: jax.Array, num_nodes: int) -> None:
    """Edges are three arrays [E] whose ends are two different vertices below num_nodes."""
    shapes = senders.shape, receivers.shape, weights.shape
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ValueError(
            f"senders, receivers and weights must have one shape [E], got {shapes[0]}, {shapes[1]}, {shapes[2]}"
        )
    if num_nodes < 1:
        raise ValueError(f"num_nodes must be at least 1, got {num_nodes}")
    check_finite("weights", weights)
    if not is_concrete((senders, receivers)):
        return
    for name, ends in (("senders", np.asarray(senders)), ("receivers", np.asarray(receivers))):
        if ends.size and (ends.min() < 0 or ends.max() >= num_nodes):
            raise ValueError(f"{name} must lie in 0..{num_nodes - 1}, got {ends.min()}..{ends.max()}")
    loops = np.flatnonzero(np.asarray(senders) == np.asarray(receivers))
    if loops.size:
        vertex = int(np.asarray(senders)[loops[0]])
        raise ValueError(
            f"senders and receivers must differ, got {loops.size} edges from a vertex to itself, first at {vertex}"
        )


def check_symmetric(adjacency: Any) -> None:
    """An adjacency matrix is square and equals its transpose."""
    if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(f"matrix must have shape [N, N], got {adjacency.shape}")
    difference = abs(adjacency - adjacency.T).max() if adjacency.nnz else 0.0
    if difference > 1e-6 * abs(adjacency).max():
        raise ValueError(
            f"matrix must be symmetric, got entries that differ from their mirror by up to {difference:.3g}"
        )


def check_num_clusters(num_clusters: int, graph: Any) -> None:
    """At least 2 clusters, at most one per connected vertex, and edges to cut."""
    if num_clusters < 2:
        raise ValueError(f"num_clusters must be at least 2, got {num_clusters}")
    connected = graph.num_nodes
    if is_concrete(graph):
        connected = int((np.asarray(graph.degrees()) > 0).sum())
        if not connected:
            raise ValueError("graph must have at least one edge, got none: every weight is 0")
    if num_clusters > connected:
        raise ValueError(
            f"num_clusters must be at most the number of connected neurons, {connected}, got {num_clusters}"
        )


def check_labels(labels: jax.Array | np.ndarray, num_clusters: int, num_nodes: int) -> None:
    """One label per vertex, each in -1..num_clusters - 1."""
    if labels.shape != (num_nodes,):
        raise ValueError(f"labels must have shape ({num_nodes},), one per vertex, got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    if is_concrete(labels):
        low, high = int(np.asarray(labels).min()), int(np.asarray(labels).max())
        if low < -1 or high >= num_clusters:
            raise ValueError(f"labels must lie in -1..{num_clusters - 1}, got {low}..{high}")


def check_choice(name: str, value: str, known: Sequence[str]) -> None:
    """One of the known words."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def check_at_least(name: str, value: int, least: int) -> None:
    """A count that is large enough."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
