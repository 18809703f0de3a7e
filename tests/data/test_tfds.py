import http.server
import importlib.util
import io
import json
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time

import numpy as np
import pytest

from modularity_jax import data
from modularity_jax.data import cifar, idx, tfds


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder as the one where TensorFlow Datasets keeps its sets."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def can_prepare():
    """Skips the test where the `tfds` extra is not installed."""
    for module in ("tensorflow", "tensorflow_datasets", "importlib_resources", "PIL"):
        pytest.importorskip(module, reason=f'needs {module}: pip install "modularity_jax[tfds]"')


def cache_download(home, name, contents):
    """Lays files into the download cache, as if TensorFlow Datasets had fetched them itself.

    Args:
      home: where TensorFlow Datasets keeps its sets.
      name: of the set.
      contents: the bytes of a file by the last part of its address.
    """
    import tensorflow_datasets
    from tensorflow_datasets.core.download import resource

    folder = home / "downloads" / name
    folder.mkdir(parents=True)
    for url, info in tensorflow_datasets.builder(name, data_dir=home).url_infos.items():
        path = folder / resource.get_dl_fname(url, info.checksum)
        path.write_bytes(contents[url.rsplit("/", 1)[1]])
        resource.write_info_file(url, path, name, info.filename, info)
        assert json.loads(resource.get_info_path(path).read_text())["urls"] == [url]


def cifar10_archive(num_records=3):
    """CIFAR-10's archive with few records, and its images [n, 32, 32, 3] and labels, the test batch last."""
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (6 * num_records, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, (6 * num_records, 1), dtype=np.uint8)
    records = np.concatenate([labels, planes.reshape(len(planes), -1)], axis=1)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    files = {name: batch.tobytes() for name, batch in zip(names, np.split(records, 6), strict=True)}
    files["batches.meta.txt"] = "\n".join(f"class{i}" for i in range(10)).encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue(), planes.transpose(0, 2, 3, 1), labels[:, 0]


@pytest.mark.long
def test_mnist_prepared_by_tfds_equals_the_idx_files(can_prepare, real_data_dir, home, no_network):
    cache_download(home, "mnist", {path.name: path.read_bytes() for path in (real_data_dir / "mnist").iterdir()})
    for got, expected in zip(data.load("mnist"), idx.load(real_data_dir / "mnist"), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("file_format", [None, "tfrecord"])
def test_cifar10_prepared_by_tfds_equals_the_binary_files(can_prepare, home, no_network, file_format):
    import tensorflow_datasets

    archive, images, labels = cifar10_archive()
    cache_download(home, "cifar10", {"cifar-10-binary.tar.gz": archive})
    if file_format:
        tensorflow_datasets.builder("cifar10", data_dir=home).download_and_prepare(file_format=file_format)
    expected = cifar.to_grey(images, labels)
    first = data.load("cifar10", home / "none")
    # What is prepared is read again, not downloaded again.
    shutil.rmtree(home / "downloads")
    for dataset in (first, data.load("cifar10", home / "none")):
        np.testing.assert_array_equal(dataset.x_train, expected.x[:15])
        np.testing.assert_array_equal(dataset.y_train, expected.y[:15])
        np.testing.assert_array_equal(dataset.x_test, expected.x[15:])
        np.testing.assert_array_equal(dataset.y_test, expected.y[15:])
    assert any("array_record" in path.name for path in home.rglob("*")) == (file_format is None)


def refusal(error, name, folder):
    with pytest.raises(error) as caught:
        data.load(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "cifar10"])
def test_no_network(can_prepare, home, tmp_path, no_network, name):
    start = time.monotonic()
    text = refusal(ConnectionError, name, tmp_path)
    assert time.monotonic() - start < 10
    assert text.startswith(f"cannot load {name}: there is none of its files in {tmp_path / name}, ")
    assert ", and TensorFlow Datasets cannot" in text
    assert "(ProxyError)" in text
    assert f"{'data_batch_1.bin' if name == 'cifar10' else idx.FILES}" in text
    assert f" into {tmp_path / name}; or load it once with a network" in text
    assert text.endswith(f"keeps it in {home}")


def test_no_network_and_no_folder(can_prepare, home, no_network):
    text = refusal(ConnectionError, "mnist", None)
    assert "no data folder was given" in text
    assert "into DIR/mnist and pass DIR as dir; or load it once with a network" in text


def test_broken_download(can_prepare, home, no_network):
    cache_download(home, "cifar10", {"cifar-10-binary.tar.gz": b"no archive"})
    text = refusal(OSError, "cifar10", None)
    assert "TensorFlow Datasets failed (" in text
    assert text.endswith(f"or remove what is broken in {home} and try again")


def test_without_tensorflow_datasets(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    text = refusal(FileNotFoundError, "kmnist", tmp_path / "typo")
    assert text.startswith(
        f"cannot load kmnist: there is no folder {tmp_path / 'typo'}, and TensorFlow Datasets cannot"
    )
    assert text.endswith('or install what TensorFlow Datasets needs: pip install "modularity_jax[tfds]"')


def test_without_tensorflow(monkeypatch, home, no_network):
    pytest.importorskip("tensorflow_datasets", reason="needs tensorflow_datasets")
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec(name) if name != "tensorflow" else None)
    text = refusal(FileNotFoundError, "mnist", None)
    assert "cannot be used (preparing a set takes tensorflow)" in text
    assert 'pip install "modularity_jax[tfds]"' in text


def test_home_is_the_folder_that_tfds_takes(monkeypatch, tmp_path):
    pytest.importorskip("tensorflow_datasets", reason="needs tensorflow_datasets")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    code = "import tensorflow_datasets as tfds; print(tfds.builder('mnist').data_dir_root)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == tfds._home() == str(tmp_path / "tensorflow_datasets")


@pytest.fixture
def host(monkeypatch):
    """Starts a host on this machine that answers every GET with a status; gives its address."""
    pytest.importorskip("requests", reason="needs requests")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    servers = []

    def start(status):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args):
                pass

        servers.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/file"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "problem"), [(200, None), (503, "it answers 503"), (404, "it answers 404")])
def test_reachable_only_if_it_answers_well(host, status, problem):
    assert tfds.unreachable(host(status), seconds=5) == problem


def test_a_host_that_never_answers(host):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        problem = tfds.unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}/file", seconds=0.5)
        assert time.monotonic() - start < 3
    assert problem in ("no answer within 0.5 s", "ReadTimeout")


def test_a_closed_proxy(no_network):
    pytest.importorskip("requests", reason="needs requests")
    assert tfds.unreachable("http://example.org/file", seconds=5) == "ProxyError"
