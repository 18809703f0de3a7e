"""Networks and graphs as other libraries hold them, recognised by their looks without any import, to say what to pass.

Their layouts differ, and a transposed kernel of a square network is a graph of its own, so nothing is guessed.
"""

from collections.abc import Mapping
from typing import Any

_FROM_WEIGHTS = "LayeredGraph.from_weights"

# What objects are by an attribute of theirs, and what to pass instead.
_OBJECTS = {
    "coefs_": f"a scikit-learn MLP: {_FROM_WEIGHTS}(mlp.coefs_)",
    "state_dict": "a PyTorch module, whose Linear weights are [out, in]: "
    f"{_FROM_WEIGHTS}([layer.weight.T for layer in its Linear layers]), detached",
    "get_weights": f"a Keras model: {_FROM_WEIGHTS}([layer.kernel for layer in its Dense layers])",
    "layers": "an Equinox module, whose Linear weights are [out, in]: "
    f"{_FROM_WEIGHTS}([layer.weight.T for layer in model.layers])",
    "number_of_nodes": "a networkx graph: SparseGraph.from_networkx takes it",
}
_NNX = f"an NNX module: {_FROM_WEIGHTS}([layer.kernel for layer in its Linear layers])"


def advice(values: Any) -> str:
    """What to pass instead of another library's container, as the end of an error's text; nothing for the unknown."""
    found = _of_mapping(values) if isinstance(values, Mapping) else _of_object(values)
    return f"; this looks like {found}" if found else ""


def _of_mapping(values: Mapping[Any, Any]) -> str:
    weights = [name for name in map(str, values) if name.endswith(("weight", "weight_v"))]
    layers = [value for value in values.values() if isinstance(value, Mapping)]
    if weights and not layers:
        listed = ", ".join(map(repr, weights[:2])) + (", ..." if len(weights) > 2 else "")
        return (
            "a PyTorch state dict, whose Linear weights are [out, in]: transpose them, "
            f"{_FROM_WEIGHTS}([state[name].T for name in ({listed})])"
        )
    is_haiku = any("w" in layer for layer in layers)
    return f"Haiku's params: {_FROM_WEIGHTS}([params[name]['w'] for name in names_in_order])" if is_haiku else ""


def _of_object(values: Any) -> str:
    names = dir(values)
    is_nnx = type(values).__module__.partition(".")[0] == "flax"
    return next((text for name, text in _OBJECTS.items() if name in names), _NNX if is_nnx else "")


def dense_form(array: Any) -> str:
    """The method that makes a sparse matrix of SciPy, JAX or PyTorch an array; nothing for what is dense."""
    names = dir(array)
    if "nnz" in names and "toarray" in names:
        return ".toarray()"
    if "nse" in names and "todense" in names:
        return ".todense()"
    return ".to_dense()" if getattr(array, "is_sparse", False) is True else ""
