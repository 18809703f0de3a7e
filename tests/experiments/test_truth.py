"""The bench of known modules: its parts against references, known answers, and a toy run from end to end."""

import json
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.known_modules import roles
from experiments.known_modules.fits import fit, with_controls
from experiments.known_modules.functional import PROBES, Given, ablation, inputs, masks, sub_tasks, unanswered
from experiments.known_modules.heads import answers, readout
from experiments.known_modules.measures import CONTROLS, WAYS
from experiments.known_modules.networks import Networks, padded
from experiments.known_modules.run import run
from experiments.known_modules.tables import crossing, markdown
from experiments.known_modules.tasks import QUICK, plant
from modularity_jax.data.known import task
from modularity_jax.metric.agreement import adjusted_rand
from modularity_jax.runs import signals
from modularity_jax.runs.tables import read_csv
from tests.metric import nets


def test_the_loss_of_all_answers_is_the_sum_of_each_ones():
    shape = (10, 2, 3)
    outputs = jax.random.normal(jax.random.key(0), (60, 10 + 1 + 3))
    said = answers(shape)
    ten, yes, three = jnp.split(outputs, [10, 11], axis=1)
    each = (ten, jnp.pad(yes, ((0, 0), (1, 0))), three)
    loss = optax.softmax_cross_entropy_with_integer_labels
    expected = sum(loss(own, said[:, question]) for question, own in enumerate(each))
    np.testing.assert_allclose(loss(outputs @ readout(shape), np.arange(60)), expected, rtol=1e-5)


def two_questions(outputs):
    """Is x_0 above 0, is x_1? Or of one output whether their sum is."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    said = np.stack([x[:, 0] > 0, x[:, 1] > 0], axis=1) if outputs == 2 else (x.sum(axis=1) > 0)[:, None]
    return task((x, said.astype(int)), (x, said.astype(int)), (2,) * outputs, np.arange(2))


@pytest.mark.parametrize("outputs", [2, 1])
def test_what_a_hidden_unit_works_for(outputs):
    """Units 0 and 1 see x_0, 2 and 3 see x_1, 4 sees both, 5 is not listened to, 6 sees nothing."""
    sees = np.array([[1, -1, 0, 0, 1, 1, 0], [0, 0, 1, -1, 1, 0, 0]], np.float32)
    says = np.array([[3, -3, 0, 0, 0.5, 0, 1], [0, 0, 3, -3, 0.5, 0, 1]], np.float32).T
    says = says if outputs == 2 else says.sum(axis=1, keepdims=True)
    layers = [(w[None], jnp.zeros((1, w.shape[1]))) for w in map(jnp.asarray, (sees, says))]
    found = roles.hidden_labels(two_questions(outputs), layers)[0]
    np.testing.assert_array_equal(found[[0, 1, 2, 3, 4, 6]], [0, 0, 1, 1, -1, -1])
    assert found[5] == (-1 if outputs == 2 else 0)  # silencing it changes nothing, and yet it depends on x_0


def test_the_loss_of_a_question_is_that_of_its_own_answers():
    shape = (10, 2, 3)
    outputs = jax.random.normal(jax.random.key(0), (60, 10 + 1 + 3))
    x, y = np.zeros((60, 4)), np.random.default_rng(0).integers(0, shape, (60, 3))
    found = sub_tasks(task((x, y), (x, y), shape, np.full(4, -1)))
    assert found.x.shape == (3, 60, 4)
    ten, yes, three = jnp.split(outputs, [10, 11], axis=1)
    loss = optax.softmax_cross_entropy_with_integer_labels
    for own, right, said in zip((ten, jnp.pad(yes, ((0, 0), (1, 0))), three), found.y, y.T, strict=True):
        np.testing.assert_allclose(unanswered(outputs @ readout(shape), right), loss(own, said), rtol=1e-5)


def test_sub_tasks_are_groups_where_there_are_some_and_none_of_a_single_question():
    known = two_questions(1)
    assert sub_tasks(known) is None
    groups = np.arange(200) % 2
    found = sub_tasks(known._replace(groups=groups, train_groups=groups))
    np.testing.assert_array_equal(found.x, [known.data.x_train[::2], known.data.x_train[1::2]])
    np.testing.assert_array_equal(found.y.argmax(axis=2), [known.data.y_train[::2], known.data.y_train[1::2]])
    assert (found.y.sum(axis=2) == 1).all()


def test_other_means_tell_modules_that_are_apart():
    """Units 0 and 1 answer whether x_0 is above 0, units 2 and 3 whether x_1 is; three units are filled up."""
    sees = np.zeros((4, 4), np.float32)
    sees[:2] = [[1, -1, 0, 0], [0, 0, 1, -1]]
    says = np.zeros((4, 3), np.float32)
    says[:, :2] = np.array([[9, -9, 0, 0], [0, 0, 9, -9]]).T
    says[0, 1] = 1  # a little between them, which does no good
    layers = tuple((w[None], np.zeros((1, w.shape[1]), np.float32)) for w in (sees, says))
    truth = np.array([[0, 1, -1, -1, 0, 0, 1, 1, 0, 1, -1]])
    own = Given(Networks(layers, np.zeros((1, 2, 4)), truth, known=two_questions(2)), truth, 2, 19)
    np.testing.assert_array_equal(masks(own).labels, truth)
    found = ablation(own)
    assert found.value == 1
    assert found.chance < 0.9
    assert inputs(own).value == 0 < inputs(own).chance
    mixed = own._replace(labels=np.array([[0, 1, -1, -1, 0, 1, 0, 1, 0, 1, -1]]))
    assert ablation(mixed).value < 0.9
    assert inputs(mixed).value == 1


def test_what_comes_near_to_another_part_dominates_nothing():
    np.testing.assert_array_equal(roles.dominant(np.array([[2, 1, 0.9], [1, 1.9, 1], [-1, -2, -3]])), [0, -1, -1])


def test_depth_hides_planted_modules_from_the_cut_but_not_from_the_layered_modularity():
    networks = plant(4, 0.12, (32,) * 6, 2)
    layer = np.repeat(np.arange(6), 32)
    cut, layered = (
        fit(with_controls(networks, "layer", 0), way=way, num_clusters=2).labels for way in ("n-cut", "layered Q")
    )
    assert min(adjusted_rand(*pair) for pair in zip(layered, networks.truth, strict=True)) > 0.97
    assert max(adjusted_rand(*pair) for pair in zip(cut, networks.truth, strict=True)) < 0.1
    assert min(adjusted_rand(own, layer) for own in cut) > 0.25
    assert crossing(5, 2) == pytest.approx(0.0955, abs=5e-5)
    assert crossing(3, 2) == pytest.approx(0.25)


def test_units_without_weights_change_no_modules():
    networks = plant(2, 0.1, (12,) * 4, 2)
    larger = padded(networks, (32,) * 4)
    own = np.split(larger.truth, 4, axis=1)
    np.testing.assert_array_equal(np.concatenate([part[:, :12] for part in own], axis=1), networks.truth)
    assert all((part[:, 12:] == -1).all() for part in own)
    items = with_controls(larger, "layer", 3)
    found = fit(items, way="layered Q", num_clusters=2)
    for labels, truth in zip(found.labels, larger.truth, strict=True):
        np.testing.assert_array_equal(labels >= 0, truth >= 0)
        assert nets.same_partition(labels, truth)
    np.testing.assert_allclose(found.p_values, 0.25)
    for before, (after, _) in zip(larger.layers, items.layers, strict=True):
        kernels = after.reshape(2, 4, 32, 32)
        np.testing.assert_array_equal(kernels[:, 0], before[0])
        assert (kernels[:, 1:] != kernels[:, :1]).any(axis=(2, 3)).all()
        for kept in (np.abs(kernels), np.sign(kernels)):  # but not together
            kept = np.sort(kept.reshape(2, 4, -1))
            np.testing.assert_array_equal(kept, np.repeat(kept[:, :1], 4, axis=1))


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The folder and the rows of a toy run."""
    root = tmp_path_factory.mktemp("toy")
    return root, run(root, QUICK)


