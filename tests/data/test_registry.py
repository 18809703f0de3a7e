import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import modularity_jax.data
from modularity_jax.data import cifar, digits, halves, idx, registry, resized, tfds

ROOT = pathlib.Path(modularity_jax.data.__file__).parents[2]


def test_known_names():
    expected = {"digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar10_colour", "lines", "random"}
    expected |= {"halves", "halves_same", "stacked", "stacked_same", "mnist_7x7", "polynomials"}
    assert set(modularity_jax.data.known_names()) == expected


@pytest.mark.parametrize("dir", [None, ""])
def test_digits_need_no_folder(dir):
    for got, expected in zip(modularity_jax.data.load("digits", dir), digits.load(), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist"])
def test_a_folder_of_idx_files_comes_first(tmp_path, write_idx_set, name):
    write_idx_set(tmp_path / name, seed=0)
    for dir in (tmp_path, str(tmp_path)):
        got, expected = modularity_jax.data.load(name, dir), idx.load(tmp_path / name)
        np.testing.assert_array_equal(got.x_train, expected.x_train)
        np.testing.assert_array_equal(got.y_test, expected.y_test)


def test_the_home_folder_is_expanded(tmp_path, write_idx_set, monkeypatch):
    write_idx_set(tmp_path / "sets" / "mnist", seed=0)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(modularity_jax.data.load("mnist", "~/sets").y_train) == 40


def test_cifar10_from_its_folder(tmp_path):
    (tmp_path / "cifar10").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(10)
    np.savez(tmp_path / "cifar10" / "cifar10.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    np.testing.assert_array_equal(
        modularity_jax.data.load("cifar10", tmp_path).x_train, cifar.to_grey(images, labels).x
    )


@pytest.mark.parametrize("dir", [None, "", "folder"])
def test_without_a_folder_of_its_own_a_set_comes_from_tfds(tmp_path, monkeypatch, dir):
    calls = []
    monkeypatch.setattr(tfds, "load", lambda *args, **kwargs: calls.append((args, kwargs)) or digits.load())
    modularity_jax.data.load("kmnist", dir and tmp_path / dir)
    looked = ", ".join(map(str, registry.places(tmp_path / dir, "kmnist"))) if dir else ""
    assert calls == [(("kmnist", tmp_path / dir if dir else None), {"files": idx.FILES, "looked": looked})]


FOLDERS = {
    "mnist": ("mnist", "MNIST/raw", "MNIST", "mnist/raw", "", "raw"),
    "fashion_mnist": ("fashion_mnist", "FashionMNIST/raw", "FashionMNIST", "fashion-mnist"),
    "kmnist": ("kmnist", "KMNIST/raw"),
}


@pytest.mark.parametrize(("name", "below"), [(name, below) for name, found in FOLDERS.items() for below in found])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_folders_as_torchvision_keras_and_people_have_them(tmp_path, write_idx_set, name, below, suffix):
    write_idx_set(tmp_path / "sets" / below, seed=0, suffix=suffix)
    expected = idx.load(tmp_path / "sets" / below)
    np.testing.assert_array_equal(modularity_jax.data.load(name, tmp_path / "sets").x_train, expected.x_train)
    if below:  # and where that folder itself is given
        got = modularity_jax.data.load(name, tmp_path / "sets" / below)
        np.testing.assert_array_equal(got.x_train, expected.x_train)


@pytest.mark.parametrize(
    ("name", "below"), [("fashion_mnist", "any"), ("kmnist", "MNIST/raw"), ("mnist", "FashionMNIST/raw")]
)
def test_files_that_may_be_another_sets_are_not_taken(tmp_path, write_idx_set, monkeypatch, name, below):
    """All three sets have files of the same names."""
    monkeypatch.setattr(tfds, "load", lambda *args, **kwargs: digits.load())
    write_idx_set(tmp_path / below, seed=0)
    assert modularity_jax.data.load(name, tmp_path / below).x_train.shape[1] == 64


def test_an_empty_folder_of_a_set_is_an_error_that_lists_the_places(tmp_path):
    (tmp_path / "MNIST").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        modularity_jax.data.load("mnist", tmp_path)
    text, looked = str(caught.value), registry.places(tmp_path, "mnist")
    assert text.startswith(f"cannot load mnist: there is none of its files in {looked[0]}, ")
    assert all(str(place) in text for place in looked)
    assert text.endswith(f"put {idx.FILES} into {tmp_path / 'MNIST'}")


MADE_OF_MNIST = {
    "halves": halves.sums,
    "halves_same": halves.same,
    "stacked": lambda mnist: halves.sums(mnist, halves.stacked),
    "stacked_same": lambda mnist: halves.same(mnist, halves.stacked),
    "mnist_7x7": resized.sevenths,
}


@pytest.mark.parametrize(("name", "make"), MADE_OF_MNIST.items(), ids=MADE_OF_MNIST)
def test_sets_are_made_of_mnist_wherever_it_comes_from(tmp_path, write_idx_set, monkeypatch, name, make):
    write_idx_set(tmp_path / "mnist", seed=0)
    mnist = modularity_jax.data.load("mnist", tmp_path)
    calls = []
    monkeypatch.setattr(tfds, "load", lambda *args, **kwargs: calls.append(args) or mnist)
    for dir in (tmp_path, None):
        for got, expected in zip(modularity_jax.data.load(name, dir), make(mnist), strict=True):
            np.testing.assert_array_equal(got, expected)
    assert calls == [("mnist", None)]
    assert len(modularity_jax.data.load(name, tmp_path, num_train=7).y_train) == 7


def test_halves_can_be_mixed(tmp_path, write_idx_set):
    for seed, name in enumerate(("mnist", "kmnist")):
        write_idx_set(tmp_path / name, seed=seed)
    mixed = modularity_jax.data.load("halves_same|kmnist", tmp_path)
    first, second = (modularity_jax.data.load(name, tmp_path) for name in ("halves_same", "kmnist"))
    rows = {row.tobytes() for row in np.concatenate([first.x_test[first.y_test < 5], second.x_test[second.y_test > 4]])}
    assert {row.tobytes() for row in mixed.x_test} == rows


def test_mixture_of_two_folders(tmp_path, write_idx_set):
    write_idx_set(tmp_path / "mnist", seed=0)
    write_idx_set(tmp_path / "kmnist", seed=1)
    first, second = (modularity_jax.data.load(name, tmp_path) for name in ("mnist", "kmnist"))
    pooled = modularity_jax.data.load("mnist+kmnist", tmp_path)
    rows = {row.tobytes() for row in np.concatenate([first.x_train, second.x_train])}
    assert {row.tobytes() for row in pooled.x_train} == rows
    divided = modularity_jax.data.load("mnist|kmnist", tmp_path)
    rows = {row.tobytes() for row in np.concatenate([first.x_test[first.y_test < 5], second.x_test[second.y_test > 4]])}
    assert {row.tobytes() for row in divided.x_test} == rows


def test_num_train_keeps_the_first_samples():
    whole, part = modularity_jax.data.load("digits"), modularity_jax.data.load("digits", num_train=100)
    np.testing.assert_array_equal(part.x_train, whole.x_train[:100])
    np.testing.assert_array_equal(part.y_train, whole.y_train[:100])
    np.testing.assert_array_equal(part.x_test, whole.x_test)
    assert len(modularity_jax.data.load("digits", num_train=1437).y_train) == 1437


@pytest.mark.parametrize(
    ("num_train", "text"),
    [
        (0, "num_train must be at least 1, got 0"),
        (-3, "num_train must be at least 1, got -3"),
        (1438, "num_train must be at most 1437, the training samples there are, got 1438"),
    ],
)
def test_wrong_num_train(num_train, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        modularity_jax.data.load("digits", num_train=num_train)


@pytest.mark.parametrize(
    ("name", "part"), [("minst", "minst"), ("", ""), ("mnist+minst", "minst"), ("Digits|mnist", "Digits")]
)
def test_unknown_name(name, part):
    with pytest.raises(ValueError, match=f"^unknown data set '{part}'; known are digits, mnist, ") as caught:
        modularity_jax.data.load(name)
    assert all(known in str(caught.value) for known in (*registry.known_names(), "a+b", "a|b"))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("digits+mnist", "digits"),
        ("lines|digits", "digits"),
        ("stacked+lines", "stacked"),
        ("mnist|mnist_7x7", "mnist_7x7"),
        ("lines+polynomials", "polynomials"),
    ],
)
def test_sets_of_another_size_cannot_be_mixed(name, part):
    with pytest.raises(
        ValueError, match=rf"{part} cannot be mixed \(not of 784 values\); take two of mnist,"
    ) as caught:
        modularity_jax.data.load(name)
    assert str(caught.value).startswith(repr(name))


def test_importing_it_imports_none_of_the_extras():
    code = "import sys, modularity_jax.data; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    loaded = set(run.stdout.split())
    assert "modularity_jax.data.tfds" in loaded
    assert not loaded & {"sklearn", "tensorflow", "tensorflow_datasets", "requests", "PIL"}
