"""Parameters as Flax has them: their kernels, and their names in files."""

from collections.abc import Mapping, Sequence
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

Params = dict[str, Any]  # nested, arrays at the leaves

_KERNEL = "kernel"


def kernels_of(params: Params) -> dict[str, Any]:
    """The kernels, by the path of their layer ("layer_00", "block/dense"), in the order of the paths."""
    flat = flatten_dict(params, sep="/")
    ends = {name.rpartition("/")[0]: leaf for name, leaf in flat.items() if name.rpartition("/")[2] == _KERNEL}
    return dict(sorted(ends.items()))


def biases_of(params: Params) -> list[Any]:
    """The bias of each of these layers, None where it has none."""
    flat = flatten_dict(params, sep="/")
    return [flat.get(f"{layer}/bias" if layer else "bias") for layer in kernels_of(params)]


def with_kernels(params: Params, kernels: Mapping[str, Any]) -> Params:
    """The parameters with these kernels, as `kernels_of` gives them; the rest as it is."""
    own = {f"{layer}/{_KERNEL}" if layer else _KERNEL: kernel for layer, kernel in kernels.items()}
    return nested(flatten_dict(params, sep="/") | own)


def with_biases(params: Params, biases: Sequence[Any]) -> Params:
    """The parameters with these biases, as `biases_of` gives them; the rest as it is."""
    ends = zip(kernels_of(params), biases, strict=True)
    own = {f"{layer}/bias" if layer else "bias": bias for layer, bias in ends if bias is not None}
    return nested(flatten_dict(params, sep="/") | own)


def named(params: Params) -> dict[str, Any]:
    """The arrays by name, such as "layer_00/kernel": layer after layer, a layer's kernel before its bias."""
    flat = sorted(flatten_dict(params, sep="/").items(), key=lambda pair: pair[0].rpartition("/")[2], reverse=True)
    return dict(sorted(flat, key=lambda pair: pair[0].rpartition("/")[0]))


def nested(arrays: Mapping[str, Any]) -> Params:
    """The reverse of `named`."""
    return unflatten_dict(dict(arrays), sep="/")
