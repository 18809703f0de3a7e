"""Small files in the formats that the published sets come in."""

import gzip
import pathlib
import socket

import numpy as np
import pytest


def _write_idx(path: pathlib.Path, values: np.ndarray) -> None:
    """Writes unsigned bytes as an IDX file, gzipped if the name ends so."""
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    content = header + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _write_idx_set(folder: pathlib.Path, seed: int, suffix: str = ".gz") -> dict[str, np.ndarray]:
    """Writes a set of 40 training and 20 test images; returns its arrays by the names of the files."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    arrays = {}
    for prefix, size in [("train", 40), ("t10k", 20)]:
        arrays[f"{prefix}-images-idx3-ubyte"] = rng.integers(0, 256, (size, 28, 28), dtype=np.uint8)
        arrays[f"{prefix}-labels-idx1-ubyte"] = np.resize(np.arange(10, dtype=np.uint8), size)
    for name, values in arrays.items():
        _write_idx(folder / (name + suffix), values)
    return arrays


@pytest.fixture
def write_idx():
    return _write_idx


@pytest.fixture
def write_idx_set():
    return _write_idx_set


@pytest.fixture
def no_network(monkeypatch):
    """Sends every request to a proxy that nobody runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.upper(), proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
