import functools
import importlib
import itertools
import pathlib

import numpy as np
import pytest

from configs import study
from modularity_jax import data
from modularity_jax.data import cifar
from modularity_jax.metric.methods import METHODS, method_of
from modularity_jax.report import write_report
from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.feasibility import fits
from modularity_jax.runs.stages import curve
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.specialise import specialise_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.conftest import SHARED_DATA

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py") if path.stem not in ("__init__", "study"))
# Data set, epochs, pruning epochs, and the rate of the variant with dropout, of the study (2003.04881, section 3 and
# appendix; 2103.03386 adds halves, stacked images, 7 x 7 pixels,
# polynomials and penalties).
PROTOCOL = {
    "cifar10": ("cifar10", 20, 40, 0.2),
    "fashion_mnist": ("fashion_mnist", 20, 20, 0.5),
    "halves": ("halves", 20, 20, 0.5),
    "halves_same": ("halves_same", 20, 20, 0.5),
    "initial": ("random", 0, 0, 0.5),
    "lines": ("lines", 20, 20, 0.5),
    "lines_cifar10": ("lines+cifar10", 30, 40, 0.2),
    "lines_cifar10_separated": ("lines|cifar10", 30, 40, 0.2),
    "lines_mnist": ("lines+mnist", 20, 20, 0.5),
    "lines_mnist_separated": ("lines|mnist", 20, 20, 0.5),
    "cifar10_vgg": ("cifar10_colour", 200, 50, 0.5),
    "fashion_cnn": ("fashion_mnist", 10, 10, 0.5),
    "mnist": ("mnist", 20, 20, 0.5),
    "mnist_7x7": ("mnist_7x7", 10, 10, 0.5),
    "mnist_7x7_penalty": ("mnist_7x7", 10, 10, 0.5),
    "mnist_clusterable_init": ("mnist", 20, 20, 0.5),
    "mnist_cnn": ("mnist", 10, 10, 0.5),
    "sequence_rnn": ("digits", 30, 15, 0.5),
    "mnist_cifar10": ("mnist+cifar10", 30, 40, 0.2),
    "mnist_cifar10_separated": ("mnist|cifar10", 30, 40, 0.2),
    "mnist_controls": ("mnist", 20, 20, 0.5),
    "mnist_k": ("mnist", 20, 20, 0.5),
    "mnist_l1": ("mnist", 20, 20, 0.5),
    "mnist_l2": ("mnist", 20, 20, 0.5),
    "mnist_local": ("mnist", 20, 0, 0.5),
    "mnist_longer": ("mnist", 200, 20, 0.5),
    "mnist_modularity": ("mnist", 20, 20, 0.5),
    "mnist_stability": ("mnist", 20, 20, 0.5),
    "mnist_stacked": ("stacked", 10, 10, 0.5),
    "polynomials": ("polynomials", 20, 20, 0.5),
    "random": ("random", 20, 20, 0.5),
    "random_longer": ("random", 1000, 20, 0.5),
    "random_overfitted": ("random", 100, 100, 0.5),
}
# What a config changes besides.
CNN = {
    "model.name": "cnn", "model.widths": (784, 64, 64, 64, 128, 10), "train.num_seeds": 5, "train.batch_size": 64,
    "cluster.graphs": ("weights", "normalized_l2", "convolutions"), "cluster.measures": ("ncut", "modularity"),
    "cluster.methods": ("layer",), "cluster.num_shuffles": 50, "cluster.curve_epochs": (),
}  # fmt: skip
SMALL = {
    "model.widths": (49, 64, 64, 64, 10), "cluster.measures": ("ncut", "modularity"), "cluster.num_clusters": (12,),
    "cluster.methods": ("layer",), "cluster.num_shuffles": 50, "cluster.curve_epochs": (),
}  # fmt: skip
CHANGES = {
    "initial": {
        "data.num_train": 1000, "train.num_seeds": 100, "cluster.phases": ("init",), "cluster.methods": ("layer",),
        "cluster.num_shuffles": 19, "cluster.curve_epochs": (),
    },
    "mnist_controls": {"cluster.methods": tuple(METHODS)[:8]},
    "mnist_k": {"cluster.num_clusters": (2, 4, 7, 10, 12), "cluster.methods": ("layer",)},
    "mnist_l1": {"train.l1_penalty": 5e-5},
    "mnist_l2": {"train.l2_penalty": 5e-5},
    "mnist_modularity": {
        "train.num_seeds": 10, "cluster.phases": ("unpruned", "pruned"), "cluster.measures": ("ncut", "modularity"),
        "cluster.num_clusters": (2, 4, 7, 12), "cluster.num_shuffles": 99, "cluster.refine": True,
        "cluster.methods": ("layer", "layer_nonzero", "row", "column", "degrees", "strengths"),
        "cluster.curve_epochs": (),
    },
    "mnist_local": {
        "train.num_seeds": 5, "cluster.graphs": ("weights", "activations"), "cluster.num_clusters": (12,),
        "cluster.methods": ("layer", "layer_nonzero", "samples", "edges"), "cluster.num_shuffles": 19,
        "cluster.curve_epochs": (), "specialisation.phases": ("unpruned",), "specialisation.num_shuffles": 199,
    },
    "mnist_stability": {"cluster.num_clusters": (4,)},
    "mnist_7x7": SMALL,
    "mnist_7x7_penalty": SMALL | {
        "train.recipe": "renormalized_eigenvalue_penalty", "train.eigenvalue_weight": (0.0, 0.05, 0.1),
    },
    "mnist_clusterable_init": {"train.recipe": "clusterable_init"},
    "polynomials": {"model.widths": (2, 256, 256, 256, 256, 512)},
    "mnist_stacked": CNN | {"model.widths": (1568, 64, 64, 64, 128, 10)},
    "cifar10_vgg": {
        "model.name": "vgg", "model.widths": (3072, 64, 64, 128, 128, *(256,) * 3, *(512,) * 8, 10),
        "train.num_seeds": 2, "train.augment": True, "cluster.graphs": ("weights", "convolutions"),
        "cluster.measures": ("ncut", "modularity"), "cluster.num_clusters": (12,), "cluster.methods": ("layer",),
        "cluster.num_shuffles": 50, "cluster.curve_epochs": (),
    },
    "mnist_cnn": CNN,
    "fashion_cnn": CNN,
    "sequence_rnn": {
        "model.name": "lstm", "model.widths": (64, 64, 10), "train.num_seeds": 5, "train.batch_size": 32,
        "train.learning_rate": 0.005, "cluster.measures": ("ncut", "modularity"), "cluster.num_clusters": (2, 4),
        "cluster.methods": ("layer", "strengths"), "cluster.curve_epochs": (),
    },
    "random_overfitted": {"data.num_train": 3000, "train.reshuffle": False},
}  # fmt: skip
DROPOUT_FILES = ("cifar10_dropout", "fashion_mnist_dropout", "mnist_dropout")
RUNNABLE = (*PROTOCOL, *DROPOUT_FILES)
# The fast lane runs these: images and colours, with and without training, dropout, lesions, all controls.
OF_EACH_KIND = ("cifar10", "initial", "mnist_controls", "mnist_dropout")
# The report does not depend on the data: one of each kind, besides that of test_launchers, with lesions.
REPORTED = ("initial", "mnist_controls")
NUM_TEST = 200
FEW_SHUFFLES = 3
FEW_IMAGES = 100  # for networks of images, which take long without the compiler's optimisations
WITHOUT_LESIONS = (
    "cifar10_vgg",
    "fashion_cnn",
    "initial",
    "mnist_7x7",
    "mnist_7x7_penalty",
    "mnist_cnn",
    "mnist_controls",
    "mnist_k",
    "mnist_local",
    "mnist_modularity",
    "mnist_stability",
    "mnist_stacked",
    "polynomials",
)


