"""How modular are a neural network's weights?

Neurons are vertices, |weight| is an edge; spectral clustering finds modules, the normalised cut says how good they
are, shuffled weights say whether that is special.

Axis letters in every docstring: S seeds, B batch, L layers, N vertices, K clusters, R shuffles, X k-means restarts,
E edges, d_l the width of layer l.
"""

from modularity_jax.metric import (
    METHODS,
    Clustering,
    LayeredGraph,
    ShuffleTest,
    SparseGraph,
    cluster,
    ncut,
    shuffle,
    shuffle_test,
)

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
