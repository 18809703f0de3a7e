"""The graphs of a trained network by name."""

import functools
from collections.abc import Callable

from modularity_jax.graphs.activations import activation_graph
from modularity_jax.graphs.normalization import SIZES, normalize
from modularity_jax.graphs.protocol import Graph
from modularity_jax.nets.kernels import Params, biases_of, kernels_of, with_kernels
from modularity_jax.nets.models import Architecture, cnn
from modularity_jax.plug_points import entry

Make = Callable[[Architecture, Params], Graph]


def normalized(size: str, architecture: Architecture, params: Params) -> Graph:
    """Of the same network with hidden units of one size, see `normalize`; of layers in a chain, in the order of paths.

    Raises:
      ValueError: if the architecture is not said to be such a chain.
    """
    check_kind(f"normalized_{size}", architecture)
    kernels = kernels_of(params)
    made, _ = normalize([*kernels.values()], biases_of(params), size=size)
    return architecture.graph(with_kernels(params, dict(zip(kernels, made, strict=True))))


#: The graphs that `cluster.graphs` takes, by name: of an architecture and a network's parameters, on the host.
GRAPHS: dict[str, Make] = {
    "weights": lambda architecture, params: architecture.graph(params),
    "balanced": lambda architecture, params: architecture.graph(params).balanced(),
    "convolutions": lambda architecture, params: cnn.published_graph(params),
    **{f"normalized_{size}": functools.partial(normalized, size) for size in SIZES},
}
#: Graphs of hidden units by what they do, of their activations [n, d] group by group; `cluster.graphs` takes them, too.
ACTIVATION_GRAPHS: dict[str, Callable[..., Graph]] = {
    "activations": activation_graph,
    "activations_within": functools.partial(activation_graph, between_layers=False),
}


def check_kind(kind: str, architecture: Architecture) -> None:
    """Raises where an architecture cannot have a graph of this kind."""
    if kind.startswith("normalized_") and kind in GRAPHS and not architecture.is_chain:
        raise ValueError(f"cluster.graphs must not have {kind} of an architecture that is no chain of layers")


def graph_by_name(kind: str, architecture: Architecture, params: Params) -> Graph:
    """A network's graph of a kind of `GRAPHS`, or of one from elsewhere by its dotted name."""
    return entry("cluster.graphs", kind, GRAPHS)(architecture, params)
