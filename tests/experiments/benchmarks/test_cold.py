"""The benchmark of first results: fresh processes, the checkout that was asked for, sides that take turns."""

import pathlib

import pytest

from experiments.benchmarks import cold, cold_child, study_net


def test_a_fresh_process_compiles_all_it_needs_and_says_what():
    rows, programs = cold.cold_rows(tasks=("cluster",), rounds=1, settings=cold.TOY)
    (row,) = rows
    assert (row["task"], row["side"]) == ("cluster", "ours")
    assert 0 < row["compile s"] < row["first result s"]
    assert 0 < row["compile CPU s"] < row["CPU s"]
    assert row["programs"] >= row["above 0.1 s"] == len(programs) > 0
    assert "partition_alone" in [program["program"] for program in programs]


@pytest.mark.long  # the fast lane runs a launcher's demo elsewhere, and a child of `cold` above
def test_the_demo_is_measured():
    (row,), programs = cold.cold_rows(tasks=("digits",), rounds=1, settings=cold.TOY)
    assert row["above 0.1 s"] > 3
    assert "_run_epoch" in [program["program"] for program in programs]


def test_sides_take_turns_and_medians_are_compared(monkeypatch, tmp_path):
    for part in ("modularity_jax", "experiments"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").touch()
    runs = []

    def run(task, checkout, settings):
        runs.append((task, checkout))
        seconds = {cold.CHECKOUT: [3.0, 1.0, 2.0], tmp_path: [8.0, 4.0, 6.0]}[checkout][(len(runs) - 3) // 4 % 3]
        programs = [["slow", seconds, 1.0], ["slower", 2 * seconds, 1.0], ["fast", 0.1, 0.0]]
        cpu = {"cpu_seconds": seconds, "compile_cpu_seconds": 0.0, "trace_seconds": seconds}
        return {"seconds": seconds, "compile_seconds": seconds, "programs": programs} | cpu

    monkeypatch.setattr(cold, "run_task", run)
    told = []
    tasks = ("import", "cluster")
    rows, programs = cold.cold_rows(tmp_path, tasks=tasks, rounds=3, settings=cold.FULL, advance=told.append)
    sides = [cold.CHECKOUT, tmp_path]
    assert runs == [("import", side) for side in sides] + 3 * [(task, side) for task in tasks for side in sides]
    assert [(row["task"], row["side"], row["first result s"]) for row in rows] == [
        ("import", "ours", 2.0), ("import", "theirs", 6.0), ("import", "ratio", 2 / 6),
        ("cluster", "ours", 2.0), ("cluster", "theirs", 6.0), ("cluster", "ratio", 2 / 6),
    ]  # fmt: skip
    assert rows[0]["programs"] == 3
    assert rows[0]["above 0.1 s"] == 2
    assert rows[2]["compile CPU s"] is None
    assert [(row["task"], row["program"]) for row in programs] == [
        (task, name) for task in tasks for name in ("slower", "slow")
    ]
    assert len(told) == 12


def test_what_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--against must be a checkout of this project"):
        cold.cold_rows(tmp_path)


def test_a_child_refuses_another_checkout(tmp_path):
    with pytest.raises(ImportError, match="modularity_jax came from"):
        cold_child._import_from(tmp_path)
    cold_child._import_from(cold.CHECKOUT)


def test_settings_name_files_that_exist():
    assert pathlib.Path(cold._CHILD).exists()
    file, _, _ = cold.TOY["digits_flags"][0].removeprefix("--config=").partition(":")
    assert pathlib.Path(file).exists()
    assert cold_child._kernels(cold.TOY)[0].shape == cold.TOY["widths"][:2]


def test_the_network_is_pruned_by_magnitude():
    kernels = study_net.pruned_kernels((40, 30, 20), 0.9)
    assert [kernel.shape for kernel in kernels] == [(40, 30), (30, 20)]
    assert [int((kernel != 0).sum()) for kernel in kernels] == [120, 60]
    assert list(study_net.pruned_params((40, 30, 20))) == ["layer_00", "layer_01"]
