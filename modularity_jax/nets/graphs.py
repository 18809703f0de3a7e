"""The graphs of a trained network by name."""

from collections.abc import Callable

from modularity_jax.graphs.protocol import Graph
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models import Architecture
from modularity_jax.plug_points import entry

#: The graphs that `cluster.graphs` takes, by name: of an architecture and a network's parameters, on the host.
GRAPHS: dict[str, Callable[[Architecture, Params], Graph]] = {
    "weights": lambda architecture, params: architecture.graph(params),
    "balanced": lambda architecture, params: architecture.graph(params).balanced(),
}


def graph_of(kind: str, architecture: Architecture, params: Params) -> Graph:
    """A network's graph of a kind of `GRAPHS`, or of one from elsewhere by its dotted name."""
    return entry("cluster.graphs", kind, GRAPHS)(architecture, params)
