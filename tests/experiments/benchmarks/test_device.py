"""The benchmark of a device, at toy sizes: every row is found, a failing one leaves the others, time ends it."""

import jax
import numpy as np
import pytest

import modularity_jax as mj
from experiments.benchmarks import cold, device, device_rows
from experiments.benchmarks.device_rows import TOY, Found
from tests.metric import nets


def measure(monkeypatch, plan, budget_seconds=1e9):
    """The rows of some measurements, as they were written and as they were returned."""
    monkeypatch.setattr(device, "plan_of", lambda sizes: plan)
    written = []
    rows = device.measure_device(TOY, None, budget_seconds=budget_seconds, write=written.append)
    assert rows == written
    return rows


def found_demo(task, checkout, settings):
    assert (task, checkout) == ("digits", cold.CHECKOUT)
    return {"seconds": 1.0, "compile_seconds": 0.5, "programs": [["a", 0.5, 0.5]]}


def check(rows):
    failed = [row for row in rows if row["note"].startswith("failed")]
    assert not failed
    assert all(row["value"] > 0 for row in rows if row["row"] != "machine")
    assert all(row["value"] < 1e-5 for row in rows if "beside float64" in row["row"])


def test_what_matters_most_is_measured(monkeypatch):
    plan = device.plan_of(TOY)
    chosen = [plan[0], *(one for one in plan if one[0].startswith(("first", "lesions, single", "correct", "digits")))]
    monkeypatch.setattr(cold, "run_task", found_demo)
    rows = measure(monkeypatch, [*chosen, (plan[2][0], plan[2][1])])
    check(rows)
    assert [row["row"] for row in rows] == [
        "machine", "first cluster, k = 3", "first shuffle_test, k = 3", "lesions, single",
        "n-cut beside float64, k = 3", "eigenvalues beside float64, k = 3", "digits config, fresh process",
        "a shuffle, k = 3, groups of the default",
    ]  # fmt: skip


@pytest.mark.long  # the rows above run in the fast lane; these go through the same functions
def test_all_rows_are_found(monkeypatch):
    monkeypatch.setattr(cold, "run_task", found_demo)
    rows = measure(monkeypatch, device.plan_of(TOY))
    check(rows)
    assert [row["row"] for row in rows[4:6]] == ["training, 2 networks, unpruned", "training, 2 networks, pruned"]
    assert rows[-1]["row"] == "lesions, joint"


def test_a_row_that_fails_says_why_and_the_next_begins(monkeypatch):
    def fails(bench):
        yield Found("half", 1.0, "s")
        raise MemoryError("too much\nof all")

    rows = measure(monkeypatch, [("halves", fails), ("machine", device_rows.machine)])
    assert [row["row"] for row in rows] == ["half", "halves", "machine"]
    assert rows[1]["note"] == "failed: MemoryError: too much"
    assert rows[1]["value"] is None


def test_no_row_is_begun_when_the_time_is_over(monkeypatch):
    def never(bench):
        raise AssertionError

    rows = measure(monkeypatch, [("machine", device_rows.machine), ("a", never), ("b", never)], budget_seconds=0)
    assert [row["row"] for row in rows] == ["machine", "left out"]
    assert rows[1]["note"] == "after 0 s: a; b"


def test_a_network_that_the_memory_does_not_hold_is_skipped(monkeypatch):
    monkeypatch.setattr(device_rows, "_memory", lambda: 80e9)
    (row,) = measure(monkeypatch, [("wide", lambda bench: device_rows.wide(bench, 60_000))])
    assert row["note"] == "2.52e+10 weights, skipped: they need more than 80 GB"


def test_the_widest_network_fits_the_memory_that_jax_takes_of_80_gb():
    (width, *_) = device_rows.FULL.wide
    weights = 784 * width + 7 * width**2 + 10 * width
    assert 5.8e9 < weights < 6e9
    assert 4 * weights * device_rows.MEMORY_TO_WEIGHTS < 0.75 * 80e9


def test_the_hosts_figures_are_those_of_their_definitions():
    kernels = nets.planted_weights(0, (24, 20, 20, 12), 4, noise=0.01)
    blocks = [np.abs(kernel).astype(np.float64) for kernel in kernels]
    found = mj.cluster(mj.LayeredGraph.from_weights(kernels), jax.random.key(0), num_clusters=4)
    exact = device_rows.ncut_on_host(blocks, np.asarray(found.labels), 4)
    assert float(found.ncut) == pytest.approx(exact, rel=1e-5)
    size = sum(block.shape[0] for block in blocks) + blocks[-1].shape[1]
    whole, row = np.zeros((size, size)), 0
    for block in blocks:
        column = row + block.shape[0]
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
        row = column
    whole += whole.T
    scale = 1 / np.sqrt(whole.sum(axis=0))
    values = np.linalg.eigvalsh(scale[:, None] * whole * scale)[::-1]
    np.testing.assert_allclose(device_rows.eigenvalues_on_host(blocks)[:8], values[:8], atol=1e-12)