def load(name, variant=""):
    return importlib.import_module(f"configs.{name}").get_config(variant).to_dict()


def flat(config):
    """Settings as {"section.field": value}."""
    sections = config.to_dict() if isinstance(config, RunConfig) else config
    return {f"{section}.{field}": value for section, fields in sections.items() for field, value in fields.items()}


@pytest.fixture(scope="module", autouse=True)
def shared_sets():
    """Each set is loaded once, and all have as many test images, or each would have programs of its own."""
    load = data.load

    @functools.cache
    def load_cut(name, dir, *, num_train):
        found = load(name, dir, num_train=num_train)
        few = min(NUM_TEST, num_train)
        return found._replace(x_test=found.x_test[:few], y_test=found.y_test[:few])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", load_cut)
        patch.setattr(curve, "NUM_CONTROLS", FEW_SHUFFLES)
        yield


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder with real MNIST and CIFAR-10, this made up but in the binary format that it is published in."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("mnist", "fashion_mnist"):
        (folder / name).symlink_to(SHARED_DATA / name)
    batches = folder / "cifar10" / "cifar-10-batches-bin"
    batches.mkdir(parents=True)
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 200, (10, 3072), dtype=np.uint8)
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        labels = rng.permutation(NUM_TEST).astype(np.uint8) % 10
        images = patterns[labels] + rng.integers(0, 50, (NUM_TEST, 3072), dtype=np.uint8)
        (batches / name).write_bytes(np.column_stack([labels, images]).tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar, "RECORDS_PER_FILE", NUM_TEST)
        yield folder


