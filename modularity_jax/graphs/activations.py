"""Graphs of activations: which units of a network are active together (2110.08058, section 2)."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.dense import DenseGraph, Responses, mirrored
from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.numerics import full_precision, near_one
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.programs import program

Array = jax.Array

# A correlation of fewer samples is no number, or always 1.
LEAST_SAMPLES = 3
# Values that are worked at together, of units when they are ranked and of edges when they are made.
MAX_RANKED = 2**22
MAX_EDGES = 2**24


@outside_explicit_mesh
def activation_graph(
    activations: ArrayLike | Sequence[ArrayLike],
    *,
    correlation: str = "spearman",
    cross_validated: bool = False,
    between_layers: bool = True,
) -> DenseGraph:
    """The graph whose edges are the squared correlations, over samples, of each two units' activations.

    Units whose activation never changes have no edge. Any real numbers will do; doubles are rounded to float32 unless
    JAX has x64 enabled. Under jit values are not looked at.

    Noise alone gives an edge of 1 / n on average. With cross_validated an edge is the product of the correlations over
    even and over odd samples, 0 where it is negative. Its average is then, up to terms of order 1/n of the correlation
    itself, the square of the true one, without a share of noise; but a pair without correlation keeps the 0.64 / n
    that is left of noise above 0, and half of these pairs have no edge. Samples must not depend on their neighbours.

    Args:
      activations: [n, N] of n samples, or for each layer [n, d_l], whose units are then the groups of the graph:
        controls and the null of the modularity keep to each pair of layers.
      correlation: "spearman", of ranks, equal values having the mean of theirs; "pearson", of the values.
      cross_validated: static; see above.
      between_layers: static; False leaves out the edges between layers.

    Returns:
      A graph with all that `shuffle(..., method="samples")` needs to make it again.

    Raises:
      ValueError: if activations are no matrix and no sequence of matrices with as many rows, have no unit, fewer than
        3 samples (6 if cross_validated) or values that are not real numbers or not finite, or if correlation or a flag
        is unknown.
    """
    checks.check_choice("correlation", correlation, tuple(CORRELATIONS))
    checks.check_choice("cross_validated", cross_validated, (True, False))
    checks.check_choice("between_layers", between_layers, (True, False))
    layers = _as_layers(activations)
    _check_shapes(layers, LEAST_SAMPLES * (2 if cross_validated else 1))
    return _made(tuple(layers.values()), correlation, bool(cross_validated), bool(between_layers))


@full_precision
def graph_of_responses(responses: Responses, widths: tuple[int, ...]) -> DenseGraph:
    """The graph [N, N] of units in groups of these widths; no check, no jit."""
    groups = [responses.parts]
    if not responses.between_layers:
        groups = list(zip(*(jnp.split(part, np.cumsum(widths)[:-1], axis=1) for part in responses.parts), strict=True))
    blocks = [_products(group) for group in groups]
    whole = blocks[0] if len(blocks) == 1 else jax.scipy.linalg.block_diag(*blocks)
    return DenseGraph(mirrored(whole), widths, responses)


@functools.partial(program, static_argnums=(1, 2, 3))
def _made(layers: tuple[Array, ...], correlation: str, cross_validated: bool, between_layers: bool) -> DenseGraph:
    dtype = np.result_type(*(layer.dtype for layer in layers))
    units = jnp.concatenate([layer.astype(dtype) for layer in layers], axis=1)
    halves = (units[0::2], units[1::2]) if cross_validated else (units,)
    parts = tuple(_scaled(half, CORRELATIONS[correlation]) for half in halves)
    return graph_of_responses(Responses(parts, between_layers), tuple(layer.shape[1] for layer in layers))


def _products(parts: Sequence[Array]) -> Array:
    """The product of the correlations over the first and the last of parts [n, N], [N, N], at least 0."""

    def of_unit(*own: Array) -> Array:
        first, *others = [values @ part for values, part in zip(own, parts, strict=True)]
        product = first * (others[0] if others else first)
        return jnp.where(product < jnp.finfo(product.dtype).tiny, 0, product)

    size = parts[0].shape[1]
    turned = [part.T for part in parts]
    return jax.lax.map(lambda own: of_unit(*own), turned, batch_size=max(1, MAX_EDGES // size))


def _scaled(values: Array, centred: Callable[[Array], Array]) -> Array:
    """Each column of values [n, N] with mean 0 and norm 1; 0 where it has one value only."""

    def of_unit(own: Array) -> Array:
        found = near_one(centred(own))
        square = (found**2).sum()
        return found / jnp.sqrt(jnp.where(square > 0, square, 1))

    return jax.lax.map(of_unit, values.T, batch_size=max(1, MAX_RANKED // len(values))).T


def _ranks(values: Array) -> Array:
    """Twice the ranks of values [n] less their mean, which are whole numbers."""
    ordered = jnp.sort(values)
    below, up_to = (jnp.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to - values.size).astype(values.dtype)


def deviations(values: Array) -> Array:
    """Values [n], in a unit near their own, less their mean."""
    scaled = near_one(jnp.where(jnp.abs(values) < jnp.finfo(values.dtype).tiny, 0, values))
    beyond = near_one(scaled - scaled[0])  # exactly 0 where all are equal
    nearly = beyond - beyond.mean()
    return nearly - nearly.mean()


CORRELATIONS: dict[str, Callable[[Array], Array]] = {"spearman": _ranks, "pearson": deviations}


def _as_layers(activations: Any) -> dict[str, Array]:
    """By their names, as floats."""
    if getattr(activations, "ndim", None) is not None:
        return {"activations": as_floats("activations", activations)}
    checks.check_sequence("activations", activations)
    return {f"activations[{i}]": as_floats(f"activations[{i}]", layer) for i, layer in enumerate(activations)}


def _check_shapes(layers: dict[str, Array], least: int) -> None:
    if not layers:
        raise ValueError("activations must hold at least one layer, got none")
    for name, layer in layers.items():
        if layer.ndim != 2 or not layer.shape[1]:
            raise ValueError(f"{name} must have shape [n, units], got {layer.shape}")
    counts = {len(layer) for layer in layers.values()}
    if len(counts) > 1:
        raise ValueError(f"activations must have as many samples in each layer, got {sorted(counts)}")
    if min(counts) < least:
        raise ValueError(f"activations must have at least {least} samples, got {min(counts)}")
