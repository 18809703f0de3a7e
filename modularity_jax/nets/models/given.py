"""Networks that are given: their weights alone, wherever they were trained."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import numpy as np

from modularity_jax.graphs.blocks import BlockGraph
from modularity_jax.graphs.conv import Edge, channel_norms
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.wiring import chain_order, wire
from modularity_jax.nets.kernels import Params, kernels_of

_LEADS, _NEXT = " -> ", "; "


class Given(nn.Module):
    """The shapes of a network's kernels; what it computes from inputs is not known.

    Attributes:
      wiring: as of `wired`.
      widths: of the groups, in the order in which the wiring names them.
    """

    wiring: str
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """The inputs [B, d] as they are."""
        del train
        widths = dict(zip(groups(self.wiring), self.widths, strict=True))
        for name, (source, target) in _layers(self.wiring).items():
            nn.Dense(widths[target], use_bias=False, name=name)(jax.numpy.zeros((1, widths[source])))
        return x


def wired(edges: Sequence[Edge], norm: str) -> tuple[str, Params]:
    """A network's wiring as a setting, and its kernels [units in, units out] by names that tell it.

    Args:
      edges: as `wire` takes them; those of a chain may come in any order.
      norm: as of `wire`.

    Raises:
      ValueError: if a name has a part that these names cannot hold.
    """
    order = chain_order([(source, target) for source, target, _ in edges]) or range(len(edges))
    for name in (name for edge in edges for name in edge[:2]):
        if any(part in name for part in ("/", _LEADS, _NEXT)) or name != name.strip() or not name:
            raise ValueError(f"a group of units must have a name without '/', '->' and ';', got {name!r}")
    wiring = _NEXT.join(_LEADS.join(edges[index][:2]) for index in order)
    kernels = [channel_norms(k, norm) if k.ndim > 2 else k for k in (np.asarray(edges[i][2]) for i in order)]
    return wiring, {name: {"kernel": kernel} for name, kernel in zip(_layers(wiring), kernels, strict=True)}


def groups(wiring: str) -> list[str]:
    """The names of the groups of units, in the order of their vertices."""
    return [*dict.fromkeys(name for ends in _layers(wiring).values() for name in ends)]


def graph(params: Params) -> LayeredGraph | BlockGraph:
    """Of the kernels."""
    kernels = kernels_of(params)
    return wire([(*_ends(name.partition(" ")[2]), kernel) for name, kernel in kernels.items()])


def _layers(wiring: str) -> dict[str, tuple[str, str]]:
    """The ends of each kernel, by its layer's name; those of a chain are numbered as in a perceptron."""
    if not wiring:
        raise ValueError("model.wiring must hold the edges of networks that are given, got none")
    edges = wiring.split(_NEXT)
    kind = "layer" if chain_order([*map(_ends, edges)]) else "edge"
    return {f"{kind}_{index:03d} {edge}": _ends(edge) for index, edge in enumerate(edges)}


def _ends(edge: str) -> tuple[str, str]:
    source, _, target = edge.partition(_LEADS)
    return source, target