def test_all_configs_are_here():
    assert sorted([*PROTOCOL, *DROPOUT_FILES, "digits"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_config_says_how_to_run_it_and_what_comes_out(name):
    text = importlib.import_module(f"configs.{name}").__doc__
    for part in ("Command: python -m experiments.run", "Time on 2 cores: ", "Expect"):
        assert part in text
    assert f"--config=configs/{name}.py" in text or name == "digits"


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_protocol_is_the_studys(name):
    data, epochs, prune_epochs, rate = PROTOCOL[name]
    changed = {"data.name": data, "train.epochs": epochs, "prune.epochs": prune_epochs} | CHANGES.get(name, {})
    if name in WITHOUT_LESIONS:
        changed["lesion.num_shuffles"] = 0
    assert flat(load(name)) == flat(RunConfig()) | study.BASE | changed
    # 2003.04881 trains CIFAR-10 for longer where it drops out.
    more = {"train.epochs": 100} if name == "cifar10" else {}
    assert flat(load(name, "dropout")) == flat(RunConfig()) | study.BASE | changed | {"model.dropout_rate": rate} | more


def test_the_defaults_are_the_studys():
    config = RunConfig()
    assert config.model.widths == (784, 256, 256, 256, 256, 10)
    assert config.model.dropout_rate == config.train.l1_penalty == config.train.l2_penalty == 0
    assert config.train.batch_size == 128
    assert (config.prune.initial_sparsity, config.prune.final_sparsity) == (0.5, 0.9)
    assert config.cluster.num_clusters == (4, 12)
    assert config.cluster.methods == ("layer", "layer_nonzero")
    assert config.cluster.selection == "inertia"
    assert config.train.num_seeds == 10


@pytest.mark.parametrize("name", DROPOUT_FILES)
def test_files_with_dropout_are_the_variant(name):
    assert load(name) == load(name.removesuffix("_dropout"), "dropout")
    assert load(name, "quick") == load(name.removesuffix("_dropout"), "quick,dropout")


def test_lengths_are_variants():
    for word, epochs in (("30", 30), ("40", 40), ("200", 200), ("", 200), ("dropout,40", 40)):
        config = from_dict(load("mnist_longer", word))
        assert (config.train.epochs, config.prune.epochs) == (epochs, 20)
    assert from_dict(load("mnist_longer", "30,dropout")).model.dropout_rate == 0.5


def test_the_demo():
    config = from_dict(load("digits"))
    assert (config.data.name, config.data.dir) == ("digits", "")
    assert (config.model.widths[0], config.model.widths[-1]) == (64, 10)


@pytest.mark.parametrize("variant", ["slow", "quick,slow", "slow,dropout"])
@pytest.mark.parametrize("name", NAMES)
def test_unknown_words_are_refused(name, variant):
    own = {"mnist_longer": ", 30, 40, 200", "mnist_local": ", pruned, cnn"}.get(name, "")
    with pytest.raises(ValueError, match=f"^config variant must be made of quick, lesions, dropout{own}, got 'slow'$"):
        load(name, variant)


@pytest.mark.parametrize("name", NAMES)
def test_lesions(name):
    study, more = (from_dict(load(name, variant)).lesion for variant in ("", "lesions"))
    assert (study.num_shuffles, study.joint, study.conditional) == (0 if name in WITHOUT_LESIONS else 100, 50, 50)
    assert (more.num_shuffles, more.joint, more.conditional) == (1000, 500, 500)
    assert study.num_clusters == (4 if name == "digits" else 10)


@pytest.mark.parametrize("name", NAMES)
def test_the_quick_variant_is_the_same_at_a_toy_size(name):
    whole, quick = load(name), load(name, "quick")
    (inputs, *_, outputs), hidden = whole["model"]["widths"], study.HIDDEN[whole["model"]["name"]]
    assert load(name, "lesions,quick") == load(name, "quick,lesions")
    smaller = {
        "data.num_train": 1000, "model.widths": (inputs, *hidden, outputs), "train.num_seeds": 2,
        "cluster.num_clusters": (4,), "cluster.num_shuffles": 19, "lesion.num_clusters": 4, "lesion.joint": 9,
        "lesion.conditional": 9, "activations.num_samples": 500, "specialisation.num_clusters": 4,
        "specialisation.num_samples": 500, "specialisation.num_top": 20,
    }  # fmt: skip
    cut = ("train.epochs", 2), ("prune.epochs", 2), ("lesion.num_shuffles", 19), ("specialisation.num_shuffles", 39)
    for field, most in cut:
        smaller[field] = min(most, flat(whole)[field])
    assert flat(quick) == flat(whole) | smaller


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OF_EACH_KIND else pytest.mark.long) for name in RUNNABLE]
)
def test_the_quick_variant_runs(name, tmp_path, request):
    """That of digits has other shapes, hence programs of its own; test_launchers runs it as a user does.

    With few shuffles, and of images: how many there are changes no line below.
    """
    config = load(name, "quick")
    for section, field in (("cluster", "num_shuffles"), ("lesion", "num_shuffles"), ("lesion", "joint"),
                           ("lesion", "conditional"), ("specialisation", "num_shuffles")):  # fmt: skip
        config[section][field] = min(config[section][field], FEW_SHUFFLES)
    if any(word in config["data"]["name"] for word in ("mnist", "halves", "stacked")):
        request.getfixturevalue("real_data_dir")
    if config["model"]["name"] in ("cnn", "vgg"):
        config["data"]["num_train"] = FEW_IMAGES
    config["data"]["dir"] = str(request.getfixturevalue("data_dir"))
    workdir = create_workdir(tmp_path / name, from_dict(config), "a command")
    train_stage(workdir)
    cluster_stage(workdir)
    lesion_stage(workdir)
    specialise_stage(workdir)
    if name in REPORTED:
        assert write_report(workdir.path).stat().st_size > 10_000
        assert list((workdir.path / "figures").glob("*.png"))
    phases = workdir.config.phases
    metrics = read_csv(workdir.path / "metrics.csv")
    epochs = [("init", 0), *((phase, epoch) for phase in phases[1:] for epoch in (1, 2))]
    assert [(row["phase"], row["epoch"]) for row in metrics if row["seed"] == 1] == epochs
    for seed in (0, 1) if "pruned" in phases else ():
        arrays = read_arrays(workdir.path, "weights/pruned.npz", f"seed_{seed}/")
        for array in (array for key, array in arrays.items() if key.endswith("kernel")):
            assert (array == 0).sum() == array.size - round(0.1 * array.size)
    rows = read_csv(workdir.path / "clusterability.csv")
    own = workdir.config.cluster
    asked = itertools.product(own.graphs, own.methods)
    tests = len(own.measures) * sum(fits(method_of(method), graph) for graph, method in asked)
    assert len(rows) == len([p for p in phases if p in own.phases]) * workdir.config.num_networks * tests
    for row in rows:
        least, most = ("bound", "observed") if row["measure"] == "ncut" else ("observed", "bound")
        # A toy network may fall into as many pieces as there are clusters.
        assert row[least] > 0 or (row["num_components"] >= 4 and row[least] == 0)
        assert row[least] <= row[most] * (1 + 1e-5) + 1e-6 < 4
        assert row["converged"]
    assert (workdir.path / "specialisation.csv").exists() == (name == "mnist_local")
    assert (workdir.path / "lesions.csv").exists() == (name not in WITHOUT_LESIONS)
    # Trained networks know their digits, where there is something to know and so little training shows it.
    last = [row["test_accuracy"] for row in metrics if row["phase"] == "unpruned" and row["epoch"] == 2]
    if name in ("mnist", "mnist_l1", "mnist_l2", "fashion_mnist", "halves_same", "cifar10"):
        assert min(last) > 0.25
    if name.startswith("random"):
        assert max(last) < 0.1 + 4 * np.sqrt(0.1 * 0.9 / NUM_TEST)
