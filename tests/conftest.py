"""Every test runs on four fake CPU devices, with rank promotion an error.

Programs are compiled without LLVM's optimisations, which costs half as much, and without XLA's fusion emitters, which
halves it once more; `make test-long` runs the tests that compare bits with both once more.
"""

import gc
import os

QUICKLY = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
FLAGS = os.environ.get("XLA_FLAGS", "")
LEVEL = "" if "xla_backend_optimization_level" in FLAGS else QUICKLY
os.environ["XLA_FLAGS"] = f"{FLAGS} {LEVEL} --xla_force_host_platform_device_count=4"
# `compiler_options` of programs that take longer to run so than to compile.
OPTIMISED = {"xla_backend_optimization_level": 3, "xla_cpu_use_fusion_emitters": True}
# The threads of BLAS, which JAX's eigenvalues take too, wait for each other busily: five times the time, beside others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

import pathlib

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes many objects that live on: to look for cycles as often as Python does costs a twentieth of all the time.
gc.set_threshold(50_000, 50, 100)

# Programs are compiled once for all modules, workers and runs of the tests; `make clean` drops them.
PROGRAMS = pathlib.Path(__file__).resolve().parents[1] / ".pytest_cache" / "programs"
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    jax.config.update("jax_compilation_cache_dir", str(PROGRAMS))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)

SHARED_DATA = pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data_dir() -> pathlib.Path:
    """The folder with real MNIST and Fashion-MNIST as IDX files; the test is skipped where it is missing."""
    if not (SHARED_DATA / "mnist").is_dir():
        pytest.skip(f"needs real MNIST as IDX files in {SHARED_DATA / 'mnist'}")
    return SHARED_DATA


# Memory mappings from which on compiled programs are dropped: each takes some eight, and a process that has 65,530 of
# them crashes.
MOST_MAPPINGS = 30_000


@pytest.fixture(scope="module", autouse=True)
def _programs_leave_room():
    yield
    mappings = pathlib.Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
