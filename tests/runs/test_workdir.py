import dataclasses
import importlib.metadata
import json
import os
import re
import subprocess

import jax
import pytest

from modularity_jax.runs import workdir
from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.group_sizes import resolve

CONFIG = resolve(from_dict({"data": {"name": "digits"}, "train": {"num_seeds": 4}}))


def test_a_new_workdir_holds_config_and_versions(tmp_path):
    made = workdir.create_workdir(tmp_path / "runs" / "a", CONFIG, "python -m experiments.run --x='a b'")
    assert json.loads((tmp_path / "runs/a/config.json").read_text())["train"]["num_seeds"] == 4
    versions = json.loads((tmp_path / "runs/a/versions.json").read_text())
    assert versions["command"] == "python -m experiments.run --x='a b'"
    for name in ("jax", "jaxlib", "flax", "optax", "numpy", "scipy"):
        assert versions[name] == importlib.metadata.version(name)
    assert len(versions["devices"]) == len(jax.devices())
    assert versions["devices"][0].startswith("cpu:0")
    assert re.fullmatch(r"3\.\d+\.\d+.*", versions["python"])
    assert "git_commit" in versions
    assert workdir.open_workdir(made.path) == made
    assert made.config == CONFIG


def test_the_same_config_opens_it_again_and_keeps_what_was_noted(tmp_path):
    made = workdir.create_workdir(tmp_path, CONFIG, "first")
    workdir.record_seconds(made, "train", 12.3456, 2)
    workdir.record_seconds(made, "cluster", 1, 0.5)
    again = workdir.create_workdir(str(tmp_path), CONFIG, "second")
    assert again == made
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert versions["stage_seconds"] == {"train": 12.35, "cluster": 1}
    assert versions["compile_seconds"] == {"train": 2, "cluster": 0.5}
    assert versions["command"] == "second"


def test_another_config_is_refused_and_nothing_changes(tmp_path):
    workdir.create_workdir(tmp_path, CONFIG, "first")
    (tmp_path / "metrics.csv").touch()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = dataclasses.replace(
        CONFIG,
        train=dataclasses.replace(CONFIG.train, num_seeds=5),
        prune=dataclasses.replace(CONFIG.prune, final_sparsity=0.95),
    )
    message = (
        f"workdir {tmp_path} holds a run with another config (there and asked for): "
        "train.num_seeds: 4 and 5; prune.final_sparsity: 0.9 and 0.95; take a new --workdir, "
        "or --fork_workdir=NEW, which copies what is still valid"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        workdir.create_workdir(tmp_path, other, "second")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("set_otherwise", "told", "remedy"),
    [
        (lambda: jax.enable_x64(True), "jax_enable_x64: False and True", "JAX_ENABLE_X64=False"),
        (
            lambda: jax.threefry_partitionable(False),
            "jax_threefry_partitionable: True and False",
            "JAX_THREEFRY_PARTITIONABLE=True",
        ),
        (
            lambda: jax.default_matmul_precision("bfloat16"),
            "jax_default_matmul_precision: None and bfloat16",
            "without JAX_DEFAULT_MATMUL_PRECISION",
        ),
    ],
)
def test_other_settings_of_jax_are_refused_where_there_are_results(tmp_path, set_otherwise, told, remedy):
    made = workdir.create_workdir(tmp_path, CONFIG, "first")
    with set_otherwise():
        workdir.create_workdir(tmp_path, CONFIG, "nothing is there yet")
    workdir.create_workdir(tmp_path, CONFIG, "nor now")
    (made.path / "metrics.csv").touch()
    before = (tmp_path / "versions.json").read_bytes()
    message = (
        f"workdir {tmp_path} was begun under other settings of JAX (there and here): {told}; go on with {remedy}, "
        "or take a new --workdir"
    )
    with set_otherwise(), pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        workdir.create_workdir(tmp_path, CONFIG, "second")
    assert (tmp_path / "versions.json").read_bytes() == before
    workdir.create_workdir(tmp_path, CONFIG, "as it was begun")


def test_a_run_that_does_not_say_how_jax_was_set_goes_on(tmp_path):
    made = workdir.create_workdir(tmp_path, CONFIG, "first")
    (made.path / "metrics.csv").touch()
    versions = json.loads((tmp_path / "versions.json").read_text())
    del versions["jax_settings"]
    (tmp_path / "versions.json").write_text(json.dumps(versions))
    with jax.enable_x64(True):
        workdir.create_workdir(tmp_path, CONFIG, "second")
        workdir.check_jax_settings(tmp_path, workdir.read_versions(tmp_path).get("jax_settings", {}))


def test_a_config_without_results_gives_way_to_another(tmp_path):
    workdir.create_workdir(tmp_path, CONFIG, "with a typo")
    other = dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, name="digits"))
    assert workdir.create_workdir(tmp_path, other, "without").config == other
    assert workdir.open_workdir(tmp_path).config == other


@pytest.mark.parametrize("existing", [True, False])
def test_opening_what_is_no_workdir(tmp_path, existing):
    path = tmp_path if existing else tmp_path / "nowhere"
    message = f"workdir {path} holds no config.json; make a run with `python -m experiments.run --workdir={path}`"
    with pytest.raises(ValueError, match=re.escape(message)):
        workdir.open_workdir(path)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"train": {"num_seeds"', r"config\.json is damaged: "),
        ("[1, 2]", r"config\.json is damaged: expected a JSON object, got list"),
        ('{"train": {"num_seed": 4}}', "config.train has no field 'num_seed'; did you mean 'num_seeds'?"),
        ('{"train": {"num_seeds": 0}}', "train.num_seeds must be at least 1, got 0"),
    ],
)
def test_a_damaged_config(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    for use in (workdir.open_workdir, lambda path: workdir.create_workdir(path, RunConfig(), "x")):
        with pytest.raises(ValueError, match=message):
            use(tmp_path)
    assert (tmp_path / "config.json").read_text() == content


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            workdir.create_workdir(path, CONFIG, "x")


def commit(root, name):
    environment = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (root / name).write_text(name)
    subprocess.run(["git", "-C", root, "add", name], check=True)
    subprocess.run(["git", "-C", root, *environment, "commit", "-q", "-m", name], check=True)
    return subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout


def test_git_commit_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "__file__", str(tmp_path / "modularity_jax" / "runs" / "workdir.py"))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    head = commit(tmp_path, "a").strip()
    assert workdir.describe_machine()["git_commit"] == head
    (tmp_path / "a").write_text("changed")
    assert workdir.describe_machine()["git_commit"] == f"{head}-modified"


def test_a_git_that_prints_file_names_of_another_encoding(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "__file__", str(tmp_path / "modularity_jax" / "runs" / "workdir.py"))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    head = commit(tmp_path, "a").strip()
    subprocess.run(["git", "-C", tmp_path, "config", "core.quotepath", "false"], check=True)
    (tmp_path / os.fsdecode(b"gr\xf6\xdfe")).write_text("in Latin-1")
    assert workdir.describe_machine()["git_commit"] == f"{head}-modified"


def test_no_git_commit_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "__file__", str(tmp_path / "site-packages" / "runs" / "workdir.py"))
    assert workdir.describe_machine()["git_commit"] is None


def test_no_git_commit_without_git(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir, "__file__", str(tmp_path / "modularity_jax" / "runs" / "workdir.py"))
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert workdir.describe_machine()["git_commit"] is None
