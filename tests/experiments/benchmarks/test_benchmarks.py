"""The benchmarks measure what they say, at toy sizes; no test looks at a clock."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from experiments.benchmarks import lesion, measure, peers, scale, shuffle_test, train
from modularity_jax.nets.config import ModelConfig
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.nets.training import Samples
from tests.metric import nets
from tests.probes import slow


def test_runs_take_turns_and_the_median_counts():
    calls = []

    def run(name, seconds):
        def once():
            calls.append(name)
            return seconds[calls.count(name) - 1]

        return once

    taken = measure.median_seconds({"a": run("a", [3, 1, 2]), "b": run("b", [9, 7, 8])}, 3)
    assert taken == {"a": 2, "b": 8}
    assert calls == ["a", "b"] * 3


def test_seconds_include_the_computation():
    waited = []

    class Pending:
        def block_until_ready(self):
            waited.append(self)

    result = Pending()
    assert measure.seconds_of(lambda: {"values": [result]}) > 0
    assert waited == [result]


def test_matmul_rate_counts_all_devices():
    # The program holds every product whole, in a loop.
    text = measure._products.lower([(jnp.ones((8, 16)), jnp.ones((16, 4)))], 3, seed_mesh()).as_text()
    assert "tensor<8x16xf32>, tensor<16x4xf32>) -> tensor<8x4xf32>" in text
    assert 1e6 < measure.matmul_rate([(64, 64, 64)]) < 1e16


def test_table_is_aligned():
    text = measure.text_table([{"name": "a", "value": 1.23456}, {"name": "longer", "value": None}])
    assert text.splitlines() == ["  name  value", "-------------", "     a   1.23", "longer       "]


@pytest.mark.parametrize("solver", ["arpack", "lobpcg"])
def test_peer_finds_the_planted_blocks_as_we_do(solver):
    kernels = nets.planted_weights(0, (24, 20, 20, 12), 4, noise=0.01)
    found = peers.spectral_ncut([np.abs(k) for k in kernels], num_clusters=4, solver=solver, seed=0)
    ours = mj.cluster(mj.LayeredGraph.from_weights(kernels), jax.random.key(0), num_clusters=4).ncut
    assert found == pytest.approx(float(ours), rel=1e-4)


def test_shuffle_test_rows():
    kernels = nets.planted_weights(0, (24, 20, 20, 12), 4, noise=0.01)
    rows = shuffle_test.shuffle_test_rows(
        {"planted": kernels},
        seed_mesh(),
        num_clusters=(4,),
        num_shuffles=8,
        num_peer_shuffles=8,
        num_compared=8,
        rounds=1,
        solvers=("arpack", "lobpcg"),
    )
    (row,) = rows
    assert row["times arpack"] == pytest.approx(row["arpack ms"] / row["ours ms"])
    assert row["best ms"] <= row["arpack ms"]
    assert abs(row["n-cut to theirs %"]) < 2


def test_amg_without_pyamg_names_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install '.\[benchmark\]'"):
        shuffle_test.shuffle_test_rows({}, seed_mesh())


def test_train_rows():
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 12), np.float32), rng.integers(0, 3, 300)
    samples = Samples(*(jnp.asarray(a) for a in (x[:260], y[:260], x[260:], y[260:])))
    rows = train.train_rows(samples, seed_mesh(), model=ModelConfig(widths=(12, 8, 3)), num_seeds=3, rounds=1)
    assert [row["phase"] for row in rows] == ["unpruned", "pruned"]
    assert rows[0]["to unpruned"] == 1
    assert all(row["s an epoch and net"] > 0 for row in rows)


def test_operations_of_an_epoch():
    # 2 (3 * 5 + 5 * 2) forwards, as much for the kernels, 2 * 5 * 2 for the hidden layer's gradient; 4 test samples.
    samples = Samples(jnp.zeros((7, 3)), jnp.zeros(7, int), jnp.zeros((4, 3)), jnp.zeros(4, int))
    assert train._operations(ModelConfig(widths=(3, 5, 2)), samples) == 7 * (50 + 50 + 20) + 4 * 50


def test_lesion_rows():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 8)).astype(np.float32), rng.integers(0, 3, 60).astype(np.int32)
    samples = Samples(*(jnp.asarray(part) for part in (x, y, x, y)))
    params = slow.random_params(1, (8, 40, 30, 3))
    settings = {"num_clusters": 3, "num_shuffles": 2, "num_peer_lesions": 4, "rounds": 1}
    rows = lesion.lesion_rows(params, samples, seed_mesh(), **settings)
    assert [row["test"] for row in rows] == ["single", "joint", "conditional"]
    count = rows[0]["sub-modules"]
    assert [row["lesions"] for row in rows] == [3 * count, 3 * count * (count + 1) // 2, 3 * count * (count - 1)]
    for row in rows:
        assert row["most images off"] == 0
        assert row["times"] == pytest.approx(row["ours a second"] / row["one by one"])


def test_least_operations_of_lesions():
    """Widths 2, 3, 4, 5, sub-modules 2 and 1: products counted by hand, for one trial."""
    sizes, layers = (6, 12, 20), np.array([1, 1, 2])
    widths = (2, 3, 4, 5)
    single = (12 + 2 * 20) + (20 + 1 * 0)
    assert lesion._least_operations("single", widths, layers, 1) == 2 * (sum(sizes) + single)
    pairs = 2 * 20 + 1 * 20  # each of layer 1 has layer 2's site of its own; the two of layer 1 run layer 2 together
    assert lesion._least_operations("joint", widths, layers, 1) == 2 * (sum(sizes) + single + pairs)


def test_scale_rows_and_slope():
    (row,) = scale.scale_rows((16,), (0.9,), rounds=1)
    assert row["width"] == 16
    assert 0 < row["edges"] < 0.15 * row["weights"]
    assert row["scikit-learn s"] > 0
    made = [{"sparsity": 0.9, "edges": e, "ours s": e**1.5} for e in (10.0, 100.0, 1e3, 1e4)]
    assert scale.slope(made, 0.9) == pytest.approx(1.5)


def test_peer_that_takes_too_long_is_left_out():
    (row,) = scale.scale_rows((16,), (0.0,), rounds=1, peer_seconds=0)
    assert row["scikit-learn s"] is None
    assert row["times"] is None
