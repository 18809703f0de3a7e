"""Files of trained networks, in the formats in which libraries save them, as arrays by name; nothing in them is run."""

import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import serialization
from flax.traverse_util import unflatten_dict

from modularity_jax.data.dataset import one_line
from modularity_jax.runs.inert_pickles import read_estimator

Arrays = dict[str, np.ndarray]  # in the order of the file

# Of safetensors; what else it knows has no weights.
_DTYPES: Mapping[str, Any] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": jnp.bfloat16, "F8_E4M3": jnp.float8_e4m3fn,
    "F8_E5M2": jnp.float8_e5m2, "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_ELSE = (
    "np.savez('net.npz', **{k: v.cpu().numpy() for k, v in model.state_dict().items()}) saves PyTorch's arrays, "
    "np.savez('net.npz', *model.get_weights()) Keras's"
)


def read_networks(path: pathlib.Path) -> list[Arrays]:
    """The networks of a file: one, or as `weights/<phase>.npz` of a run has them, one for each `seed_<id>/`.

    Args:
      path: .npz, .safetensors, .msgpack as Flax writes it, .pkl or .pickle of a scikit-learn MLP, or a folder with an
        Orbax checkpoint.

    Returns:
      Arrays by name, levels apart by "/". Halves are float32.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is of another kind, or damaged; the message names it.
    """
    if not path.exists():
        raise FileNotFoundError(f"--network={path}: there is no such file")
    kind = "" if path.is_dir() else path.suffix.lower()
    if kind not in _READERS:
        known = ", ".join(filter(None, _READERS))
        raise ValueError(f"{path} must be one of {known}, or an Orbax checkpoint's folder; {_ELSE}")
    try:
        found = {name: _widened(array) for name, array in _READERS[kind](path).items()}
    except OSError:
        raise
    except Exception as error:  # whatever the libraries raise for a damaged file
        raise ValueError(f"{path} cannot be read: {one_line(error or type(error).__name__)[:300]}") from error
    seeds: dict[str, Arrays] = {}
    for name, array in found.items():
        seed = re.match(r"seed_\d+/", name)
        seeds.setdefault(seed[0] if seed else "", {})[name[seed.end() if seed else 0 :]] = array
    return [*seeds.values()] if "" not in seeds else [found]


def as_network(arrays: Arrays) -> Any:
    """The arrays as `graph_of` takes them: nested, or in a list where names are nothing but numbers, as NumPy's."""
    numbered = [re.fullmatch(r"(.*?)(\d+)", name) for name in arrays]
    places = {int(match[2]): name for match, name in zip(numbered, arrays, strict=True) if match}
    if len(places) == len(arrays) and len({match and match[1] for match in numbered}) == 1:
        return [arrays[places[place]] for place in sorted(places)]
    return unflatten_dict(arrays, sep="/")


def _widened(array: np.ndarray) -> np.ndarray:
    """Halves and less as float32, which every reader of .npz knows."""
    is_small = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize < 4
    return array.astype(np.float32) if is_small else array


def _npz(path: pathlib.Path) -> Arrays:
    with np.load(path) as file:  # allow_pickle is False
        return {name: file[name] for name in file.files}


def _safetensors(path: pathlib.Path) -> Arrays:
    """A header of JSON behind its length in 8 bytes, little-endian, then the arrays' bytes, rows first."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    if len(content) < 8 or start > len(content):
        raise ValueError("cut off in its header")
    header = json.loads(content[8:start])
    arrays = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        if told["dtype"] not in _DTYPES:
            raise ValueError(f"{name!r} is of type {told['dtype']}, known are {', '.join(_DTYPES)}")
        begin, end = (start + offset for offset in told["data_offsets"])
        if not start <= begin <= end <= len(content):
            raise ValueError(f"cut off in {name!r}")
        arrays[name] = np.frombuffer(content[begin:end], np.dtype(_DTYPES[told["dtype"]])).reshape(told["shape"])
    return arrays


def _msgpack(path: pathlib.Path) -> Arrays:
    return _flat(serialization.msgpack_restore(path.read_bytes()))


def _orbax(path: pathlib.Path) -> Arrays:
    found = sorted(file.parent for file in path.rglob("_METADATA"))
    if len(found) != 1:
        told = f"one of {', '.join(map(str, found))}" if found else "one"
        raise ValueError(
            f"it must hold the _METADATA of one Orbax checkpoint, found {len(found)}; give the folder of {told}"
        )
    folder = found[0].absolute()
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.metadata(folder).item_metadata.tree
        whole = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        return _flat(reader.restore(folder, restore_args=whole))


def _flat(tree: Any) -> Arrays:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


_READERS: Mapping[str, Callable[[pathlib.Path], Arrays]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".msgpack": _msgpack,
    ".pkl": read_estimator,
    ".pickle": read_estimator,
    "": _orbax,
}
