import os
import pathlib
import pwd

import pytest

from modularity_jax import data
from modularity_jax.data import tfds
from modularity_jax.data.paths import local_path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("~/study/x", "/home/me/study/x"),
        ("~", "/home/me"),
        ("a/~/b", "a/~/b"),
        ("", "."),
        ("C:/x", "C:/x"),
        ("/a:b/", "/a:b"),
    ],
)
def test_home_directories(monkeypatch, given, expected):
    monkeypatch.setenv("HOME", "/home/me")
    assert local_path("--workdir", given) == pathlib.Path(expected)
    assert local_path("--workdir", pathlib.Path(given)) == pathlib.Path(expected)


@pytest.mark.parametrize(
    "given", ["gs://b/x", "s3://b/x", "file:///x", "hdfs://h/x", "https://h/x", pathlib.Path("gs://b/x")]
)
def test_schemes_are_refused(given):
    with pytest.raises(ValueError, match=r"^--workdir must be a path on this machine, got '\w+:/.*'; give one without"):
        local_path("--workdir", given)
    with pytest.raises(ValueError, match=r"^dir must be a path on this machine"):
        data.load("digits", given)


@pytest.fixture
def homeless(monkeypatch):
    """No HOME, and a user whom the system does not know."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    assert os.path.expanduser("~") == "~"


def test_an_unknown_home(homeless):
    with pytest.raises(ValueError, match=r"^--workdir: the home directory of '~/x' is not known; give the whole path$"):
        local_path("--workdir", "~/x")
    assert local_path("--workdir", "runs/x") == pathlib.Path("runs/x")


def test_published_sets_without_a_home(homeless, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    with pytest.raises(ValueError, match=r"^TFDS_DATA_DIR: the home directory of '~/tensorflow_datasets' is not known"):
        tfds.load("mnist", None, files="f", looked="l")
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket")  # TensorFlow Datasets' own, which knows more places
    assert tfds._home() == "gs://bucket"
