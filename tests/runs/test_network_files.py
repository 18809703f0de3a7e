"""Files of networks: what cannot be read is named in one line."""

import json
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from modularity_jax.runs.network_files import read_networks


def write_safetensors(path, arrays, dtype="F32"):
    """As the format's page has it: a header's length, the header, the bytes."""
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, array in kept.items():
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [at, at := at + array.nbytes]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(array.tobytes() for array in kept.values()))


@pytest.mark.parametrize(("dtype", "kind"), [("BF16", jnp.bfloat16), ("F16", np.float16)])
def test_halves_are_widened(dtype, kind, tmp_path):
    half = np.random.default_rng(0).normal(size=(5, 3)).astype(kind)
    write_safetensors(tmp_path / "net.safetensors", {"weight": half}, dtype)
    ((array,),) = (own.values() for own in read_networks(tmp_path / "net.safetensors"))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, half.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npz", None, "--network=.*none.npz: there is no such file"),
        ("net.npz", b"PK\x03\x04 and no more", "net.npz cannot be read: "),
        ("net.safetensors", b"\x05", "net.safetensors cannot be read: cut off in its header"),
        (
            "net.safetensors",
            b'\x3d\0\0\0\0\0\0\0{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
            "net.safetensors cannot be read: cut off in 'a'",
        ),
        ("net.msgpack", b"\xc1", "net.msgpack cannot be read: "),
        ("net.pkl", pickle.dumps([1, 2]), "net.pkl cannot be read: it holds no fitted MLPClassifier"),
        ("net.pkl", b"\x80\x05cut", "net.pkl cannot be read: "),
        ("net.pt", b"", r"net.pt must be one of .npz, .*, or an Orbax checkpoint's folder; np.savez"),
        ("", b"", r"it must hold the _METADATA of one Orbax checkpoint, found 0"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(name, content, message, tmp_path):
    if name and content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as told:
        read_networks(tmp_path / name)
    assert "\n" not in str(told.value)
