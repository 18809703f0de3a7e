"""Networks and graphs as other libraries hold them, recognised by their looks, to say what reads them."""

from collections.abc import Mapping
from typing import Any

_READ = "mj.graph_of"

# What objects are by an attribute of theirs, and what reads them.
_OBJECTS = {
    "coefs_": ("a scikit-learn MLP", _READ),
    "state_dict": ("a PyTorch module", _READ),
    "get_weights": ("a Keras model", _READ),
    "__nnx_repr__": ("an NNX module", _READ),
    "layers": ("an Equinox module", _READ),
    "number_of_nodes": ("a networkx graph", "SparseGraph.from_networkx"),
}


def advice(values: Any) -> str:
    """What reads another library's container, as the end of an error's text; nothing for the unknown."""
    found = _of_mapping(values) if isinstance(values, Mapping) else _of_object(values)
    return f"; this looks like {found[0]}, which {found[1]} reads" if found else ""


def is_state_dict(values: Mapping[Any, Any]) -> bool:
    """Whether it is PyTorch's: arrays by dotted names, some of which are a layer's weight."""
    arrays = [str(name) for name, value in values.items() if not isinstance(value, Mapping)]
    return any(name.rpartition(".")[2].startswith("weight") for name in arrays)


def _of_mapping(values: Mapping[Any, Any]) -> tuple[str, str] | None:
    if is_state_dict(values):
        return "a PyTorch state dict", _READ
    names = {name for layer in values.values() if isinstance(layer, Mapping) for name in layer}
    libraries = {"w": "Haiku", "kernel": "Flax"}
    return next(((f"{libraries[name]}'s params", _READ) for name in libraries if name in names), None)


def _of_object(values: Any) -> tuple[str, str] | None:
    names = dir(values)
    return next((found for name, found in _OBJECTS.items() if name in names), None)


def dense_form(array: Any) -> str:
    """The method that makes a sparse matrix of SciPy, JAX or PyTorch an array; nothing for what is dense."""
    names = dir(array)
    if "nnz" in names and "toarray" in names:
        return ".toarray()"
    if "nse" in names and "todense" in names:
        return ".todense()"
    return ".to_dense()" if getattr(array, "is_sparse", False) is True else ""
