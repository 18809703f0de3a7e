"""The launcher of masks: its networks, the known answers of double addition, and a toy run from end to end."""

import dataclasses
import json
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import modularity_jax as mj
from experiments.known_modules.heads import IMPOSSIBLE, SHOWN, answers
from experiments.known_modules.networks import side_by_side, trained
from experiments.known_modules.roles import activations
from experiments.sub_tasks.rows import TABLES, task_rows
from experiments.sub_tasks.run import run
from experiments.sub_tasks.tables import markdown
from experiments.sub_tasks.tasks import FULL, QUICK, TASKS
from experiments.sub_tasks.training import num_pieces, train, with_all
from modularity_jax.data import digits
from modularity_jax.data.dataset import Split
from modularity_jax.data.known import task
from modularity_jax.data.planted import modules
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.models import architecture_of
from modularity_jax.probes.masks import cross_entropy
from modularity_jax.runs import signals
from modularity_jax.runs.tables import read_csv

SIZES = dataclasses.replace(QUICK, num_seeds=1, steps=0.01, tasks=("double addition",))


def test_what_is_not_shown_is_answered_by_0():
    known = TASKS["double addition"].load()
    model = architecture_of(ModelConfig((40, 6, 20, 100), SHOWN[1])).module(ModelConfig((40, 6, 20, 100), SHOWN[1]))
    x = known.data.x_test
    params = model.init(jax.random.key(0), x)
    logits = np.asarray(model.apply(params, x))
    outputs = np.asarray(model.apply(params, x, method=lambda self, x: self.layers(x)))
    said = answers((10, 10))
    for pair in (0, 1):
        own, others = known.groups == pair, said[:, 1 - pair] > 0
        assert (logits[np.ix_(own, others)] < IMPOSSIBLE / 2).all()
        np.testing.assert_allclose(logits[np.ix_(own, ~others)], outputs[own, 10 * pair : 10 * pair + 10], rtol=1e-6)


def test_all_samples_are_a_sub_task_too():
    split = Split(np.arange(12.0).reshape(2, 3, 2), np.arange(6).reshape(2, 3))
    joined = with_all(split)
    assert joined.x.shape == (3, 6, 2)
    np.testing.assert_array_equal(joined.y, [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5], [0, 1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(joined.x[2], split.x.reshape(6, 2))


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The folder and the tables of a toy run."""
    root = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, "double addition", TASKS["double addition"]._replace(hidden=(16, 16)))
        yield root, run(root, SIZES)


def test_a_toy_run(toy):
    root, tables = toy
    lengths = {"accuracy": 4 * 2, "overlap": 3 * 3, "units": 1}
    assert {name: len(read_csv(root / f"{name}.csv")) for name in TABLES} == lengths
    assert {name: len(tables[name]) for name in TABLES} == lengths
    assert all((root / "figures" / f"{name}.png").stat().st_size > 10_000 for name in ("accuracy", "overlap"))
    keys = tables["overlap"]["first"] == tables["overlap"]["second"]
    assert keys.sum() == 6
    assert tables["overlap"]["iou"].between(0, 1).all()
    lines = markdown(tables).splitlines()
    assert [line.split(" | ")[0] for line in lines if "double" in line] == ["| double addition"] * 5
    assert len({line.count("|") for line in lines[:3]}) == 1


def test_what_is_finished_is_not_done_again(toy, tmp_path):
    root = shutil.copytree(toy[0], tmp_path / "again")
    piece = root / "pieces" / "double_addition.json"
    content = json.loads(piece.read_text())
    content["rows"][0]["kept"] = 7.0
    piece.write_text(json.dumps(content))
    assert run(root, SIZES)["accuracy"]["kept"].max() == 7


def test_a_wish_to_stop_ends_it_between_two_steps(tmp_path):
    signals.want(signal.SIGTERM)
    with pytest.raises(signals.StoppedError):
        run(tmp_path, SIZES)
    assert not list(tmp_path.glob("pieces/*"))


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in TASKS if name not in SIZES.tasks])
def test_networks_and_masks_of_each_task(name):
    task = TASKS[name]._replace(num_steps=100)
    said = []
    rows = list(task_rows(task, train(task, dataclasses.replace(SIZES, steps=QUICK.steps), said.append)))
    assert {row["table"] for row in rows} == set(TABLES)
    assert len(said) == num_pieces(task, QUICK)


@pytest.mark.long
def test_masks_of_double_addition_specialise():
    """At full size, of two seeds: 95% at least with a pair's mask, chance without it; .1 is chance of ten answers."""
    task, sizes = TASKS["double addition"], dataclasses.replace(FULL, num_seeds=2)
    rows = list(task_rows(task, train(task, sizes, lambda _: None)))
    for row in rows:
        if row["table"] == "accuracy" and row["mask"] in task.names:
            own = row["mask"] == row["sub_task"]
            assert (row["kept"] if own else row["inverse"]) >= 0.95
            assert (row["inverse"] if own else row["kept"]) < 0.1 + 4 * np.sqrt(0.1 * 0.9 / 100)
    overlap = [row for row in rows if row["table"] == "overlap"]
    for row in overlap:
        if row["first"] == row["second"]:
            assert row["iou"] > 0.9 > row["chance_iou"]
        elif row["layer"] != 2:
            assert row["iou"] == 0  # inputs and outputs are a pair's own
        else:
            assert row["chance_iou"] < row["iou"] < 0.6


@pytest.mark.long
def test_two_trained_networks_side_by_side_are_told_apart():
    """Digits; of weights that move no sample's loss, from dead pixels or units that never fire, nothing can be told."""
    source = digits.load()
    known = task(
        (source.x_train, source.y_train[:, None]), (source.x_test, source.y_test[:, None]), (10,), np.full(64, -1)
    )
    how = TrainConfig(num_seeds=2, epochs=20, learning_rate=3e-3), PruneConfig(0)
    params = [tuple(part[0] for part in layer) for layer in side_by_side(trained(known, (64, 64), *how), 0.0).layers]

    def apply(params, x):
        return activations(params, x)[-1]

    def loss(logits, y):
        own = jnp.take_along_axis(logits.reshape(-1, 2, 10), (y // 10)[:, None, None], axis=1)[:, 0]
        return cross_entropy(own, y % 10)

    images, labels = source.x_train, source.y_train
    x, y = np.concatenate([images, images[::-1]], axis=1), np.stack([labels, 10 + labels[::-1]])
    logits = mj.train_masks(
        apply, params, np.stack([x, x]), y, jax.random.key(1), alpha=1e-4, num_steps=1_000, loss=loss
    )
    moves = jax.jit(jax.vmap(jax.grad(lambda *own: loss(apply(own[0], own[1][None]), own[2][None])[0]), (None, 0, 0)))
    for network in (0, 1):
        counts, values = [], []
        for (kernel, _), (leaf, _), (moved, _) in zip(params, logits, moves(params, x, y[network]), strict=True):
            own = np.outer(*(modules([size], 2) == network for size in kernel.shape))
            told = ~own | (np.asarray(moved) != 0).any(axis=0)
            counts.append(own[told])
            values.append(np.asarray(leaf[network])[told])
        assert roc_auc_score(np.concatenate(counts), np.concatenate(values)) > 0.99
