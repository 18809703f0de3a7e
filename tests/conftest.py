"""Every test runs on four fake CPU devices, with rank promotion an error."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

import pathlib

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

SHARED_DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data_dir() -> pathlib.Path:
    """The folder with real MNIST and Fashion-MNIST as IDX files; the test is skipped where it is missing."""
    if not (SHARED_DATA / "mnist").is_dir():
        pytest.skip(f"needs real MNIST as IDX files in {SHARED_DATA / 'mnist'}")
    return SHARED_DATA


@pytest.fixture(scope="module", autouse=True)
def _programs_end_with_their_module():
    """Drops compiled programs: each takes some eight memory mappings, and a process that has 65,530 of them crashes."""
    yield
    jax.clear_caches()
