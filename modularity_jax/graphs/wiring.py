"""Networks of any shape as graphs: named groups of units, and the kernels between them."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.blocks import BlockGraph, Blocks, Wiring
from modularity_jax.graphs.conv import NORMS, channel_norms
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.libraries import advice
from modularity_jax.graphs.magnitudes import MAX_ON_HOST, magnitudes, on_host
from modularity_jax.parallel import outside_explicit_mesh


@outside_explicit_mesh
def wire(edges: Iterable[tuple[str, str, ArrayLike]], *, norm: str = "l1") -> LayeredGraph | BlockGraph:
    """The graph of a network by its kernels: convolutions, skip connections, recurrence, several inputs.

    Args:
      edges: (source, target, kernel) of two named groups of units: layers, channels, inputs, outputs. Kernels are
        [units in, units out], or [..., units in, units out] such as a convolution's [h, w, c_in, c_out], of any sign;
        `modularity_jax.graphs.conv` brings others to that form, flattening, norms, sums and concatenations too. A group
        may be its own target: recurrent weights, whose two directions add up.
      norm: what the places of a kernel come to, see `conv.channel_norms`: "l1", "l2" or "max_column".

    Returns:
      A LayeredGraph where the edges are a chain, layer after layer; else a BlockGraph, whose vertices are the groups in
      the order in which the edges name them. Weights as `LayeredGraph.from_weights` treats them. `describe` tells what
      became of the edges.

    Raises:
      ValueError: if there is no edge, one is not two names and a kernel, a kernel has fewer than two axes, no entry or
        one that is not finite, two kernels disagree on the width of a group, or the norm is unknown.
    """
    checks.check_choice("norm", norm, NORMS)
    given = [_checked(index, edge) for index, edge in enumerate(_listed(edges))]
    widths: dict[str, int] = {}
    for index, (source, target, kernel) in enumerate(given):
        for name, width in zip((source, target), kernel.shape[-2:], strict=True):
            if widths.setdefault(name, width) != width:
                raise ValueError(
                    f"edges must agree on the units of each group: edges[{index}], {source!r} -> {target!r}, has a "
                    f"kernel of shape {kernel.shape}, so {width} units of {name!r}, which has {widths[name]} already"
                )
    kernels = magnitudes({f"edges[{index}]": kernel for index, (*_, kernel) in enumerate(given)})
    affinities = [_norms(kernel, norm) for kernel in kernels]
    if order := chain_order([(source, target) for source, target, _ in given]):
        return LayeredGraph(tuple(affinities[index] for index in order))
    numbers = {name: index for index, name in enumerate(widths)}
    pairs = tuple((numbers[source], numbers[target]) for source, target, _ in given)
    return BlockGraph(tuple(affinities), Wiring(tuple(widths), tuple(widths.values()), pairs))


def describe(graph: Blocks, names: Sequence[str] = ()) -> str:
    """A network's groups and blocks as text, to check its wiring by: names, units, weights, zeros, totals.

    Names: of the groups, where the graph has none of its own, as a LayeredGraph.

    Raises:
      ValueError: if graph is neither a LayeredGraph nor a BlockGraph.
    """
    if not isinstance(graph, Blocks):
        raise ValueError(f"graph must be a LayeredGraph or a BlockGraph, got {type(graph).__name__}{advice(graph)}")
    named, widths, pairs = graph.wiring
    names = names or named
    room = max(map(len, names))
    lines = [f"{len(names)} groups, {graph.num_nodes} units:"]
    lines += [f"  {name:{room}}  {width:>6} units" for name, width in zip(names, widths, strict=True)]
    lines.append(f"{len(pairs)} blocks, {graph.size} weights:")
    for (a, b), affinity in zip(pairs, graph.affinities, strict=True):
        weights = np.asarray(affinity)
        share = (weights == 0).mean()
        size = f"{weights.shape[0]} x {weights.shape[1]}"
        lines.append(
            f"  {names[a]:{room}} -> {names[b]:{room}}  {size:>11}, {share:4.0%} zeros, sum {weights.sum():.6g}"
        )
    sides = graph.wiring.sides()
    if sides is None:
        lines.append("no two sides: a group is joined with itself, or in a circle of odd length")
    else:
        lines.append(
            "two sides, for the exact solver: " + " | ".join(", ".join(names[i] for i in own) for own in sides)
        )
    return "\n".join(lines)


def _listed(edges: Any) -> list[Any]:
    checks.check_sequence("edges", edges)
    listed = list(edges)
    if not listed:
        raise ValueError("edges must hold at least one (source, target, kernel), got none")
    return listed


def _checked(index: int, edge: Any) -> tuple[str, str, Any]:
    name = f"edges[{index}]"
    if isinstance(edge, str | Mapping) or not hasattr(edge, "__len__") or len(edge) != 3:
        raise ValueError(f"{name} must be (source, target, kernel), got {type(edge).__name__}{advice(edge)}")
    source, target, kernel = edge
    if not isinstance(source, str) or not isinstance(target, str):
        got = f"{type(source).__name__} and {type(target).__name__}"
        raise ValueError(f"{name} must name its source and its target, got {got}")
    weights = checks.as_weights(name, kernel)
    if weights.ndim < 2 or not weights.size:
        raise ValueError(f"{name} must have a kernel of shape [..., units in, units out], got {weights.shape}")
    return source, target, weights


def _norms(kernel: jax.Array, norm: str) -> jax.Array:
    if kernel.ndim > 2 and kernel.size <= MAX_ON_HOST and on_host(kernel):  # without a program to compile
        return jax.device_put(channel_norms(np.asarray(kernel), norm))
    return channel_norms(kernel, norm)


def chain_order(pairs: list[tuple[str, str]]) -> list[int] | None:
    """The order of the edges in which each begins where the one before it ends; None where they are no such chain."""
    edges = {source: index for index, (source, _) in enumerate(pairs)}
    first = edges.keys() - {target for _, target in pairs}
    groups = set(itertools.chain.from_iterable(pairs))
    if len(edges) < len(pairs) or len(groups) != len(pairs) + 1 or len(first) != 1:
        return None
    order, at = [], first.pop()
    while at in edges:
        order.append(edges[at])
        at = pairs[edges[at]][1]
    return order if len(order) == len(pairs) else None
