"""Modules across layers: ranks, sizes, and the weight that flows between them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Modules(NamedTuple):
    """One network's partition, modules ranked by depth (0 lies nearest the inputs)."""

    labels: list[np.ndarray]  # L + 1 arrays [d_l], -1 where isolated
    counts: np.ndarray  # [L + 1, k] neurons per layer and module
    isolated: np.ndarray  # [L + 1] neurons without an edge


def rank_modules(labels: np.ndarray, widths: Sequence[int], num_clusters: int) -> Modules:
    """Splits labels [N] into layers and ranks modules by their neurons' mean layer, so that few ribbons cross.

    Raises:
      ValueError: if the labels are not one per neuron of the layers' widths.
    """
    if len(labels) != sum(widths):
        raise ValueError(f"labels must be one per neuron: {sum(widths)} neurons, got {len(labels)} labels")
    connected = labels >= 0
    layer = np.repeat(np.arange(len(widths)), widths)
    sizes = np.bincount(labels[connected], minlength=num_clusters)
    depths = np.bincount(labels[connected], layer[connected], num_clusters) / np.maximum(sizes, 1)
    rank = np.empty(num_clusters, dtype=int)
    rank[np.argsort(depths, kind="stable")] = np.arange(num_clusters)
    ranked = np.where(connected, rank[labels], -1)
    layers = np.split(ranked, np.cumsum(widths)[:-1])
    counts = np.array([np.bincount(part[part >= 0], minlength=num_clusters) for part in layers])
    return Modules(layers, counts, np.array([np.sum(part < 0) for part in layers]))


def module_flows(kernels: Sequence[np.ndarray], modules: Modules) -> list[np.ndarray]:
    """The total |weight| of kernels [d_{l-1}, d_l] from each module of a layer to each of the next, L arrays [k, k]."""
    k = modules.counts.shape[1]
    members = [(labels[:, None] == np.arange(k)).astype(np.float64) for labels in modules.labels]
    return [members[i].T @ np.abs(kernel) @ members[i + 1] for i, kernel in enumerate(kernels)]


def cut_shares(flows: Sequence[np.ndarray]) -> np.ndarray:
    """Each module's term cut / vol of the n-cut, [k]; 0 for a module without weight."""
    volume = sum(flow.sum(0) + flow.sum(1) for flow in flows)
    kept = sum(2.0 * np.diag(flow) for flow in flows)
    return np.divide(volume - kept, volume, out=np.zeros_like(volume), where=volume > 0)


def layer_names(num_layers: int) -> list[str]:
    """Names of a network's layers of neurons, inputs and outputs included."""
    return ["inputs", *(f"hidden {i}" for i in range(1, num_layers - 1)), "outputs"]
