"""The small convolutional network: its graph, its training beside others, a run from training to lesions."""

import jax
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.graphs import graph_by_name
from modularity_jax.nets.models import MODELS, apply, cnn, init_params, kernel_shapes
from modularity_jax.report import write_report
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir

STUDY = ModelConfig(widths=(784, 64, 64, 64, 128, 10), name="cnn")


def test_the_studys_network():
    """Of 2103.03386: two convolutions, a pool, one more, a pool, 128 units."""
    assert kernel_shapes(STUDY) == [(3, 3, 1, 64), (3, 3, 64, 64), (3, 3, 64, 64), (7 * 7 * 64, 128), (128, 10)]


def test_a_network_of_stacked_images_has_a_kernel_for_each():
    """Logits change alike whether a channel's pixels are 0 or the kernel's rows of that channel are."""
    config = ModelConfig(widths=(1568, 3, 4, 4, 8, 10), name="cnn")
    model = cnn.cnn(config)
    params = init_params(model, 1568, jax.random.key(0))
    assert kernel_shapes(config)[0] == (3, 3, 2, 3)
    x = np.random.default_rng(0).random((5, 28, 28, 2), dtype=np.float32)
    dark, deaf = x * np.array([1, 0], np.float32), jax.tree.map(np.array, params)
    deaf["layer_00"]["kernel"][:, :, 1] = 0
    logits = [apply(model, own, images.reshape(5, -1)) for own, images in ((params, x), (params, dark), (deaf, x))]
    np.testing.assert_allclose(logits[1], logits[2], atol=1e-6)
    assert abs(logits[0] - logits[1]).max() > 1e-3


@pytest.mark.parametrize("shape", [(3, 3, 2, 4), (2, 3, 2, 4)])
def test_a_convolution_by_products_is_jaxs(shape):
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(3, 7, 6, 2)).astype(np.float32), rng.normal(size=shape).astype(np.float32)
    want = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(cnn.by_products(x, kernel), want, atol=1e-5)


def test_n_cut_at_initialisation():
    """10.92 +- .05 over 20 networks at k = 12 (2103.03386); with another k-means 10.895."""
    model = cnn.cnn(STUDY)
    found = [
        mj.cluster(
            cnn.published_graph(init_params(model, 784, jax.random.key(seed))), jax.random.key(seed), num_clusters=12,
            refine=False, selection="inertia",
        ).ncut
        for seed in range(20)
    ]  # fmt: skip
    assert abs(np.mean(found) - 10.92) < 0.05


def test_graphs_of_a_cnn():
    config = ModelConfig(widths=(64, 3, 4, 5, 6, 10), name="cnn")
    params = init_params(cnn.cnn(config), 64, jax.random.key(0))
    graph = graph_by_name("weights", MODELS["cnn"], params)
    assert graph.widths == (1, 3, 4, 5, 6, 10)
    dense = np.asarray(params["layer_03"]["kernel"])  # 2 x 2 positions of 5 channels
    np.testing.assert_allclose(graph.affinities[3], abs(dense).reshape(4, 5, 6).sum(axis=0), rtol=1e-6)
    assert graph_by_name("convolutions", MODELS["cnn"], params).widths == (3, 4, 5)
    normalized = graph_by_name("normalized_l2", MODELS["cnn"], params)
    assert normalized.widths == graph.widths
    assert abs(normalized.degrees() - graph.degrees()).max() > 0.1


def test_normalized_networks_compute_the_same():
    config = ModelConfig(widths=(64, 3, 4, 5, 6, 10), name="cnn")
    model = cnn.cnn(config)
    params = init_params(model, 64, jax.random.key(1))
    names = sorted(params)
    made = mj.normalize(*([params[name][part] for name in names] for part in ("kernel", "bias")))
    other = {name: {"kernel": k, "bias": b} for name, k, b in zip(names, *made, strict=True)}
    x = np.random.default_rng(2).normal(size=(9, 64)).astype(np.float32)
    np.testing.assert_allclose(apply(model, other, x), apply(model, params, x), atol=1e-5)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        (
            (784, 8, 10),
            r"model.widths of a cnn must be values of an image, channels, units and classes, got \(784, 8, 10\)",
        ),
        ((17, 8, 8, 10), "model.widths must begin with the values of a square image of 1 to 3 channels, got 17"),
        ((64, 4, 4, 4, 4, 4, 8, 10), "model.widths must have pools for 8 x 8 pixels at most, got 4 of them"),
    ],
)
def test_widths_that_are_no_cnn(widths, message):
    with pytest.raises(ValueError, match=message):
        cnn.cnn(ModelConfig(widths=widths, name="cnn"))


def test_image_shapes():
    assert [cnn.image_shape(size) for size in (784, 3072, 1568)] == [(28, 28, 1), (32, 32, 3), (28, 28, 2)]


def test_a_run_from_training_to_lesions(tmp_path):
    """All kernels pruned, one after another, channels silenced, a report."""
    settings = {
        "data": {"name": "digits", "num_train": 300},
        "model": {"name": "cnn", "widths": [64, 4, 4, 4, 8, 10]},
        "train": {"num_seeds": 2, "epochs": 8, "batch_size": 32, "learning_rate": 0.01},
        "prune": {"epochs": 2},
        "cluster": {
            "graphs": ["weights", "normalized_l2"],
            "num_clusters": [3],
            "methods": ["layer"],
            "num_shuffles": 19,
        },
        "lesion": {"num_clusters": 3, "num_shuffles": 4, "joint": 3, "conditional": 0},
    }
    workdir = create_workdir(tmp_path / "cnn", from_dict(settings), "a command")
    train_stage(workdir)
    cluster_stage(workdir)
    lesion_stage(workdir)
    last = [row for row in read_csv(workdir.path / "metrics.csv") if (row["phase"], row["epoch"]) == ("unpruned", 8)]
    assert min(row["test_accuracy"] for row in last) > 0.5
    for name, array in read_arrays(workdir.path, "weights/pruned.npz").items():
        if name.endswith("kernel"):
            assert (array == 0).sum() == array.size - round(0.1 * array.size)
    rows = read_csv(workdir.path / "clusterability.csv")
    assert {row["graph"] for row in rows} == {"weights", "normalized_l2"}
    lesions = read_csv(workdir.path / "lesions.csv")
    assert {row["layer"] for row in lesions} == {1, 2, 3, 4}
    assert {row["kind"] for row in read_csv(workdir.path / "double_lesions.csv")} == {"joint"}
    assert write_report(workdir.path).stat().st_size > 10_000
