"""Params pytrees: the order of their layers, what stands beside them, and the Dense layers of perceptrons."""

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from modularity_jax.graphs.libraries import advice

# Kinds of layers that come in this order where they stand side by side, by a word in their names.
_KINDS = ("emb", "conv", "dense|linear|mlp|^fc")


def layers_in_order(params: Mapping[str, Any]) -> list[tuple[str, Mapping[str, jax.Array]]]:
    """Dense layers of a Flax params pytree; what is passed over and what is refused, `LayeredGraph.from_params` says.

    Raises:
      ValueError: if params are no mapping, no layer has a kernel, something is there that is no Dense layer, the names
        do not tell the order, or a kernel is no matrix.
    """
    if not isinstance(params, Mapping):
        raise ValueError(f"params must be a mapping of layers, got {type(params).__name__}{advice(params)}")
    layers, other = collection(params)
    if other:
        raise ValueError(f"params must hold Dense layers only, got {other}")
    names = [name for name, layer in layers.items() if isinstance(layer, Mapping) and "kernel" in layer]
    if not names:
        entries = sorted(map(str, layers))
        raise ValueError(
            f"params must hold at least one layer with a kernel, got the entries {entries}{advice(layers)}"
        )
    for name, layer in layers.items():
        _check_layer(name, layer)
    order = by_numbers(names)
    if order is None:
        raise ValueError(
            "params must name all layers with one word and a number of its own at the end, as Dense_0, Dense_1, got "
            f"{sorted(map(str, names))}; where names do not tell the order, LayeredGraph.from_weights takes the "
            "kernels in yours"
        )
    return [(name, layers[name]) for name in order]


def collection(variables: Mapping[str, Any], stacklevel: int = 4) -> tuple[Mapping[str, Any], str]:
    """The layers themselves, of params or of Flax variables, and what else there is that matters; "" for nothing.

    Stacklevel: of a warning that the caller of a public function is to see.
    """
    if not isinstance(variables.get("params"), Mapping):
        return variables, ""
    others = [name for name, values in variables.items() if name != "params" and jax.tree.leaves(values)]
    if "intermediates" in others:  # these take no part in what a network computes
        warnings.warn("the collection 'intermediates' of params is passed over", stacklevel=stacklevel)
        others.remove("intermediates")
    text = f"the collection {others[0]!r} beside 'params', which would be passed over" if others else ""
    return variables[
        "params"
    ], f"{text}: fold what it does into the kernels (mj.conv.norm_folded) and give these alone" if text else ""


def by_numbers(names: Iterable[str]) -> list[str] | None:
    """Names in the order of the numbers at their ends, one without a number first; None where they do not tell it.

    A pytree sorts its keys, so `Dense_10` would come before `Dense_2`; this is the one place that settles the order.
    Names of one word, or of one word for each kind of layer: convolutions come before dense layers.
    """
    places = {name: _word_and_number(name) for name in names}
    kinds = {word: _kind(word) for word, _ in places.values()}
    is_told = len(kinds) == 1 or (len(set(kinds.values())) == len(kinds) and len(_KINDS) not in kinds.values())
    if len(places) > 1 and (not is_told or len(set(places.values())) < len(places)):
        return None
    return sorted(places, key=lambda name: (kinds[places[name][0]], places[name][1]))


def _word_and_number(name: str) -> tuple[str, int]:
    word = str(name).rstrip("0123456789")
    return word.rstrip("_"), int(str(name)[len(word) :] or -1)


def _kind(word: str) -> int:
    """Where a kind of layers stands among others; the last number is for words of no kind."""
    matches = (number for number, pattern in enumerate(_KINDS) if re.search(pattern, word.lower()))
    return next(matches, len(_KINDS))


def _check_layer(name: str, layer: Any) -> None:
    """A Dense layer, or nothing at all."""
    if not jax.tree.leaves(layer):
        return
    held = sorted(map(str, layer)) if isinstance(layer, Mapping) else [type(layer).__name__]
    if not isinstance(layer, Mapping) or not {"kernel"} <= set(layer) <= {"kernel", "bias"}:
        raise ValueError(
            f"params must hold Dense layers only, with a kernel and a bias, got {name!r} with {', '.join(held)}, which "
            "would be passed over: mj.graph_of reads nested modules, convolutions and embeddings, mj.wire takes the "
            "kernels of any network"
        )
    shape = getattr(layer["kernel"], "shape", None)
    if shape is not None and len(shape) != 2:
        raise ValueError(f"params[{name!r}]['kernel'] must have shape [d_in, d_out], got {tuple(shape)}")