def test_a_toy_run(toy):
    root, rows = toy
    by_graphs = [row for row in rows if row["control"]]
    assert [row["task"] for row in by_graphs] == [name for name in QUICK.tasks for _ in WAYS for _ in CONTROLS]
    applies = {"planted, 3 kernels": ["robustness", "shared inputs"], "retina": [*PROBES]}
    applies["no modules"] = applies["planted, 3 kernels"]
    others = [(row["task"], row["measure"]) for row in rows if not row["control"]]
    assert others == [(task, name) for task in QUICK.tasks for name in applies[task]]
    assert read_csv(root / "truth.csv") == rows
    assert len(read_csv(root / "curves.csv")) == 4 * len(QUICK.shares)
    assert (root / "figures" / "curves.png").stat().st_size > 10_000
    found = {(row["task"], row["measure"]): row for row in rows}
    assert found["planted, 3 kernels", "layered Q"]["ari"] > 0.97
    assert found["planted, 3 kernels", "n-cut"]["ari_layer"] > 0.25
    assert abs(found["planted, 3 kernels", "n-cut"]["ari"]) < 0.1
    assert found["no modules", "layered Q"]["ari"] is None
    assert found["planted, 3 kernels", "robustness"]["value"] > 0.4 > 0.2 > found["no modules", "robustness"]["value"]
    assert all(0.25 <= row["p_value"] <= 1 for row in by_graphs)
    lines = markdown(rows).splitlines()
    assert lines[0] == f"| task | {' | '.join(WAYS)} |"
    assert lines[2].startswith("| planted, 3 kernels | ")
    assert len(lines) == 4 + 1 + 2 + 3 * len(CONTROLS) + 1 + 2 + 3
    assert lines[-3].startswith("| planted, 3 kernels |  | .")  # without masks


def test_what_is_finished_is_not_done_again(toy, tmp_path):
    root = shutil.copytree(toy[0], tmp_path / "again")
    piece = root / "pieces" / "no_modules.json"
    content = json.loads(piece.read_text())
    content["rows"][0]["significant"] = 7.0
    piece.write_text(json.dumps(content))
    assert 7 in [row["significant"] for row in run(root, QUICK)]
    for damaged in ("{", json.dumps(content | {"settings": {}})):  # cut off, and of other sizes
        piece.write_text(damaged)
        assert strip(run(root, QUICK)) == strip(toy[1])


def strip(rows):
    """The rows without what differs from run to run."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_wish_to_stop_ends_it_between_two_steps(tmp_path):
    signals.want(signal.SIGTERM)
    with pytest.raises(signals.StoppedError):  # after the networks of the first task
        run(tmp_path, QUICK)
    assert not list(tmp_path.glob("pieces/*"))
