"""Weights -> graph -> embedding -> labels -> n-cut -> controls -> statistics; needs jax, numpy and scipy only."""

from modularity_jax.metric.clustering import Clustering, cluster
from modularity_jax.metric.controls import METHODS, shuffle
from modularity_jax.metric.graph import LayeredGraph, SparseGraph
from modularity_jax.metric.ncut import ncut
from modularity_jax.metric.shuffle_test import ShuffleTest, shuffle_test

__all__ = [
    "METHODS",
    "Clustering",
    "LayeredGraph",
    "ShuffleTest",
    "SparseGraph",
    "cluster",
    "ncut",
    "shuffle",
    "shuffle_test",
]
