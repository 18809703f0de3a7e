"""How modular are a neural network's weights?

Neurons are vertices, |weight| is an edge; spectral clustering finds modules, the normalised cut says how good they
are, shuffled weights say whether that is special.

Axis letters in every docstring: S seeds, B batch, L layers, N vertices, K clusters, R shuffles, X k-means restarts,
E edges, d_l the width of layer l.
"""

from modularity_jax.graphs import conv
from modularity_jax.graphs.blocks import BlockGraph
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.normalization import normalize
from modularity_jax.graphs.readers import graph_of
from modularity_jax.graphs.sparse import SparseGraph
from modularity_jax.graphs.wiring import describe, wire
from modularity_jax.metric.clustering import Clustering, cluster
from modularity_jax.metric.consensus import Consensus, consensus
from modularity_jax.metric.controls import shuffle
from modularity_jax.metric.coverage import coverage
from modularity_jax.metric.depth import depth_share
from modularity_jax.metric.measures import MEASURES
from modularity_jax.metric.methods import METHODS
from modularity_jax.metric.modularity import modularity
from modularity_jax.metric.ncut import ncut
from modularity_jax.metric.shuffle_test import ShuffleTest, shuffle_test
from modularity_jax.metric.signed import SignedClustering, cluster_signed, signed_modularity
from modularity_jax.metric.spectral import clusterability_penalty, spectral_clusterability, spectral_vectors
from modularity_jax.metric.states import StateTest, shuffle_states, state_test, unit_correlations
from modularity_jax.probes.boundaries import BoundaryTest, boundary_test, task_variance
from modularity_jax.probes.lesion_test import DoubleLesionTest, LesionTest, double_lesion_test, lesion_test

__all__ = [
    "MEASURES",
    "METHODS",
    "BlockGraph",
    "BoundaryTest",
    "Clustering",
    "Consensus",
    "DoubleLesionTest",
    "LayeredGraph",
    "LesionTest",
    "ShuffleTest",
    "SignedClustering",
    "SparseGraph",
    "StateTest",
    "boundary_test",
    "cluster",
    "cluster_signed",
    "clusterability_penalty",
    "consensus",
    "conv",
    "coverage",
    "depth_share",
    "describe",
    "double_lesion_test",
    "graph_of",
    "lesion_test",
    "modularity",
    "ncut",
    "normalize",
    "shuffle",
    "shuffle_states",
    "shuffle_test",
    "signed_modularity",
    "spectral_clusterability",
    "spectral_vectors",
    "state_test",
    "task_variance",
    "unit_correlations",
    "wire",
]
