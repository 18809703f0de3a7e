"""Networks and graphs as other libraries hold them, recognised by their looks without any import, to say what to pass.

Their layouts differ, and a transposed kernel of a square network is a graph of its own, so nothing is guessed.
"""

from collections.abc import Mapping
from typing import Any

_FROM_WEIGHTS = "LayeredGraph.from_weights"


def advice(values: Any) -> str:
    """What to pass instead of another library's container, as the end of an error's text; nothing for the unknown."""
    found = _of_mapping(values) if isinstance(values, Mapping) else _of_object(values)
    return f"; {found}" if found else ""


def _of_mapping(values: Mapping[Any, Any]) -> str:
    names = [str(name) for name in values]
    weights = [name for name in names if name.endswith(("weight", "weight_v"))]
    if weights and not any(isinstance(value, Mapping) for value in values.values()):
        listed = ", ".join(map(repr, weights[:2])) + (", ..." if len(weights) > 2 else "")
        return (
            "this looks like a PyTorch state dict, whose Linear weights are [out, in]: transpose them, "
            f"{_FROM_WEIGHTS}([state[name].T for name in ({listed})])"
        )
    layers = [value for value in values.values() if isinstance(value, Mapping)]
    if any("w" in layer for layer in layers):
        return f"this looks like Haiku's params: {_FROM_WEIGHTS}([params[name]['w'] for name in names_in_order])"
    return ""


def _of_object(values: Any) -> str:
    names = dir(values)
    if "coefs_" in names:
        return f"this looks like a scikit-learn MLP: {_FROM_WEIGHTS}(mlp.coefs_)"
    if "state_dict" in names:
        return (
            "this looks like a PyTorch module, whose Linear weights are [out, in]: "
            f"{_FROM_WEIGHTS}([layer.weight.T for layer in its Linear layers]), detached"
        )
    if "get_weights" in names:
        return f"this looks like a Keras model: {_FROM_WEIGHTS}([layer.kernel for layer in its Dense layers])"
    if "layers" in names:
        return (
            "this looks like an Equinox module, whose Linear weights are [out, in]: "
            f"{_FROM_WEIGHTS}([layer.weight.T for layer in model.layers])"
        )
    if "number_of_nodes" in names:
        return "this looks like a networkx graph: SparseGraph.from_networkx takes it"
    if type(values).__module__.partition(".")[0] == "flax":
        return f"this looks like an NNX module: {_FROM_WEIGHTS}([layer.kernel for layer in its Linear layers])"
    return ""


def dense_form(array: Any) -> str:
    """The method that makes a sparse matrix of SciPy, JAX or PyTorch an array; nothing for what is dense."""
    names = dir(array)
    if "nnz" in names and "toarray" in names:
        return ".toarray()"
    if "nse" in names and "todense" in names:
        return ".todense()"
    return ".to_dense()" if getattr(array, "is_sparse", False) is True else ""
