import pickle
import re

import jax
import numpy as np
import pytest

from modularity_jax import data
from modularity_jax.data import cifar

BATCHES = [f"data_batch_{i}.bin" for i in range(1, 6)]


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(cifar, "RECORDS_PER_FILE", 3)


def write_batches(folder):
    """Six batches of 3 records; returns all images [18, 32, 32, 3] and labels, test_batch last."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    planes = rng.integers(0, 256, (18, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, (18, 1), dtype=np.uint8)
    records = np.concatenate([labels, planes.reshape(18, 3072)], axis=1)
    for i, name in enumerate([*BATCHES, "test_batch.bin"]):
        (folder / name).write_bytes(records[3 * i : 3 * i + 3].tobytes())
    return planes.transpose(0, 2, 3, 1), labels[:, 0]


def write_npz(folder, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8),
        "y_train": np.arange(6, dtype=np.int64)[:, None],
        "x_test": rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8),
        "y_test": np.arange(6, 10, dtype=np.uint8),
    }
    arrays |= changes
    folder.mkdir(parents=True)
    np.savez(folder / "cifar10.npz", **{name: values for name, values in arrays.items() if values is not None})
    return arrays


def test_grey_and_resize_equal_jax_image_resize(monkeypatch):
    monkeypatch.setattr(cifar, "_CHUNK", 2)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    grey = (images * [0.299, 0.587, 0.114]).sum(axis=-1) / 255
    expected = jax.image.resize(grey.astype(np.float32), (5, 28, 28), "linear", antialias=True)
    x, y = cifar.to_grey(images, np.arange(5))
    np.testing.assert_allclose(x, np.asarray(expected).reshape(5, 784), atol=2e-6)
    np.testing.assert_array_equal(y, np.arange(5))
    assert x.dtype == np.float32
    assert y.dtype == np.int32


@pytest.mark.parametrize(("channel", "luma"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_a_plain_colour_becomes_its_luma(channel, luma):
    images = np.zeros((1, 32, 32, 3), np.uint8)
    images[..., channel] = 255
    np.testing.assert_allclose(cifar.to_grey(images, np.zeros(1)).x, luma, rtol=1e-5)


def test_white_stays_within_one():
    images = np.full((1, 32, 32, 3), 255, np.uint8)
    x = cifar.to_grey(images, np.zeros(1)).x
    np.testing.assert_allclose(x, 1, rtol=1e-5)
    assert x.max() <= 1


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_binary_version(tmp_path, small_batches, inside):
    images, labels = write_batches(tmp_path / "cifar10" / inside)
    dataset = cifar.load(tmp_path / "cifar10")
    np.testing.assert_array_equal(dataset.x_train, cifar.to_grey(images, labels).x[:15])
    np.testing.assert_array_equal(dataset.x_test, cifar.to_grey(images, labels).x[15:])
    np.testing.assert_array_equal(dataset.y_train, labels[:15])
    np.testing.assert_array_equal(dataset.y_test, labels[15:])
    assert dataset.num_classes == 10


def write_pickled(folder, damage=lambda batch: batch):
    """The Python version: six batches of 3; returns as `write_batches`."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    planes = rng.integers(0, 256, (18, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, 18)
    for i, name in enumerate([*BATCHES, "test_batch.bin"]):
        own = slice(3 * i, 3 * i + 3)
        batch = {b"batch_label": name.encode(), b"labels": labels[own].tolist(), b"data": planes[own]}
        with open(folder / name.removesuffix(".bin"), "wb") as file:
            pickle.dump(damage(batch), file, protocol=2)
    return planes.reshape(18, 3, 32, 32).transpose(0, 2, 3, 1), labels


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-py"])
def test_python_version(tmp_path, inside):
    images, labels = write_pickled(tmp_path / inside / "cifar10" / inside)
    for folder in (tmp_path / inside / "cifar10", tmp_path / inside / "cifar10" / inside):
        dataset = cifar.load(folder)
        np.testing.assert_array_equal(dataset.x_train, cifar.to_grey(images, labels).x[:15])
        np.testing.assert_array_equal(dataset.y_test, labels[15:])
    (folder / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="no file data_batch_3; put it there"):
        cifar.load(folder)


