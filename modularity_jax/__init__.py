"""How modular are a neural network's weights?

Neurons are vertices, |weight| is an edge; spectral clustering finds modules, the normalised cut says how good they
are, shuffled weights say whether that is special.

Axis letters in every docstring: S seeds, B batch, L layers, N vertices, K clusters, R shuffles, X k-means restarts,
E edges, d_l the width of layer l.
"""

from modularity_jax.graphs import conv
from modularity_jax.graphs.activations import activation_graph
from modularity_jax.graphs.blocks import BlockGraph
from modularity_jax.graphs.dense import DenseGraph
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.normalization import normalize
from modularity_jax.graphs.readers import graph_of
from modularity_jax.graphs.sparse import SparseGraph
from modularity_jax.graphs.wiring import describe, wire
from modularity_jax.metric.agreement import adjusted_rand
from modularity_jax.metric.clustering import Clustering, cluster
from modularity_jax.metric.combining import CombinedTest, combine_p_values, combine_trials
from modularity_jax.metric.consensus import Consensus, consensus
from modularity_jax.metric.controls import shuffle
from modularity_jax.metric.coverage import coverage
from modularity_jax.metric.depth import depth_share
from modularity_jax.metric.local import LocalClustering, cluster_locally, counts_by_layer
from modularity_jax.metric.measures import MEASURES
from modularity_jax.metric.methods import METHODS
from modularity_jax.metric.modularity import modularity
from modularity_jax.metric.ncut import ncut
from modularity_jax.metric.robustness import Robustness, robustness
from modularity_jax.metric.shuffle_test import ShuffleTest, shuffle_test
from modularity_jax.metric.signed import SignedClustering, cluster_signed, signed_modularity
from modularity_jax.metric.spectral import clusterability_penalty, spectral_clusterability, spectral_vectors
from modularity_jax.metric.states import StateTest, shuffle_states, state_test, unit_correlations
from modularity_jax.probes.ablation import AblationTest, ablation_test
from modularity_jax.probes.activations import unit_activations
from modularity_jax.probes.boundaries import BoundaryTest, boundary_test, task_variance
from modularity_jax.probes.input_coherence import InputCoherence, input_coherence
from modularity_jax.probes.input_overlap import input_overlap
from modularity_jax.probes.lesion_test import DoubleLesionTest, LesionTest, double_lesion_test, lesion_test
from modularity_jax.probes.mask_scores import (
    MaskMatrix,
    MaskOverlap,
    cluster_shares,
    mask_matrix,
    mask_overlap,
    unit_labels,
)
from modularity_jax.probes.mask_trees import masked
from modularity_jax.probes.masks import train_masks
from modularity_jax.probes.mixtures import gate_information, load_entropy, signature_affinity
from modularity_jax.probes.routing import RoutingScores, RoutingTest, gate_assignment, routing_scores, routing_test
from modularity_jax.probes.specialisation import Specialisation, specialisation
from modularity_jax.probes.time_scales import time_scales

__all__ = [
    "MEASURES",
    "METHODS",
    "AblationTest",
    "BlockGraph",
    "BoundaryTest",
    "Clustering",
    "CombinedTest",
    "Consensus",
    "DenseGraph",
    "DoubleLesionTest",
    "InputCoherence",
    "LayeredGraph",
    "LesionTest",
    "LocalClustering",
    "MaskMatrix",
    "MaskOverlap",
    "Robustness",
    "RoutingScores",
    "RoutingTest",
    "ShuffleTest",
    "SignedClustering",
    "SparseGraph",
    "Specialisation",
    "StateTest",
    "ablation_test",
    "activation_graph",
    "adjusted_rand",
    "boundary_test",
    "cluster",
    "cluster_locally",
    "cluster_shares",
    "cluster_signed",
    "clusterability_penalty",
    "combine_p_values",
    "combine_trials",
    "consensus",
    "conv",
    "counts_by_layer",
    "coverage",
    "depth_share",
    "describe",
    "double_lesion_test",
    "gate_assignment",
    "gate_information",
    "graph_of",
    "input_coherence",
    "input_overlap",
    "lesion_test",
    "load_entropy",
    "mask_matrix",
    "mask_overlap",
    "masked",
    "modularity",
    "ncut",
    "normalize",
    "robustness",
    "routing_scores",
    "routing_test",
    "shuffle",
    "shuffle_states",
    "shuffle_test",
    "signature_affinity",
    "signed_modularity",
    "specialisation",
    "spectral_clusterability",
    "spectral_vectors",
    "state_test",
    "task_variance",
    "time_scales",
    "train_masks",
    "unit_activations",
    "unit_correlations",
    "unit_labels",
    "wire",
]
