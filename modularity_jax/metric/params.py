"""Params pytrees of perceptrons: their layers with a kernel, in order."""

import re
from collections.abc import Mapping
from typing import Any

import jax

Array = jax.Array


def layers_in_order(params: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Array]]]:
    """Layers with a kernel of a Flax params pytree, by the number at the end of each layer's name.

    A pytree sorts its keys, so `Dense_10` would come before `Dense_2`; this is the one place that settles the order.

    Raises:
      ValueError: if params are no mapping, no layer has a kernel, a name has no number, or two have the same one.
    """
    layers = params.get("params", params) if isinstance(params, Mapping) else params
    if not isinstance(layers, Mapping):
        raise ValueError(f"params must be a mapping of layers, got {type(layers).__name__}")
    names = [name for name, layer in layers.items() if isinstance(layer, Mapping) and "kernel" in layer]
    if not names:
        entries = sorted(map(str, layers))
        raise ValueError(f"params must hold at least one layer with a kernel, got the entries {entries}")
    numbers = {name: re.search(r"\d+$", str(name)) for name in names}
    order = {name: int(found.group()) for name, found in numbers.items() if found}
    if len(set(order.values())) < len(names) and len(names) > 1:
        given = sorted(map(str, names))
        raise ValueError(f"params must name each layer with a number of its own at the end, got {given}")
    return [(name, layers[name]) for name in sorted(names, key=lambda name: order.get(name, 0))]
