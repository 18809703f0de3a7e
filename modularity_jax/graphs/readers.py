"""The graph of a network as its library holds it: dense layers and convolutions one after the other, or a refusal."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from modularity_jax.graphs import checks, conv
from modularity_jax.graphs.blocks import BlockGraph
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.leaves import Leaf, leaves_in_order
from modularity_jax.graphs.magnitudes import on_host
from modularity_jax.graphs.params import collection
from modularity_jax.graphs.wiring import wire
from modularity_jax.parallel import outside_explicit_mesh

# Names of a layer's arrays. PyTorch's and Equinox's weights are [out, in, ...], all others' kernels [..., in, out].
_KERNELS = ("kernel", "w", "embedding", "embeddings", "weight")
_BIASES = ("bias", "b")

# What is no layer of a chain, by words in the names of layers and of their classes.
_REFUSED = {
    r"norm|\bbn\d*\b|\bscale\b|gamma|running_|moving_|batch_stats|\barray \d": (
        "a normalisation: fold it by mj.conv.norm_folded into the kernel before it, or by "
        "mj.conv.norm_folded_into_next into the one behind"
    ),
    r"attention|attn|qkv|query|\bkey\b|\b[qkvo]_proj": "attention, whose projections do not follow one another",
    r"lstm|gru|rnn|cell(?:_\d+)?\b|recurrent|weight_[ih]h|\b(?:i[fgiorz]|h[fgionrz])\b": (
        "a recurrent cell: mj.conv.gates splits its gates, and hidden units are a target of their own"
    ),
    r"expert|\bmoe\b|router": "a mixture of experts, which stand side by side",
    r"depthwise|separable|in groups": "a convolution in groups: mj.conv.grouped makes its kernel [..., c_in, c_out]",
    r"transpose|deconv": "a transposed convolution, whose layout differs between libraries",
    r"residual|resnet|resblock|shortcut|downsample|\bskip|\b(?:add|concatenate|multiply)\b": (
        "a skip connection or a branch: mj.conv.added and mj.conv.concatenated give its edges"
    ),
    r"\bopt_state\b": "an optimiser's state: give the params alone",
    r"\bshared\b": "weights shared between layers: wire them as often as they are used",
}


class _Layer(NamedTuple):
    name: str
    kernel: Any  # [..., units in, units out]
    code: str
    is_table: bool  # of embeddings
    channels_first: bool  # in what is flattened before it


@outside_explicit_mesh
def graph_of(network: Any, *, norm: str = "l1") -> LayeredGraph | BlockGraph:
    """The graph of a network as its library holds it: its dense layers and convolutions, one after the other.

    Args:
      network: a Flax linen params pytree or variables, an NNX or an Equinox module, Haiku's params, a PyTorch module or
        its state dict (of tensors or arrays), a Keras model, a fitted scikit-learn MLP, or a sequence of arrays such as
        Keras's `get_weights()`: kernels [..., units in, units out], each followed by its bias [units out] or not.
      norm: over the positions of a filter and of a flattened map, see `wire`.

    Returns:
      A LayeredGraph. Layers come in the order of their definition where the library keeps it, else (Flax, Haiku, sorted
      state dicts) by the numbers at their names' ends, level by level, convolutions before dense layers. A dense layer
      whose rows are a multiple of the channels before it reads a flattened map. An embedding may be the first layer.

    That each layer reads the one before it, and nothing else, cannot be told from weights: skip connections between
    groups of one width are not seen, nor is what has no weights. `wire` takes the edges of such a network.

    Raises:
      ValueError: as `wire`; and, by name and with edges for `wire` to start from, if names do not tell the order,
        shapes do not chain, or there is anything but dense layers, convolutions and their biases: normalisation layers,
        attention, recurrent cells, experts, grouped convolutions, tied weights.
    """
    return wire(edges_of(network), norm=norm)


def edges_of(network: Any) -> list[conv.Edge]:
    """The edges by which `graph_of` wires a network, for `wire`; raises as it does."""
    unordered: list[str] = []
    params, other = collection(network, stacklevel=5) if isinstance(network, Mapping) else (network, "")
    root = Leaf(params, code="network" if params is network else "network['params']")
    held: dict[tuple[str, ...], list[Leaf]] = {}
    for leaf in leaves_in_order(root, unordered):
        held.setdefault(leaf.path[:-1], []).append(leaf)
    layers = [_layer(leaves) for leaves in held.values() if _kernels(leaves)]
    edges, gap = _chained(layers)
    problems = *map(_refusal, held.values()), other, _tied(held.values()), *unordered, gap
    if problem := next(filter(None, problems), ""):
        raise ValueError(f"network must be a chain of dense layers and convolutions, got {problem}{_snippet(layers)}")
    if not edges:
        raise ValueError(f"network must hold at least one array, got {type(network).__name__}, which has none")
    return edges


def _kernels(leaves: list[Leaf]) -> list[Leaf]:
    return [leaf for leaf in leaves if leaf.path[-1] in _KERNELS and leaf.value.ndim > 1]


def _name(leaves: list[Leaf]) -> str:
    return "/".join(leaves[0].path[:-1]) or leaves[0].path[-1]


def _layer(leaves: list[Leaf]) -> _Layer:
    leaf = _kernels(leaves)[0]
    name = leaf.path[-1]
    kernel = np.asarray(leaf.value) if on_host(leaf.value) else leaf.value  # turned without a program to compile
    is_table = name.startswith("embedding") or _class(leaf).startswith("Emb")
    turned = name == "weight" and not is_table
    axes = (*range(2, kernel.ndim), 1, 0)
    code = leaf.code + (f".transpose{axes}" if kernel.ndim > 2 else ".T") * turned
    return _Layer(_name(leaves), kernel.transpose(axes) if turned else kernel, code, is_table, turned)


def _class(leaf: Leaf) -> str:
    """Of the layer itself, where the library tells it."""
    return leaf.classes.rpartition(" ")[2]


def _refusal(leaves: list[Leaf]) -> str:
    """What is wrong with the arrays of one layer; nothing for a dense layer, a convolution or an embedding."""
    name, names = _name(leaves), sorted(leaf.path[-1] for leaf in leaves)
    described = f"{name!r} with {', '.join(names)}"
    words = " ".join(f"{'.'.join(leaf.path)} {leaf.classes}" for leaf in leaves).lower()
    for pattern, text in _REFUSED.items():
        if re.search(pattern, words):
            return f"{described}, which looks like {text}"
    kernels, biases = _kernels(leaves), [leaf.value for leaf in leaves if leaf.path[-1] in _BIASES]
    if "weight" in names and not kernels:
        return f"{described} of one axis, which looks like a normalisation: mj.conv.norm_folded folds it"
    if len(kernels) != 1 or len(biases) > 1 or len(leaves) > 1 + len(biases):
        return f"{described}, which would be passed over"
    layer = _layer(leaves)
    if kernels[0].path[-1] == "weight" and "emb" in words and not kernels[0].classes:
        return f"{described}, of which a state dict does not tell whether it is an embedding, [in, out], or [out, in]"
    if layer.kernel.ndim == 3 and "conv" not in f"{name} {_class(kernels[0])}".lower():
        return (
            f"{described}, a kernel of shape {layer.kernel.shape}: experts, heads, networks or positions side by side"
        )
    rows, width = layer.kernel.shape[-2:]
    if biases and biases[0].size != width:
        hint = "; PyTorch and Equinox keep [out, in], so pass weight.T" if biases[0].size == rows else ""
        return f"{described}, a kernel of {width} units out and a bias of shape {biases[0].shape}{hint}"
    return ""


def _chained(layers: list[_Layer]) -> tuple[list[conv.Edge], str]:
    """The edges from each layer to the next, and what ends the chain too early; nothing where nothing does."""
    edges: list[conv.Edge] = []
    source = "the inputs"
    for before, layer in zip([None, *layers], layers, strict=False):
        kernel = layer.kernel
        if before is not None:
            rows, width = kernel.shape[-2], before.kernel.shape[-1]
            is_map, is_dense = before.is_table or before.kernel.ndim > 2, kernel.ndim == 2
            if layer.is_table or not (is_map or is_dense):
                return edges, f"{layer.name!r}, an embedding or a convolution, behind the dense layer {before.name!r}"
            if rows != width and not (is_map and is_dense and width and rows % width == 0):
                hint = checks.hint_of_layout([layer.kernel.shape for layer in layers])
                return edges, f"{layer.name!r} with {rows} inputs behind {before.name!r} with {width} units{hint}"
            if rows != width:
                first = layer.channels_first and not before.is_table
                kernel = conv.flattened(kernel, width, channels_first=first)
        edges.append((source, layer.name, kernel))
        source = layer.name
    return edges, ""


def _tied(held: Iterable[list[Leaf]]) -> str:
    """Which two layers hold one array."""
    seen: dict[Any, str] = {}
    for leaves in held:
        for leaf in _kernels(leaves):
            array, name = leaf.value, _name(leaves)
            place = array.__array_interface__["data"] if isinstance(array, np.ndarray) else id(array)
            if place in seen:
                return f"{name!r}, whose kernel is that of {seen[place]!r}: wire a kernel as often as it is used"
            seen[place] = name
    return ""


def _snippet(layers: list[_Layer]) -> str:
    """Edges for `wire` to start from."""
    sources = ["the inputs", *(layer.name for layer in layers)]
    lines = [
        f"    ({source!r}, {layer.name!r}, {layer.code}),  # {layer.kernel.shape}\n"
        for source, layer in zip(sources, layers, strict=False)
    ]
    told = "\nmj.wire takes the edges of any network; put right here what each layer reads:\n"
    return f"{told}mj.wire([\n{''.join(lines)}])" if layers else ""
