import dataclasses
import json

import numpy as np
import pytest

from modularity_jax.nets.config import ModelConfig
from modularity_jax.runs.adopt import adopt_networks
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.stages.inputs import load_params
from modularity_jax.runs.stages.networks import METRICS_COLUMNS, is_trained
from modularity_jax.runs.tables import read_csv, read_json, write_arrays, write_csv
from modularity_jax.runs.workdir import create_workdir

CONFIG = RunConfig(model=ModelConfig(widths=(3, 2)))


def seeds(config, count):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, num_seeds=count))


@pytest.fixture
def donor(tmp_path):
    """A run of three networks, each filled with its seed's number."""
    workdir = create_workdir(tmp_path / "donor", seeds(CONFIG, 3), "a command")
    for phase in ("init", "unpruned", "pruned"):
        parts = {"kernel": (3, 2), "bias": (2,)}
        arrays = {f"seed_{s}/layer_00/{name}": np.full(size, s) for s in range(3) for name, size in parts.items()}
        write_arrays(workdir.weights(phase), arrays)
    ends = {"init": 0, "unpruned": CONFIG.train.epochs, "pruned": CONFIG.prune.epochs}
    rows = [
        dict.fromkeys(METRICS_COLUMNS, 1) | {"seed": s, "phase": phase, "epoch": epoch, "nonfinite_step": None}
        for phase, epoch in ends.items()
        for s in range(3)
    ]
    write_csv(workdir.metrics, rows, METRICS_COLUMNS)
    return workdir


def test_the_first_networks_of_a_larger_run(tmp_path, donor):
    cluster = dataclasses.replace(CONFIG.cluster, num_clusters=(7,))  # settings of later stages may differ
    taker = create_workdir(tmp_path / "taker", dataclasses.replace(seeds(CONFIG, 2), cluster=cluster), "a command")
    adopt_networks(taker, [tmp_path / "nothing", donor.path])
    assert is_trained(taker)
    nets = load_params(taker, "pruned")
    assert [net["layer_00"]["kernel"].max() for net in nets] == [0, 1]
    assert [row["seed"] for row in read_csv(taker.metrics)] == [0, 1] * 3
    assert read_json(taker.path, "versions.json")["networks_from"]["workdir"] == str(donor.path)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: seeds(c, 4),
        lambda c: dataclasses.replace(c, train=dataclasses.replace(c.train, learning_rate=0.1)),
        lambda c: dataclasses.replace(c, prune=dataclasses.replace(c.prune, final_sparsity=0.8)),
        lambda c: dataclasses.replace(c, data=dataclasses.replace(c.data, name="lines")),
        lambda c: dataclasses.replace(c, cluster=dataclasses.replace(c.cluster, curve_epochs=(1,))),
    ],
)
def test_other_networks_are_not_taken(tmp_path, donor, change):
    taker = create_workdir(tmp_path / "taker", change(seeds(CONFIG, 3)), "a command")
    adopt_networks(taker, [donor.path])
    assert not taker.metrics.exists()
    assert not list(taker.path.glob("weights/*"))


@pytest.mark.parametrize("spoil", ["versions", "jax_settings", "weights", "config"])
def test_a_run_that_cannot_lend_is_passed_over(tmp_path, donor, spoil):
    if spoil == "versions":
        known = read_json(donor.path, "versions.json") | {"jaxlib": "0.0.1"}
        (donor.path / "versions.json").write_text(json.dumps(known))
    elif spoil == "jax_settings":
        versions = read_json(donor.path, "versions.json")
        versions["jax_settings"]["jax_enable_x64"] = True
        (donor.path / "versions.json").write_text(json.dumps(versions))
    elif spoil == "weights":
        donor.weights("unpruned").unlink()
    else:
        (donor.path / "config.json").write_text("{")
    taker = create_workdir(tmp_path / "taker", seeds(CONFIG, 2), "a command")
    adopt_networks(taker, [donor.path])
    assert not taker.metrics.exists()


def test_trained_networks_stay(tmp_path, donor):
    before = donor.metrics.read_bytes()
    adopt_networks(donor, [tmp_path / "nothing"])
    assert donor.metrics.read_bytes() == before
