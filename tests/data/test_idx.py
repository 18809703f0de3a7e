import gzip
import re

import numpy as np
import pytest

from modularity_jax.data import idx

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_load_gives_the_files_scaled_and_in_order(tmp_path, write_idx_set, suffix):
    arrays = write_idx_set(tmp_path / "set", seed=0, suffix=suffix)
    dataset = idx.load(tmp_path / "set")
    assert dataset.num_classes == 10
    assert dataset.x_train.dtype == dataset.x_test.dtype == np.float32
    assert dataset.y_train.dtype == dataset.y_test.dtype == np.int32
    np.testing.assert_allclose(dataset.x_train, arrays[IMAGES].reshape(40, 784) / 255, atol=1e-7)
    np.testing.assert_allclose(dataset.x_test, arrays["t10k-images-idx3-ubyte"].reshape(20, 784) / 255, atol=1e-7)
    np.testing.assert_array_equal(dataset.y_train, arrays[LABELS])
    np.testing.assert_array_equal(dataset.y_test, arrays["t10k-labels-idx1-ubyte"])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_names_with_a_dot(tmp_path, write_idx_set, suffix):
    arrays = write_idx_set(tmp_path / "set", seed=0, suffix=suffix)
    for path in (tmp_path / "set").iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    np.testing.assert_array_equal(idx.load(tmp_path / "set").y_train, arrays[LABELS])


def test_the_npz_file_of_keras(tmp_path, write_idx_set):
    arrays = write_idx_set(tmp_path / "set", seed=0)
    expected = idx.load(tmp_path / "set")
    names = dict(zip(arrays, ("x_train", "y_train", "x_test", "y_test"), strict=True))
    np.savez_compressed(tmp_path / "mnist.npz", **{names[name]: array for name, array in arrays.items()})
    for got, wanted in zip(idx.load(tmp_path), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((2, 28, 28)))
    assert_refused(tmp_path, tmp_path / "mnist.npz", "lacks the array y_train")


def test_gzip_is_recognised_by_content(tmp_path, write_idx):
    values = np.arange(6, dtype=np.uint8)
    write_idx(tmp_path / "named.gz", values)
    (tmp_path / "unnamed").write_bytes((tmp_path / "named.gz").read_bytes())
    np.testing.assert_array_equal(idx.read_idx(tmp_path / "unnamed", 1), values)


def test_real_mnist(real_data_dir):
    dataset = idx.load(real_data_dir / "mnist")
    assert dataset.x_train.shape == (60_000, 784)
    assert dataset.x_test.shape == (10_000, 784)
    assert dataset.x_train.min() == 0
    assert dataset.x_train.max() == 1
    # Known of MNIST: the mean of its training pixels, and its first labels.
    assert dataset.x_train.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)
    np.testing.assert_array_equal(dataset.y_train[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    np.testing.assert_array_equal(dataset.y_test[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])


@pytest.mark.parametrize("name", [IMAGES, LABELS, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_missing_file(tmp_path, write_idx_set, name):
    write_idx_set(tmp_path / "set", seed=0)
    (tmp_path / "set" / f"{name}.gz").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        idx.load(tmp_path / "set")
    assert str(caught.value).startswith(f"{tmp_path / 'set'}: no file {name} or {name}.gz; put it there")


def assert_refused(folder, path, text):
    """The message is one line, starts with the file's path and says what is wrong with it."""
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        idx.load(folder)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda content: content[: len(content) // 2], "cut off or corrupt gzip"),
        (lambda content: content[:60] + b"\xff" * 40 + content[100:], "cut off or corrupt gzip"),
        (lambda content: content[:-8] + bytes(8), "cut off or corrupt gzip (CRC check failed"),
    ],
)
def test_damaged_gzip(tmp_path, write_idx_set, damage, text):
    write_idx_set(tmp_path / "set", seed=0)
    path = tmp_path / "set" / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(tmp_path / "set", path, text)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda content: b"", "not the IDX file it should be: starts with , not 00000803"),
        (lambda content: b"<html>", "not the IDX file it should be: starts with 3c68746d, not 00000803"),
        (lambda content: b"\0\0\x08\x01" + content[4:], "starts with 00000801, not 00000803"),
        (lambda content: content[:10], "cut off in its header"),
        (lambda content: content[:-1], "announces 40 x 28 x 28 = 31360 bytes but holds 31359; fetch the file again"),
        (lambda content: content + b"!", "announces 40 x 28 x 28 = 31360 bytes but holds 31361"),
        (lambda content: content[:4] + bytes(4) + content[8:16], "holds no samples"),
    ],
)
def test_damaged_images(tmp_path, write_idx_set, damage, text):
    write_idx_set(tmp_path / "set", seed=0, suffix="")
    path = tmp_path / "set" / IMAGES
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(tmp_path / "set", path, text)


def test_wrong_image_size(tmp_path, write_idx_set, write_idx):
    write_idx_set(tmp_path / "set", seed=0, suffix="")
    path = tmp_path / "set" / IMAGES
    write_idx(path, np.zeros((40, 27, 28)))
    assert_refused(tmp_path / "set", path, "images must be 28 x 28 pixels, got 27 x 28")


def test_counts_that_differ(tmp_path, write_idx_set, write_idx):
    write_idx_set(tmp_path / "set", seed=0, suffix="")
    labels_path = tmp_path / "set" / LABELS
    write_idx(labels_path, np.zeros(39))
    assert_refused(tmp_path / "set", tmp_path / "set" / IMAGES, f"holds 40 images, but {labels_path} 39 labels")


def test_label_out_of_range(tmp_path, write_idx_set, write_idx):
    write_idx_set(tmp_path / "set", seed=0)
    path = tmp_path / "set" / f"{LABELS}.gz"
    write_idx(path, np.append(np.zeros(39), 10))
    assert gzip.decompress(path.read_bytes())[-1] == 10
    assert_refused(tmp_path / "set", path, "labels must be 0 to 9, found 10; fetch the file again")
