import numpy as np
import pytest

from modularity_jax.runs import plain_values, tables
from modularity_jax.runs.tables import atomic_write, read_arrays, read_csv, read_json, require, write_csv
from tests.runs import workdirs

COLUMNS = ("seed", "phase", "ncut", "important", "note")
ROWS = [
    {"seed": 0, "phase": "pruned", "ncut": 0.1 + 0.2, "important": True, "note": None},
    {"seed": 1, "phase": 'a "b", c', "ncut": -1e-300, "important": False, "note": None},
    {"seed": -2, "phase": "x", "ncut": float("inf"), "important": True, "note": None},
]


def test_csv_round_trip_gives_the_same_values_and_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    write_csv(first, ROWS, COLUMNS)
    read = read_csv(first)
    assert read == ROWS
    assert [type(value) for value in read[0].values()] == [int, str, float, bool, type(None)]
    write_csv(second, read, COLUMNS)
    assert first.read_bytes() == second.read_bytes()


def test_numpy_and_jax_numbers_are_written_shortest_in_their_own_precision(tmp_path):
    import jax.numpy as jnp

    exact = np.float32(0.123456789)
    rows = [{"a": np.float32(0.1), "b": jnp.float32(exact), "c": np.int32(7), "d": np.array(0.1), "e": np.bool_(True)}]
    write_csv(tmp_path / "a.csv", rows, "abcde")
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == "0.1,0.12345679,7,0.1,True"
    assert np.float32(read_csv(tmp_path / "a.csv")[0]["b"]) == exact


def test_nan_survives(tmp_path):
    write_csv(tmp_path / "a.csv", [{"a": float("nan")}], ["a"])
    assert np.isnan(read_csv(tmp_path / "a.csv")[0]["a"])


@pytest.mark.parametrize("row", [{"a": 1}, {"a": 1, "b": 2, "c": 3}])
def test_a_row_with_other_columns_is_refused_and_nothing_is_written(tmp_path, row):
    with pytest.raises(ValueError, match=r"row 0 for .*a\.csv does not have the table's columns: (b|c) differ"):
        write_csv(tmp_path / "a.csv", [row], ["a", "b"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.csv is empty"),
        (b"a,b\n1,2\n3,4", "a.csv is cut off in line 3"),
        (b"a,b\n1,2\n3\n", "a.csv, line 3: 1 fields where the header has 2"),
        (b"a,b\n1,2\n\n", "a.csv, line 3: 0 fields"),
        (b'a,b\n1,"2\n', "a.csv is damaged"),
        (b"a,b\n1,\xff\xfe\n", "a.csv is damaged"),
        (b"a,b\n1,2\n3,0.x4\n", "a.csv, line 3: b should be a number, got '0.x4'"),
    ],
)
def test_damage_is_reported_with_the_file_and_the_line(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv") as error:
        read_csv(tmp_path / "a.csv")
    assert message in str(error.value)


def test_missing_columns_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"a\.csv lacks the columns b, c"):
        read_csv(tmp_path / "a.csv", ["a", "b", "c"])


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        assert temporary.parent == path.parent
        raise RuntimeError("power cut")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("clusterability.csv", "cluster"),
        ("clusters/pruned.npz", "cluster"),
        ("weights/init.npz", "train"),
        ("double_lesions.csv", "lesion"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(name, stage):
    with pytest.raises(FileNotFoundError) as error:
        require("runs/x", name)
    assert str(error.value) == (f"runs/x holds no {name}; run `python -m experiments.{stage} --workdir=runs/x` first")


@pytest.mark.parametrize("content", [b"{", b"[1]"])
def test_damaged_json_is_named(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        read_json(tmp_path, "config.json")


def test_arrays_are_read_by_prefix_and_a_truncated_file_is_named(tmp_path):
    run = workdirs.make_workdir(tmp_path / "run", num_seeds=2, sizes=(4,), num_shuffles=19, epochs=1)
    arrays = read_arrays(run, "weights/pruned.npz", prefix="seed_1/")
    assert sorted(arrays) == [f"seed_1/layer_{i:02d}/{kind}" for i in range(3) for kind in ("bias", "kernel")]
    path = run / "weights" / "pruned.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"weights/pruned\.npz is damaged"):
        read_arrays(run, "weights/pruned.npz")


def test_arrays_are_written_under_their_names(tmp_path):
    tables.write_arrays(tmp_path / "weights" / "a.npz", {"seed_0/layer_00/kernel": np.arange(6.0).reshape(2, 3)})
    with np.load(tmp_path / "weights" / "a.npz") as arrays:
        assert arrays.files == ["seed_0/layer_00/kernel"]
        np.testing.assert_array_equal(arrays["seed_0/layer_00/kernel"], [[0, 1, 2], [3, 4, 5]])
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["a.npz"]
    again = tmp_path / "b.npz"
    tables.write_arrays(again, {"seed_0/layer_00/kernel": np.arange(6.0).reshape(2, 3)})
    assert again.read_bytes() == (tmp_path / "weights" / "a.npz").read_bytes()


@pytest.mark.parametrize("value", [np.float32(0.1), np.float32(1e-8), np.float64(0.1), np.int32(7)])
def test_a_plain_value_is_written_as_the_scalar_is(tmp_path, value):
    for name, cell in (("a", value), ("b", plain_values.plain(value))):
        tables.write_csv(tmp_path / name, [{"x": cell}], ("x",))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert type(plain_values.plain(value)) in (int, float)
