import importlib
import pathlib

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.lesions import lesion_stage
from modularity_jax.runs.report import write_report
from modularity_jax.runs.stages import cluster_stage, train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py") if path.stem not in ("__init__", "study"))
# Data set, epochs, pruning epochs and dropout rate, from the study's protocol (2003.04881, section 3 and appendix).
PROTOCOL = {
    "cifar10": ("cifar10", 20, 40, 0.0),
    "cifar10_dropout": ("cifar10", 100, 40, 0.2),
    "fashion_mnist": ("fashion_mnist", 20, 20, 0.0),
    "fashion_mnist_dropout": ("fashion_mnist", 20, 20, 0.5),
    "lines": ("lines", 20, 20, 0.0),
    "mnist": ("mnist", 20, 20, 0.0),
    "mnist_dropout": ("mnist", 20, 20, 0.5),
    "random": ("random", 20, 20, 0.0),
}


def load(name, variant=""):
    return importlib.import_module(f"configs.{name}").get_config(variant)


@pytest.fixture(scope="module", autouse=True)
def shared_programs(tmp_path_factory):
    """A compilation cache: most quick variants are the same programs on other data."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    for name, value in zip(names, (str(tmp_path_factory.mktemp("cache")), 0), strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    yield
    for name, value in zip(names, before, strict=True):
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def cifar_dir(tmp_path_factory):
    """Noise in one of the formats that CIFAR-10 is read from; as many test images as the other sets have."""
    folder = tmp_path_factory.mktemp("data") / "cifar10"
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {}
    for split, size in (("train", 1000), ("test", 10_000)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (size, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = rng.integers(0, 10, size)
    np.savez(folder / "cifar10.npz", **arrays)
    return folder.parent


def test_all_configs_are_here():
    assert sorted([*PROTOCOL, "digits"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_config_says_how_to_run_it_and_what_comes_out(name):
    text = importlib.import_module(f"configs.{name}").__doc__
    for part in ("Command: python -m experiments.run", "Time on 2 cores: ", "Expect"):
        assert part in text
    assert f"--config=configs/{name}.py" in text or name == "digits"


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_protocol_is_the_studys(name):
    config = from_dict(load(name).to_dict())
    assert (config.data.name, config.train.epochs, config.prune.epochs, config.model.dropout_rate) == PROTOCOL[name]
    assert config.model.widths == (784, 256, 256, 256, 256, 10)
    assert config.cluster.num_clusters == (4, 12)
    assert config.cluster.selection == "inertia"
    assert config.data.num_train == 0
    # What no config changes: batches, Adam's rate, the pruning schedule, controls and restarts.
    default = RunConfig()
    assert config.train.batch_size == default.train.batch_size == 128
    assert config.prune.final_sparsity == default.prune.final_sparsity == 0.9
    assert "layer" in config.cluster.methods


def test_the_demo():
    config = from_dict(load("digits").to_dict())
    assert (config.data.name, config.data.dir) == ("digits", "")
    assert (config.model.widths[0], config.model.widths[-1]) == (64, 10)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_variants_are_refused(name):
    with pytest.raises(ValueError, match="config variant must be empty, 'quick' or 'lesions', got 'slow'"):
        load(name, "slow")


@pytest.mark.parametrize("name", NAMES)
def test_lesions(name):
    study, more = (from_dict(load(name, variant).to_dict()).lesion for variant in ("", "lesions"))
    assert (study.num_shuffles, study.joint, study.conditional) == (100, 50, 50)
    assert (more.num_shuffles, more.joint, more.conditional) == (1000, 500, 500)
    assert study.num_clusters == (4 if name == "digits" else 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_quick_variant_is_the_same_at_a_toy_size(name):
    whole, quick = from_dict(load(name).to_dict()), from_dict(load(name, "quick").to_dict())
    assert quick.data.name == whole.data.name
    assert quick.model.dropout_rate == whole.model.dropout_rate
    assert (quick.train.epochs, quick.prune.epochs, quick.train.num_seeds) == (2, 2, 2)
    assert quick.data.num_train == 1000


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_quick_variant_runs(name, tmp_path, request):
    """That of digits has other shapes, hence programs of its own; test_launchers runs it as a user does."""
    config = load(name, "quick")
    if "mnist" in name:
        config.data.dir = str(request.getfixturevalue("real_data_dir"))
    if "cifar" in name:
        config.data.dir = str(request.getfixturevalue("cifar_dir"))
    workdir = create_workdir(tmp_path / name, from_dict(config.to_dict()), "a command")
    train_stage(workdir)
    cluster_stage(workdir)
    lesion_stage(workdir)
    page = write_report(workdir.path)
    assert page.stat().st_size > 10_000
    assert list((workdir.path / "figures").glob("*.png"))
    metrics = read_csv(workdir.metrics)
    assert [(row["phase"], row["epoch"]) for row in metrics if row["seed"] == 1] == [
        ("init", 0), ("unpruned", 1), ("unpruned", 2), ("pruned", 1), ("pruned", 2),
    ]  # fmt: skip
    for arrays in (read_arrays(workdir.path, "weights/pruned.npz", f"seed_{seed}/") for seed in (0, 1)):
        for array in (array for key, array in arrays.items() if key.endswith("kernel")):
            assert (array == 0).sum() == array.size - round(0.1 * array.size)
    rows = read_csv(workdir.clusterability)
    assert len(rows) == 3 * 2 * len(config.cluster.methods)
    for row in rows:
        assert 0 < row["lower_bound"] <= row["ncut"] * (1 + 1e-5) < 4
        assert row["converged"]
    # Trained networks know their digits, where there is something to know and so little training shows it.
    last = [row["test_accuracy"] for row in metrics if row["phase"] == "unpruned" and row["epoch"] == 2]
    if name in ("mnist", "fashion_mnist"):
        assert min(last) > 0.25
    if name in ("random", "cifar10"):
        assert max(last) < 0.15
