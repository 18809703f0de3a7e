"""Networks as the libraries hold them, as leaves: arrays with the names that lead to them, in the network's order.

Nothing of the libraries is imported; what holds arrays is recognised by its looks.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs import checks
from modularity_jax.graphs.libraries import is_state_dict
from modularity_jax.graphs.params import by_numbers


class Leaf(NamedTuple):
    """An array, or on the way to it what holds it."""

    value: Any
    path: tuple[str, ...] = ()
    code: str = "network"  # by which a person gets at it
    classes: str = ""  # of the modules that hold it

    def child(self, value: Any, path: Iterable[str], code: str, classes: str = "") -> "Leaf":
        """Something that it holds."""
        return Leaf(value, (*self.path, *path), self.code + code, f"{self.classes} {classes}".strip())


def leaves_in_order(at: Leaf, problems: list[str]) -> list[Leaf]:
    """All arrays of a network; layers whose names do not tell their order are noted, and in that of the alphabet."""
    if _is_array(at.value):
        array = _as_array(at.code, at.value)
        counts = not array.ndim and not jnp.issubdtype(array.dtype, jnp.floating)  # steps, batches, keys of dropout
        return [] if counts else [at._replace(value=array, path=at.path or ("array",))]
    children = next((children for looks, children in _HOLDERS if looks(at.value)), None)
    leaves = [leaf for child in children(at) for leaf in leaves_in_order(child, problems)] if children else []
    return leaves if _keeps_order(at.value, leaves) else _by_numbers(leaves, len(at.path), problems)


def _keeps_order(holder: Any, leaves: list[Leaf]) -> bool:
    """Whether what it holds comes in the order of its definition.

    Not so a dict of params, nor, where JAX's tree functions, `nnx.merge` or a file left all names sorted, an NNX module
    or a state dict: of a layer that nobody sorted the kernel comes before the bias.
    """
    is_dict = isinstance(holder, Mapping)
    if not is_dict and not _is_nnx(holder):
        return True
    names = [leaf.path for leaf in leaves]
    numbers = [tuple(name.zfill(9) if name.isdigit() else name for name in path) for path in names]
    plain = [".".join(path) for path in names]
    return (not is_dict or is_state_dict(holder)) and numbers != sorted(numbers) and plain != sorted(plain)


def _by_numbers(leaves: list[Leaf], depth: int, problems: list[str]) -> list[Leaf]:
    """Leaves in the order that the numbers in their paths tell, level by level."""
    groups: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        groups.setdefault(leaf.path[depth] if len(leaf.path) > depth + 1 else "", []).append(leaf)
    own = groups.pop("", [])
    order = by_numbers(groups)
    if order is None:
        order = sorted(groups)
        problems.append(f"{', '.join(map(repr, order))} side by side, whose names do not tell their order")
    return own + [leaf for name in order for leaf in _by_numbers(groups[name], depth + 1, problems)]


def _is_array(value: Any) -> bool:
    return hasattr(value, "unbox") or (hasattr(value, "shape") and hasattr(value, "dtype"))


def _as_array(name: str, value: Any) -> Any:
    """The array of a PyTorch tensor, of an NNX variable, or of a box in which Flax partitions params."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    for method in ("get_value", "unbox"):
        value = getattr(value, method)() if hasattr(value, method) else value
    return checks.as_weights(name, value)


def _is_nnx(value: Any) -> bool:
    return hasattr(value, "__nnx_repr__")


def _class(module: Any) -> str:
    """A module's class, and whether it is a convolution in groups."""
    name = type(module).__name__
    groups = [getattr(module, attribute, 1) for attribute in ("groups", "feature_group_count")]
    return f"{name} in groups" if "conv" in name.lower() and any(number != 1 for number in groups) else name


def _of_estimator(at: Leaf) -> Iterator[Leaf]:
    yield at.child(list(at.value.coefs_), (), ".coefs_")


def _of_torch(at: Leaf) -> Iterator[Leaf]:
    modules = dict(at.value.named_modules()) if hasattr(at.value, "named_modules") else {}
    for key, tensor in at.value.state_dict().items():
        path = key.split(".")
        holders = [modules.get(".".join(path[:end])) for end in range(len(path))]
        classes = " ".join(_class(module) for module in holders if module is not None)
        yield at.child(tensor, path, f".state_dict()[{key!r}].detach().cpu().numpy()", classes)


def _of_keras(at: Leaf) -> Iterator[Leaf]:
    """A model's layers, each beside the classes of those that have no weights; a layer's arrays by their names."""
    model = at.value
    if not hasattr(model, "weights"):
        yield at.child(model.get_weights(), (), ".get_weights()")
    elif hasattr(model, "layers"):
        merges = " ".join(_class(layer) for layer in model.layers if not layer.weights)
        for index, layer in enumerate(model.layers):
            yield at.child(layer, (layer.name,), f".layers[{index}]", merges)
    else:
        for index, (variable, array) in enumerate(zip(model.weights, model.get_weights(), strict=True)):
            *_, name = (getattr(variable, "path", "") or variable.name).split(":")[0].split("/")
            yield at.child(array, (name,), f".get_weights()[{index}]", _class(model))


def _of_mapping(at: Leaf) -> Iterator[Leaf]:
    for key, value in at.value.items():
        path = [name for name in re.split(r"[./]", str(key)) if name not in ("", "~")]
        yield at.child(value, path or [str(key)], f"[{key!r}]")


def _of_sequence(at: Leaf) -> Iterator[Leaf]:
    """What it holds; of arrays the kernels, and behind each its bias."""
    layer, name = "", ""
    for index, value in enumerate(at.value):
        if not _is_array(value):
            yield at.child(value, (str(index),), f"[{index}]")
            continue
        is_kernel = len(value.shape) > 1
        layer = str(index) if is_kernel else layer
        name = "kernel" if is_kernel else "bias" if name == "kernel" else f"array {index}"
        yield at.child(value, (layer, name), f"[{index}]")


def _of_nnx(at: Leaf) -> Iterator[Leaf]:
    """Attributes as they were set."""
    for name, value in vars(at.value).items():
        if not name.startswith("_"):
            yield at.child(value, (name,), f".{name}", _class(at.value))


def _of_pytree(at: Leaf) -> Iterator[Leaf]:
    """What JAX sees in it: fields of an Equinox module in their order."""
    entries, _ = jax.tree_util.tree_flatten_with_path(at.value, is_leaf=lambda value: value is not at.value)
    for keys, value in entries:
        name = jax.tree_util.keystr(keys, simple=True)
        yield at.child(value, (name,), jax.tree_util.keystr(keys), _class(at.value))


_Looks = Callable[[Any], bool]
_Children = Callable[[Leaf], Iterator[Leaf]]

# How to recognise what holds arrays, and how it holds them; the first that fits.
_HOLDERS: tuple[tuple[_Looks, _Children], ...] = (
    (lambda value: hasattr(value, "coefs_"), _of_estimator),
    (lambda value: hasattr(value, "state_dict"), _of_torch),
    (lambda value: hasattr(value, "get_weights"), _of_keras),
    (lambda value: isinstance(value, Mapping), _of_mapping),
    (lambda value: isinstance(value, Sequence) and not isinstance(value, str | bytes), _of_sequence),
    (_is_nnx, _of_nnx),
    (lambda value: not jax.tree_util.all_leaves([value]), _of_pytree),
)
