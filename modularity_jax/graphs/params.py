"""Params pytrees of perceptrons: their Dense layers, in order."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

import jax

from modularity_jax.graphs.libraries import advice


def layers_in_order(params: Mapping[str, Any]) -> list[tuple[str, Mapping[str, jax.Array]]]:
    """Dense layers of a Flax params pytree; what is passed over and what is refused, `LayeredGraph.from_params` says.

    A pytree sorts its keys, so `Dense_10` would come before `Dense_2`; this is the one place that settles the order.

    Raises:
      ValueError: if params are no mapping, no layer has a kernel, something is there that is no Dense layer, the names
        are not one word with different numbers, or a kernel is no matrix.
    """
    layers = _collection(params)
    names = [name for name, layer in layers.items() if isinstance(layer, Mapping) and "kernel" in layer]
    if not names:
        entries = sorted(map(str, layers))
        raise ValueError(
            f"params must hold at least one layer with a kernel, got the entries {entries}{advice(layers)}"
        )
    for name, layer in layers.items():
        _check_layer(name, layer)
    return [(name, layers[name]) for name in _ordered(names)]


def _collection(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The layers themselves, of params or of Flax variables that hold nothing else that matters."""
    if not isinstance(params, Mapping):
        raise ValueError(f"params must be a mapping of layers, got {type(params).__name__}{advice(params)}")
    if not isinstance(params.get("params"), Mapping):
        return params
    for name, values in params.items():
        if name == "params" or not jax.tree.leaves(values):
            continue
        if name != "intermediates":  # these take no part in what a network computes
            raise ValueError(
                f"params must hold Dense layers only, got the collection {name!r} beside 'params', which would be "
                "passed over: fold what it does into the kernels and give these alone"
            )
        warnings.warn(f"the collection {name!r} of params is passed over", stacklevel=4)
    return params["params"]


def _check_layer(name: str, layer: Any) -> None:
    """A Dense layer, or nothing at all."""
    if not jax.tree.leaves(layer):
        return
    held = sorted(map(str, layer)) if isinstance(layer, Mapping) else [type(layer).__name__]
    if not isinstance(layer, Mapping) or not {"kernel"} <= set(layer) <= {"kernel", "bias"}:
        raise ValueError(
            f"params must hold Dense layers only, with a kernel and a bias, got {name!r} with {', '.join(held)}, which "
            "would be passed over: fold it into the kernels beside it, or make a graph of the kernels that you want, "
            "in their order, by LayeredGraph.from_weights"
        )
    shape = getattr(layer["kernel"], "shape", None)
    if shape is not None and len(shape) != 2:
        raise ValueError(f"params[{name!r}]['kernel'] must have shape [d_in, d_out], got {tuple(shape)}")


def _ordered(names: list[str]) -> list[str]:
    """Names of one word and a number each, by the number; a single one needs none."""
    if len(names) == 1:
        return names
    split = {name: re.fullmatch(r"(.*?)(\d+)", str(name)) for name in names}
    numbers = {name: (found[1], int(found[2])) for name, found in split.items() if found}
    if len(set(numbers.values())) < len(names) or len({word for word, _ in numbers.values()}) > 1:
        raise ValueError(
            "params must name all layers with one word and a number of its own at the end, as Dense_0, Dense_1, got "
            f"{sorted(map(str, names))}; where names do not tell the order, LayeredGraph.from_weights takes the "
            "kernels in yours"
        )
    return sorted(names, key=numbers.__getitem__)
