"""What importing the package pulls in."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAVY = (
    "flax",
    "absl",
    "matplotlib",
    "sklearn",
    "tensorflow",
    "tensorflow_datasets",
    "ml_collections",
    "optax",
    "pandas",
)


@pytest.fixture(scope="module")
def imported():
    """Top-level names of the modules that `import modularity_jax` loads in a fresh interpreter."""
    program = "import modularity_jax, sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", HEAVY)
def test_import_leaves_out(imported, name):
    assert name not in imported


def test_import_pulls_in_what_the_metric_needs(imported):
    assert {"jax", "numpy", "scipy", "modularity_jax"} <= imported


def test_public_names_exist():
    import modularity_jax

    assert set(modularity_jax.__all__) >= {"LayeredGraph", "SparseGraph", "ncut", "cluster", "shuffle", "shuffle_test"}
    for name in modularity_jax.__all__:
        assert getattr(modularity_jax, name) is not None
