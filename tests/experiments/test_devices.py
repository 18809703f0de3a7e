"""Where compiled programs are kept, and devices that are not there."""

import logging
import pwd

import jax
import pytest

from experiments import devices


@pytest.fixture
def kept(monkeypatch):
    """Calls `keep_compiled_programs` and says where they are kept; JAX's own setting stays."""

    def keep():
        settings = {}
        monkeypatch.setattr(jax.config, "update", settings.__setitem__)
        devices.keep_compiled_programs()
        assert settings.pop("jax_persistent_cache_min_compile_time_secs") == 0.1
        return settings.get("jax_compilation_cache_dir")

    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    return keep


def test_in_the_home_directory(kept, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "made"))
    assert kept() == str(tmp_path / "made" / ".cache" / "modularity_jax")


def test_without_a_home(kept, monkeypatch, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    assert kept() is None
    assert "compiled programs are not kept: ~/.cache/modularity_jax cannot be written" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_a_home_that_cannot_be_written(kept, monkeypatch, caplog, home):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("HOME", home)
    assert kept() is None
    assert "cannot be written, JAX_COMPILATION_CACHE_DIR chooses another place" in caplog.text


@pytest.mark.parametrize(
    ("given", "expected"), [("/a/b", "/a/b"), ("~/b", "/home/me/b"), ("", ""), ("gs://bucket/b", "gs://bucket/b")]
)
def test_where_the_user_says(kept, monkeypatch, given, expected):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", given)
    assert kept() == expected


@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to initialize\nbackend")])
def test_devices_that_are_not_there(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(jax, "devices", fail)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    reason = str(error).replace("\n", " ") or "there is no such device"
    with pytest.raises(ValueError, match=f"^JAX cannot start its devices: {reason}; unset JAX_PLATFORMS=cuda, or inst"):
        devices.check_platform()
    monkeypatch.delenv("JAX_PLATFORMS")
    with pytest.raises(ValueError, match=f"^JAX cannot start its devices: {reason}; set JAX_PLATFORMS=cpu, or install"):
        devices.check_platform()