class Code:
    """What a pickle can do."""

    def __reduce__(self):
        return print, ("this was run",)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda batch: Code(), "no pickled CIFAR-10 batch (UnpicklingError: it asks for __builtin__.print)"),
        (lambda batch: [], "no pickled CIFAR-10 batch (TypeError: "),
        (lambda batch: {b"data": 3}, "no pickled CIFAR-10 batch (KeyError: b'labels')"),
        (lambda batch: batch | {b"labels": [1, 2]}, "a CIFAR-10 batch has data [n, 3072] uint8, got [3, 3072] uint8"),
        (lambda batch: batch | {b"labels": [1, 2, 10]}, "labels must be 0 to 9, found 10"),
    ],
)
def test_pickles_that_hold_something_else(tmp_path, capsys, damage, text):
    write_pickled(tmp_path / "cifar10", damage)
    assert_refused(tmp_path / "cifar10" / "data_batch_1", text)
    assert capsys.readouterr().out == ""


def test_npz(tmp_path):
    arrays = write_npz(tmp_path / "cifar10")
    dataset = cifar.load(tmp_path / "cifar10")
    np.testing.assert_array_equal(dataset.x_train, cifar.to_grey(arrays["x_train"], arrays["y_train"]).x)
    np.testing.assert_array_equal(dataset.x_test, cifar.to_grey(arrays["x_test"], arrays["y_test"]).x)
    np.testing.assert_array_equal(dataset.y_train, np.arange(6))
    np.testing.assert_array_equal(dataset.y_test, np.arange(6, 10))


@pytest.mark.parametrize("name", ["data_batch_4.bin", "test_batch.bin"])
def test_missing_batch(tmp_path, small_batches, name):
    write_batches(tmp_path / "cifar10")
    (tmp_path / "cifar10" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"cifar10: no file {name}; put it there, the set consists of"):
        cifar.load(tmp_path / "cifar10")


def assert_refused(path, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        cifar.load(path.parent)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_truncated_batch(tmp_path, small_batches):
    write_batches(tmp_path / "cifar10")
    path = tmp_path / "cifar10" / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-3073])
    assert_refused(path, "a CIFAR-10 batch has 9219 bytes, got 6146; fetch the file again")


def test_batch_with_a_wrong_label(tmp_path, small_batches):
    write_batches(tmp_path / "cifar10")
    path = tmp_path / "cifar10" / "test_batch.bin"
    path.write_bytes(b"\x0b" + path.read_bytes()[1:])
    assert_refused(path, "labels must be 0 to 9, found 11")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"y_test": None}, "lacks the array y_test; it must hold x_train, y_train, x_test and y_test"),
        (
            {"x_train": np.zeros((6, 32, 32, 3), np.float32)},
            "x_train must be [n, 32, 32, 3] uint8, got [6, 32, 32, 3] float32",
        ),
        ({"x_test": np.zeros((4, 3, 32, 32), np.uint8)}, "x_test must be [n, 32, 32, 3] uint8, got [4, 3, 32, 32]"),
        ({"x_test": np.zeros((0, 32, 32, 3), np.uint8)}, "x_test must be [n, 32, 32, 3] uint8, got [0, 32, 32, 3]"),
        ({"y_train": np.arange(5)}, "y_train must be [6] integers, got [5] int64"),
        ({"y_train": np.zeros(6)}, "y_train must be [6] integers, got [6] float64"),
        ({"y_train": np.arange(-1, 5)}, "labels must be 0 to 9, found -1"),
    ],
)
def test_npz_with_wrong_arrays(tmp_path, changes, text):
    write_npz(tmp_path / "cifar10", **changes)
    assert_refused(tmp_path / "cifar10" / "cifar10.npz", text)


@pytest.mark.parametrize("damage", [lambda content: content[:5000], lambda content: b"", lambda content: b"no zip"])
def test_damaged_npz(tmp_path, damage):
    write_npz(tmp_path / "cifar10")
    path = tmp_path / "cifar10" / "cifar10.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(path, "cut off or no npz file")


def test_in_colour_it_is_as_published(tmp_path, small_batches):
    images, labels = write_batches(tmp_path / "cifar10")
    for dataset in (cifar.load(tmp_path / "cifar10", colour=True), data.load("cifar10_colour", tmp_path)):
        np.testing.assert_allclose(dataset.x_train, images[:15].reshape(15, -1) / 255, rtol=1e-6)
        np.testing.assert_array_equal(dataset.y_test, labels[15:])
        assert dataset.x_test.shape == (3, 3072)
