"""A mixture of experts: what it computes against NumPy, its gates and graph, a run from training to lesions."""

import jax
import numpy as np
import pytest

from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models import MODELS, apply, apply_silenced, init_params, kernel_shapes
from modularity_jax.nets.models.experts import gate_probabilities
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.metric import nets

WIDTHS = (5, 6, 9, 3, 4)  # two hidden layers of three experts


def network(name, widths=WIDTHS):
    config = ModelConfig(widths, name)
    params = init_params(MODELS[name].module(config), widths[0], jax.random.key(0))
    rng = np.random.default_rng(1)
    return config, jax.tree.map(
        lambda leaf: np.asarray(leaf) + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), params
    )


def slow(params, x, silent, by_inputs):
    """Logits and gates, expert after expert."""
    outputs, scores = [], []
    for expert in range(3):
        own = x
        for layer in range(2):
            kernel, bias = (params[f"experts_{layer:02d}"][part][expert] for part in ("kernel", "bias"))
            own = np.where(silent[3 * layer + expert], 0, np.maximum(own @ kernel + bias, 0))
        outputs.append(own @ params["outputs"]["kernel"][expert] + params["outputs"]["bias"][expert])
        if not by_inputs:
            scores.append(own @ params["scores"]["kernel"][expert, :, 0] + params["scores"]["bias"][expert, 0])
    gates = x[:, -3:] if by_inputs else np.exp(scores).T / np.exp(scores).sum(axis=0)[:, None]
    return sum(gates[:, [expert]] * outputs[expert] for expert in range(3)), gates


@pytest.mark.parametrize("name", ["experts", "routed_experts"])
def test_what_it_computes(name):
    config, params = network(name)
    x = np.random.default_rng(2).normal(size=(7, 5)).astype(np.float32)
    model = MODELS[name].module(config)
    whole = [np.zeros(width, bool) for width in (2,) * 3 + (3,) * 3]
    logits, gates = slow(params, x, whole, name == "routed_experts")
    np.testing.assert_allclose(apply(model, params, x), logits, atol=1e-5)
    np.testing.assert_allclose(gate_probabilities(model, params, x), gates, atol=1e-6)
    some = [np.arange(units.size) == index % 2 for index, units in enumerate(whole)]
    logits, _ = slow(params, x, some, name == "routed_experts")
    np.testing.assert_allclose(apply_silenced(config)(params, x, tuple(some)), logits, atol=1e-5)


def test_an_expert_starts_as_a_network_of_its_size():
    """Glorot's bound is that of one expert's layer, not of all side by side."""
    config = ModelConfig((5, 600, 3, 4), "experts")
    kernel = init_params(MODELS["experts"].module(config), 5, jax.random.key(0))["experts_00"]["kernel"]
    assert kernel.shape == (3, 5, 200)
    assert np.sqrt(6 / 205) * 0.99 < abs(kernel).max() < np.sqrt(6 / 205)


def test_experts_are_groups_of_the_graph():
    config, params = network("experts")
    graph = MODELS["experts"].graph(params)
    layers = [f"expert {expert}, layer {layer}" for layer in (1, 2) for expert in range(3)]
    assert graph.wiring.names == ("inputs", *layers, "classes")
    assert graph.wiring.widths == (5, 2, 2, 2, 3, 3, 3, 4)
    want = np.zeros((24, 24))
    for expert in range(3):
        first, second = slice(5 + 2 * expert, 7 + 2 * expert), slice(11 + 3 * expert, 14 + 3 * expert)
        want[:5, first] = params["experts_00"]["kernel"][expert]
        want[first, second] = params["experts_01"]["kernel"][expert]
        want[second, 20:] = params["outputs"]["kernel"][expert]
    np.testing.assert_allclose(nets.dense(graph), abs(want + want.T), rtol=1e-6)
    assert kernel_shapes(config) == [(3, 5, 2), (3, 2, 3), (3, 3, 4), (3, 3, 1)]  # the scores' are pruned with the rest


def test_a_run_from_training_to_lesions(tmp_path):
    settings = {
        "data": {"name": "digits", "num_train": 300},
        "model": {"name": "experts", "widths": [64, 24, 3, 10]},
        "train": {"num_seeds": 2, "epochs": 6, "batch_size": 32, "learning_rate": 0.02},
        "prune": {"epochs": 2},
        "cluster": {"measures": ["modularity"], "num_clusters": [3], "methods": ["layer"], "num_shuffles": 19},
        "lesion": {"num_clusters": 3, "num_shuffles": 4, "joint": 0, "conditional": 0},
    }
    workdir = create_workdir(tmp_path / "experts", from_dict(settings), "a command")
    train_stage(workdir)
    cluster_stage(workdir)
    lesion_stage(workdir)
    last = [row for row in read_csv(workdir.path / "metrics.csv") if (row["phase"], row["epoch"]) == ("unpruned", 6)]
    assert min(row["test_accuracy"] for row in last) > 0.5
    for name, array in read_arrays(workdir.path, "weights/pruned.npz").items():
        if name.endswith("kernel"):  # of all experts together
            assert (array == 0).sum() == array.size - round(0.1 * array.size)
    assert len(read_csv(workdir.path / "clusterability.csv")) == 6  # two seeds, three phases
    assert {row["layer"] for row in read_csv(workdir.path / "lesions.csv")} <= {1, 2, 3}


@pytest.mark.parametrize(
    ("name", "widths", "message"),
    [
        ("experts", (5, 6, 4), r"of experts must be inputs, hidden units .* and classes, got \(5, 6, 4\)"),
        ("experts", (5, 6, 1, 4), r"experts \(2 or more\) and classes, got \(5, 6, 1, 4\)"),
        ("experts", (5, 6, 8, 3, 4), r"share equally, .*, got \(5, 6, 8, 3, 4\)"),
        ("routed_experts", (2, 6, 3, 4), r"of routed_experts must begin with an input for each expert, got \(2, 6, 3"),
        ("routed_experts", (7, 4), r"of routed_experts must be inputs, .* got \(7, 4\)"),
    ],
)
def test_widths_that_are_no_experts(name, widths, message):
    with pytest.raises(ValueError, match=message):
        MODELS[name].module(ModelConfig(widths, name))
