"""A pickled scikit-learn MLP's arrays, without running what a pickle may ask for.

A pickle is a program that may call whatever Python can import. Here it gets NumPy's arrays, for every class of
scikit-learn a stand-in without methods, and is refused where it names anything else.
"""

import pathlib
import pickle
from typing import Any

import numpy as np

# What makes NumPy's arrays, by the names of its versions 1 and 2.
_MAKERS = {
    "multiarray._reconstruct": np.empty(0).__reduce__()[0],
    "multiarray.scalar": np.float64(0).__reduce__()[0],
    "numeric._frombuffer": np.empty(0).__reduce_ex__(5)[0],
}
_NUMPY: dict[str, Any] = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
_NUMPY |= {f"numpy.{core}.{name}": maker for core in ("core", "_core") for name, maker in _MAKERS.items()}
_STOOD_IN = ("sklearn.", "numpy.random.")
_BETTER = "np.savez('net.npz', *model.coefs_) saves the arrays alone"


class _StandIn:
    """In place of an object: its state, and nothing that could be run."""

    def __init__(self, *arguments: Any) -> None:
        """Of whatever arguments."""

    def __setstate__(self, state: Any) -> None:
        """Keeps what the object had for attributes."""
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name."""
        if module.startswith(_STOOD_IN):
            return _StandIn
        if f"{module}.{name}" not in _NUMPY:
            raise ValueError(f"it asks for {module}.{name}, which is not called; {_BETTER}")
        return _NUMPY[f"{module}.{name}"]


def read_estimator(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The kernels `coefs_/<l>` of a pickled `MLPClassifier` or `MLPRegressor`.

    Raises:
      ValueError: if the pickle names anything but NumPy's arrays and scikit-learn's classes, or holds no MLP.
    """
    with path.open("rb") as file:
        found = _Unpickler(file).load()
    state = getattr(found, "state", None)
    coefs = state.get("coefs_") if isinstance(state, dict) else None
    if not coefs:
        raise ValueError(f"it holds no fitted MLPClassifier or MLPRegressor; {_BETTER}")
    return {f"coefs_/{layer}": np.asarray(kernel) for layer, kernel in enumerate(coefs)}
