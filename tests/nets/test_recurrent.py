"""Recurrent networks: silent units at every step against a loop in NumPy, exact wiring, a run to a report."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.graphs import graph_by_name
from modularity_jax.nets.models import MODELS, apply, apply_silenced, init_params
from modularity_jax.nets.models.recurrent import KERNELS
from modularity_jax.report import write_report
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.tables import read_arrays, read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.metric import nets

NAMES = ("rnn", "lstm")
WIDTHS = (36, 7, 4)


def network(name):
    config = ModelConfig(widths=WIDTHS, name=name)
    params = init_params(MODELS[name].module(config), 36, jax.random.key(0))
    rng = np.random.default_rng(1)
    return config, jax.tree.map(
        lambda leaf: np.asarray(leaf) + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), params
    )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow(name, params, x, silent):
    """Logits step by step; x [n, 6, 6]."""
    cell, state, memory = params["cell"], np.zeros((len(x), 7)), np.zeros((len(x), 7))
    for t in range(x.shape[1]):
        if name == "rnn":
            state = np.tanh(x[:, t] @ cell["i"]["kernel"] + cell["i"]["bias"] + state @ cell["h"]["kernel"])
        else:
            gates = {
                gate: x[:, t] @ cell[f"i{gate}"]["kernel"]
                + state @ cell[f"h{gate}"]["kernel"]
                + cell[f"h{gate}"]["bias"]
                for gate in "ifgo"
            }
            memory = sigmoid(gates["f"]) * memory + sigmoid(gates["i"]) * np.tanh(gates["g"])
            state = sigmoid(gates["o"]) * np.tanh(memory)
        state = np.where(silent, 0, state)
    return state @ params["readout"]["kernel"] + params["readout"]["bias"]


@pytest.mark.parametrize("name", NAMES)
def test_silent_units_are_so_at_every_step(name):
    config, params = network(name)
    x = np.random.default_rng(2).normal(size=(5, 36)).astype(np.float32)
    for silent in (np.zeros(7, bool), np.arange(7) % 3 == 1):
        want = slow(name, params, x.reshape(5, 6, 6), silent)
        np.testing.assert_allclose(apply_silenced(config)(params, x, (silent,)), want, atol=1e-5)
    np.testing.assert_allclose(
        apply(MODELS[name].module(config), params, x),
        slow(name, params, x.reshape(5, 6, 6), np.zeros(7, bool)),
        atol=1e-5,
    )


@pytest.mark.parametrize("name", NAMES)
def test_wiring_adds_up_gates_and_directions(name):
    _, params = network(name)
    graph = MODELS[name].graph(params)
    inputs, hidden = KERNELS[nn.SimpleCell if name == "rnn" else nn.OptimizedLSTMCell]
    into, within = (sum(abs(params["cell"][gate]["kernel"]) for gate in names) for names in (inputs, hidden))
    want = np.zeros((17, 17))
    want[:6, 6:13] = into
    want[6:13, 6:13] = within
    want[6:13, 13:] = abs(params["readout"]["kernel"])
    np.testing.assert_allclose(nets.dense(graph), want + want.T, rtol=1e-6)
    assert graph.groups.names == ("inputs", "hidden", "classes")


def test_widths_that_are_no_recurrent_network():
    with pytest.raises(ValueError, match=r"model.widths of a lstm must be .*, got \(36, 7, 7, 4\)"):
        MODELS["lstm"].module(ModelConfig(widths=(36, 7, 7, 4), name="lstm"))


def test_normalized_graphs_are_refused():
    with pytest.raises(
        ValueError, match=r"cluster.graphs must not have normalized_l2 of an architecture that is no chain"
    ):
        graph_by_name("normalized_l2", MODELS["rnn"], network("rnn")[1])


def test_a_run_from_training_to_lesions(tmp_path):
    settings = {
        "data": {"name": "digits", "num_train": 300},
        "model": {"name": "lstm", "widths": [64, 12, 10]},
        "train": {"num_seeds": 2, "epochs": 8, "batch_size": 32, "learning_rate": 0.02},
        "prune": {"epochs": 2},
        "cluster": {"measures": ["ncut", "modularity"], "num_clusters": [3], "methods": ["layer"], "num_shuffles": 19},
        "lesion": {"num_clusters": 3, "num_shuffles": 4, "joint": 3, "conditional": 0},
    }
    workdir = create_workdir(tmp_path / "rnn", from_dict(settings), "a command")
    train_stage(workdir)
    cluster_stage(workdir)
    lesion_stage(workdir)
    last = [row for row in read_csv(workdir.path / "metrics.csv") if (row["phase"], row["epoch"]) == ("unpruned", 8)]
    assert min(row["test_accuracy"] for row in last) > 0.5
    for name, array in read_arrays(workdir.path, "weights/pruned.npz").items():
        if name.endswith("kernel"):
            assert (array == 0).sum() == array.size - round(0.1 * array.size)
    assert {row["measure"] for row in read_csv(workdir.path / "clusterability.csv")} == {"ncut", "modularity"}
    assert {row["layer"] for row in read_csv(workdir.path / "lesions.csv")} == {1}
    assert write_report(workdir.path).stat().st_size > 10_000
