"""The graph of a feed-forward network, one dense block of edges per layer."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.blocks import Blocks, Wiring
from modularity_jax.graphs.magnitudes import magnitudes
from modularity_jax.graphs.neighbourhoods import Neighbourhoods, between_ends, in_one_shape
from modularity_jax.graphs.params import layers_in_order
from modularity_jax.graphs.sides import BipartiteGraph, LayerForm, layer_sides
from modularity_jax.parallel import outside_explicit_mesh


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LayeredGraph(Blocks):
    """The graph of a feed-forward network, one dense block of edges per layer.

    Vertices are numbered layer after layer, inputs first, outputs last. Build it with `from_weights` or `from_params`.

    Attributes:
      affinities: |W_l| for l = 1..L, each [d_{l-1}, d_l]; see `from_weights` for their type and unit.
    """

    @classmethod
    @outside_explicit_mesh
    def from_weights(cls, weights: Sequence[ArrayLike]) -> Self:
        """The graph of the kernels W_1..W_L, each [d_in, d_out]; any sign, the absolute value is the edge.

        PyTorch and Equinox keep `Linear.weight` as [out, in]: pass `weight.T`. Square kernels chain either way, and
        transposed ones are the graph of another network. What a NumPy mask hides is pruned, a weight of 0.

        Any real numbers will do. Halves are widened to float32, doubles are rounded to it unless JAX has x64 enabled,
        and magnitudes below 1.2e-38, where float32 ends, count as 0. Where weights are so large (from about 1e38 over
        their number) that sums of them would overflow, all of them are divided by one power of two, which changes no
        n-cut, eigenvalue or p-value.

        Raises:
          ValueError: if there is no kernel, one is not a matrix or has no entry, the shapes do not chain, or a value
            is not a real number or not finite. Under jit values are not looked at.
        """
        checks.check_sequence("weights", weights)
        kernels = {f"weights[{index}]": checks.as_weights(f"weights[{index}]", w) for index, w in enumerate(weights)}
        checks.check_kernel_shapes([kernel.shape for kernel in kernels.values()])
        return cls(magnitudes(kernels))

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The graph of a Flax params pytree of Dense layers, taken in the order of the number at their names' end.

        `graph_of` reads other networks too: convolutions, nested modules, other libraries' modules and arrays.

        Args:
          params: `{"layer_00": {"kernel": ..., "bias": ...}, ...}`, or that under the key "params". That each layer
            reads the one before it cannot be told from params. Passed over without harm: biases, entries without any
            array, and, with a warning, the collection "intermediates" beside "params".

        Raises:
          ValueError: as `from_weights`; if the names are not one word with different numbers; and, by name, if params
            hold anything else, which would change the graph: normalisation layers (fold their scale into a kernel),
            nested modules, convolutions, embeddings, attention, batch statistics, arrays beside a layer's kernel.
        """
        return cls.from_weights([layer["kernel"] for _, layer in layers_in_order(params)])

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons of layers 0..L."""
        return (self.affinities[0].shape[0], *(w.shape[1] for w in self.affinities))

    @property
    def wiring(self) -> Wiring:
        """Layers 0..L, each joined with the next."""
        layers = range(len(self.affinities) + 1)
        names = tuple(f"layer {layer}" for layer in layers)
        return Wiring(names, self.widths, tuple(itertools.pairwise(layers)))

    @property
    def hidden_layers(self) -> tuple[slice, ...]:
        """The vertices of layers 1..L - 1."""
        return between_ends(self.widths)

    def neighbourhoods(self) -> Neighbourhoods:
        """Each hidden layer with the layers before and after it."""
        before, after = map(in_one_shape, (self.affinities[:-1], self.affinities[1:]))
        first, width = before.shape[1:]
        return Neighbourhoods(LayeredGraph((before, after)), slice(first, first + width))

    def form(self) -> LayerForm:
        """By its two sides."""
        return LayerForm(self.widths)

    def formed(self) -> BipartiteGraph:
        """Itself by its two sides."""
        strips = []
        for layer in layer_sides(self.widths)[0]:
            before = [self.affinities[layer - 1].T] if layer > 0 else []
            strips.append(jnp.concatenate([*before, *self.affinities[layer : layer + 1]], axis=1))
        return BipartiteGraph(tuple(strips), self.widths)
