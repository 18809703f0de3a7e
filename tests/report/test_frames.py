"""What a run's files are read as."""

import pytest

from modularity_jax.report.frames import read_run, records, typed
from modularity_jax.runs.tables import read_csv, write_csv
from tests.runs import workdirs


@pytest.fixture
def run(tmp_path):
    made = workdirs.make_workdir(tmp_path / "run", num_seeds=2, sizes=(4, 12), num_shuffles=19, epochs=1)
    return workdirs.add_lesions(made)


def test_columns_have_the_dtypes_that_are_asked_for_or_that_their_values_have():
    rows = [
        {"seed": 0, "loss": 1.5, "step": None, "kind": "a", "flag": True, "nothing": None},
        {"seed": 1, "loss": None, "step": 7, "kind": None, "flag": None, "nothing": None},
    ]
    frame = typed(rows, {"seed": "int64", "absent": "boolean"})
    dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert dtypes == {
        "seed": "int64", "loss": "float64", "step": "Int64", "kind": "str", "flag": "boolean", "nothing": "float64",
        "absent": "boolean",
    }  # fmt: skip
    assert records(frame) == [row | {"absent": None} for row in rows]


def test_phases_and_controls_are_ordered():
    rows = [{"phase": phase, "method": method} for phase, method in (("init", "row"), ("trained", "a"), ("init", "b"))]
    frame = typed(rows, {"phase": "str", "method": "str"})
    assert list(frame["phase"].cat.categories) == ["init", "trained"]
    assert list(frame["method"].cat.categories) == ["row", "a", "b"]
    assert list(frame.sort_values("phase")["method"]) == ["row", "b", "a"]


def test_a_column_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"^the table: the column seed should be int64: "):
        typed([{"seed": "zero"}], {"seed": "int64"})


def test_a_damaged_column_is_named_with_its_file(run):
    rows = [row | {"observed": "low"} for row in read_csv(run / "clusterability.csv")]
    write_csv(run / "clusterability.csv", rows, tuple(rows[0]))
    with pytest.raises(ValueError, match=r"clusterability\.csv: the column observed should be float64: "):
        read_run(run)


def test_what_has_no_file_is_an_empty_frame_with_its_columns(tmp_path):
    run = read_run(workdirs.make_workdir(tmp_path / "run", num_seeds=1, sizes=(4,), num_shuffles=19, epochs=1))
    assert {"layer", "cluster", "taxonomy"} <= set(run.lesions)
    assert {"epoch", "observed"} <= set(run.learning_curve)
    assert all(frame.empty for frame in (run.lesions, run.double_lesions, run.learning_curve, run.left_out))
    assert run.lesion_arrays == {}


def test_each_file_is_read_once(run, monkeypatch):
    from modularity_jax.report import arrays, frames

    read = []
    for module, name in ((frames, "read_table"), (arrays, "read_arrays"), (frames, "read_json")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda path, file, *rest, original=original: read.append(file) or original(path, file, *rest)
        )
    read_run(run)
    assert len(read) == len(set(read))
    assert {"clusterability.csv", "clusters/pruned.npz", "weights/pruned.npz", "lesions/pruned.npz"} <= set(read)


def test_a_run_has_what_is_drawn(run):
    found = read_run(run)
    assert (found.network.phase, found.network.seed, list(found.network.partitions)) == ("pruned", 0, [4, 12])
    assert [kernel.shape for kernel in found.network.kernels] == [(64, 32), (32, 32), (32, 10)]
    assert {phase: array.shape for phase, array in found.eigenvalues.items()} == dict.fromkeys(
        ("init", "unpruned", "pruned"), (2, 12)
    )
    assert found.lesion_arrays["single/control_accuracy"].shape == (20, 6)
    assert len(found.controlled) == len(found.tests) == len(found.shuffled)


def test_a_table_that_lacks_a_column_is_refused(run):
    rows = [{name: value for name, value in row.items() if name != "taxonomy"} for row in read_csv(run / "lesions.csv")]
    write_csv(run / "lesions.csv", rows, tuple(rows[0]))
    with pytest.raises(ValueError, match=r"lesions\.csv lacks the columns taxonomy$"):
        read_run(run)


def test_without_clusterability_the_command_that_makes_it_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no clusterability.csv; run `python -m experiments.cluster"):
        read_run(tmp_path)
