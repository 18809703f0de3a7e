"""A graph of a network of one's own: without its inputs, of squared weights."""

from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.nets.kernels import kernels_of


def squares(architecture, params):
    """Of all kernels but the first."""
    return LayeredGraph.from_weights([kernel**2 for kernel in [*kernels_of(params).values()][1:]])
