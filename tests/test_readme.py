"""The examples of the README and of the pages of docs/ run as written."""

import pathlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict

import modularity_jax as mj
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.models import architecture_of, init_params
from modularity_jax.nets.models.mlp import MLP
from tests.metric import nets
from tests.probes import fitted, slow

REPOSITORY = pathlib.Path(__file__).parents[1]


def example(page, heading=""):
    """The one Python example of a page, or of a section of it."""
    section = (REPOSITORY / page).read_text().partition(heading)[2] if heading else (REPOSITORY / page).read_text()
    (text,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0] if heading else section, flags=re.DOTALL)
    return text


def test_the_metric_example_runs_and_prints_two_lines(capsys):
    exec(compile(example("README.md"), "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("n-cut ")
    assert "p = " in lines[1]


def test_the_example_of_local_partitionings_runs(capsys):
    names = {"mj": mj, "graph": nets.random_net(0, (12, 40, 30, 4)), "key": jax.random.key(0)}
    exec(compile(example("docs/api.md", "\n## Local partitionings\n"), "docs/api.md", "exec"), names)
    assert capsys.readouterr().out.startswith("local and global labels agree: ")
    assert names["found"].num_clusters.tolist() == names["counts"]


def test_the_robustness_example_runs(capsys):
    names = {"mj": mj, "graph": nets.random_net(0, (16, 16, 16)), "key": jax.random.key(0)}
    exec(compile(example("docs/api.md", "\n## Robustness\n"), "docs/api.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[-2].startswith("100% rewired")


def test_the_lesion_example_runs(capsys):
    params = slow.random_params(0, (12, 40, 30, 4))
    x, y = np.random.default_rng(0).normal(size=(50, 12)), np.arange(50) % 4
    names = {"mj": mj, "params": params, "x": x, "y": y, "key": jax.random.key(0)}
    exec(compile(example("docs/api.md", "\n## Lesions\n"), "docs/api.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names["found"].diff) > 2
    assert all(line.startswith("layer ") and "p = " in line for line in lines)


def test_the_example_of_what_modules_are_for_runs(capsys):
    params, x, y, hidden = fitted.without_modules((12, 40, 30, 4), 120)
    names = {"mj": mj, "params": params, "x": x, "y": y, "key": jax.random.key(0), "num_classes": 4}
    names |= {"labels": slow.random_labels(0, (12, 40, 30, 4), 10), "h_1": hidden[0], "h_2": hidden[1]}
    exec(compile(example("docs/api.md", "\n## What modules are for\n"), "docs/api.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["importance", "coherence", "input coherence"]
    assert all("p = " in line for line in lines)


def test_the_example_of_lesions_of_any_network_runs():
    rng = np.random.default_rng(0)
    shapes = {"in": (12, 20), "mid": (20, 20), "out": (20, 4)}
    names = {"mj": mj, "jax": jax, "jnp": jnp, "key": jax.random.key(0), "y": np.arange(50) % 4}
    names["params"] = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    names["x"] = rng.normal(size=(50, 12)).astype(np.float32)
    exec(compile(example("docs/api.md", "\n## Lesions of any network\n"), "docs/api.md", "exec"), names)
    assert set(names["found"].submodules.layer) == {1, 2}


def test_the_example_of_ablation_runs(capsys):
    params = slow.random_params(0, (12, 40, 30, 4))
    x, y = np.random.default_rng(0).normal(size=(50, 12)), np.arange(50) % 4
    names = {"mj": mj, "params": params, "x": x, "y": y, "key": jax.random.key(0)}
    exec(compile(example("docs/api.md", "\n## Ablation of modules\n"), "docs/api.md", "exec"), names)
    assert capsys.readouterr().out.startswith("without ")


def test_the_example_of_routers_runs(capsys):
    rng = np.random.default_rng(0)
    names = {"mj": mj, "gates": rng.dirichlet(np.ones(3), 40), "tasks": np.arange(40) % 4, "key": jax.random.key(0)}
    exec(compile(example("docs/api.md", "\n## Routers\n"), "docs/api.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(mj.RoutingScores._fields)


def test_the_example_of_masks_runs(capsys):
    params = slow.random_params(0, (12, 20, 4))
    params = {"dense_0": params["layer_00"], "dense_1": {"kernel": params["layer_01"]["kernel"]}}
    rng = np.random.default_rng(0)
    names = {"mj": mj, "jax": jax, "key": jax.random.key(0), "params": params, "y": np.arange(100).reshape(2, 50) % 4}
    names["x"] = rng.normal(size=(2, 50, 12)).astype(np.float32)
    text = example("docs/api.md", "\n## Masks of sub-tasks\n").replace("3_000", "3")
    exec(compile(text, "docs/api.md", "exec"), names)
    assert "dense_1" in capsys.readouterr().out
    assert names["found"].kept.shape == (2, 2)
    assert names["labels"].shape == (36,)


def test_the_example_of_hidden_states_runs(capsys):
    rng = np.random.default_rng(0)
    names = {"mj": mj, "key": jax.random.key(0), "w_in": rng.normal(size=(3, 9)), "tasks": np.arange(30) % 2}
    names["states"] = rng.normal(size=(30, 4, 9)).astype(np.float32)
    exec(compile(example("docs/api.md", "\n## Modules of hidden states\n"), "docs/api.md", "exec"), names)
    assert capsys.readouterr().out.startswith("Q 0.")


def test_the_example_of_a_recurrent_network_runs(capsys, monkeypatch, tmp_path):
    """On an untrained network of a run's file, and few controls."""
    config = ModelConfig(name="lstm", widths=(64, 9, 10))
    params = flatten_dict(init_params(architecture_of(config).module(config), 64, jax.random.key(0)), sep="/")
    folder = tmp_path / "runs/sequence_rnn/weights"
    folder.mkdir(parents=True)
    np.savez(folder / "pruned.npz", **{f"seed_0/{name}": array for name, array in params.items()})
    monkeypatch.chdir(tmp_path)
    text = example("docs/recurrent.md", "\n## An example\n").replace("(64, 64, 10)", str(config.widths))
    text = text.replace("data.x_test, data.y_test", "data.x_test[:100], data.y_test[:100]")
    text = text.replace("num_clusters=4, ", "num_clusters=3, num_shuffles=5, ").replace(
        "num_clusters=4", "num_clusters=3"
    )
    exec(compile(text, "docs/recurrent.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["shifts", "trials"]
    assert sum(line.startswith("module ") for line in lines) >= 2
    assert len(lines) > 9


def test_the_example_of_planted_modules_finds_them():
    names = {}
    exec(compile(example("docs/recurrent.md", "\n## Planted modules\n"), "docs/recurrent.md", "exec"), names)
    assert mj.adjusted_rand(names["truth"], names["found"].labels) > 0.9


def test_the_wiring_example_runs(capsys):
    shapes = {
        "Conv_0": (3, 3, 1, 8),
        "Conv_1": (3, 3, 8, 8),
        "Conv_2": (3, 3, 8, 8),
        "Dense_0": (4 * 8, 12),
        "Dense_1": (12, 10),
    }
    rng = np.random.default_rng(0)
    params = {name: {"kernel": rng.normal(size=shape)} for name, shape in shapes.items()}
    names = {"mj": mj, "p": params, "key": jax.random.key(0)}
    text = example("docs/api.md", "\n## Networks that are no chain").replace("64", "8")
    exec(compile(text, "docs/api.md", "exec"), names)
    assert "conv 1 -> conv 3" in " ".join(capsys.readouterr().out.split())
    assert names["test"].p_value <= 1


def test_the_example_of_activations_runs(capsys):
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(60, 2))
    noisy = [causes[:, np.arange(d) % 2] + 0.5 * rng.normal(size=(60, d)) for d in (8, 6, 5)]
    names = {"mj": mj, "key": jax.random.key(0), "first": noisy[0], "second": noisy[1], "third": noisy[2]}
    exec(compile(example("docs/api.md", "\n## Graphs of activations\n"), "docs/api.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["layer_nonzero", "samples"]
    assert all(line.endswith("p = 0.01") for line in lines)


def trained(heading, **names):
    """What the example below a heading leaves behind, after 30 batches."""
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(16, 12)).astype(np.float32), rng.integers(0, 4, 16)) for _ in range(30)]
    names |= {"mj": mj, "jax": jax, "optax": optax, "eqx": eqx, "batches": batches, "optimizer": optax.adam(1e-2)}
    exec(compile(example("docs/api.md", heading), "docs/api.md", "exec"), names)
    return names


def test_the_examples_of_the_penalty_train():
    model = MLP((12, 9, 4))
    params = model.init(jax.random.key(0), jnp.ones((1, 12)))["params"]
    found = trained("\n## Networks trained to be modular\n", model=model, params=params)["params"]
    assert mj.clusterability_penalty(found) < mj.clusterability_penalty(params) - 0.1
    module = eqx.nn.MLP(12, 4, 9, 1, key=jax.random.key(0))
    found = trained("\n## Modular networks in Equinox\n", model=module)["model"]
    assert mj.clusterability_penalty(found) < mj.clusterability_penalty(module) - 0.1


def test_the_example_on_all_cores_runs():
    setting, rest = example("docs/hosts.md").replace("8", "4").split("\n", 1)
    assert setting.startswith('jax.config.update("jax_num_cpu_devices", 4)')  # the tests' own four devices serve
    names = {"jax": jax, "mj": mj, "graph": nets.random_net(0, (12, 9, 6)), "key": jax.random.key(0)}
    exec(compile(rest, "docs/hosts.md", "exec"), names)
    assert names["test"].controls.shape == (200,)
