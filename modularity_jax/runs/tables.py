"""A run's plain files: written atomically, read with errors that name the file and the command that makes it."""

import contextlib
import csv
import errno
import io
import json
import os
import pathlib
import re
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from modularity_jax.runs.commands import launcher_command

Row = dict[str, Any]

_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|nan)")
_STAGES = {
    "clusterability.csv": "cluster",
    "clusters": "cluster",
    "lesions.csv": "lesion",
    "double_lesions.csv": "lesion",
    "specialisation.csv": "specialise",
    "submodules.csv": "specialise",
    "partitionings.csv": "specialise",
    "weights/given.npz": "measure",
}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path` that takes its place when the block ends without an error.

    A reader sees the old file or the whole new one, never a part, even after the machine has lost its power. The
    temporary name keeps the suffix, because `Figure.savefig` looks at it. A folder that is missing is made.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.tmp{path.suffix}")  # hosts may share a folder
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync_names(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_csv(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows as a CSV file, atomically, with the same bytes whenever the values are the same.

    Floats get the fewest digits that give the same number back in their own precision; None is an empty cell.

    Raises:
      ValueError: if a row lacks a column or has another one.
    """
    for index, row in enumerate(rows):
        if set(row) != set(columns):
            odd = sorted(set(row) ^ set(columns))
            raise ValueError(f"row {index} for {path} does not have the table's columns: {', '.join(odd)} differ")
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_to_cell(row[column]) for column in columns] for row in rows)


def read_csv(path: str | os.PathLike[str], columns: Sequence[str] = ()) -> list[Row]:
    """Reads what `write_csv` wrote, with the columns that must be there: a dict per row, keys in the header's order.

    Numbers and True/False are parsed, empty cells are None.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if the file is empty, cut off in a line or damaged; the message names the file and the line.
    """
    try:
        text = pathlib.Path(path).read_bytes().decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not lines:
        raise ValueError(f"{path} is empty, not even a header")
    if not text.endswith("\n"):
        raise ValueError(f"{path} is cut off in line {len(lines)}")
    header = lines[0]
    missing = [column for column in columns if column not in header]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise ValueError(f"{path}, line {number}: {len(line)} fields where the header has {len(header)}")
    rows = [dict(zip(header, map(_from_cell, line), strict=True)) for line in lines[1:]]
    _check_columns(path, header, rows)
    return rows


def require(workdir: str | os.PathLike[str], name: str) -> pathlib.Path:
    """The path of a workdir's file, such as "clusters/pruned.npz", which must exist.

    Raises:
      FileNotFoundError: if it is missing; the message names the command that makes it.
    """
    path = pathlib.Path(workdir) / name
    if not path.is_file():
        stage = _STAGES.get(name) or _STAGES.get(pathlib.PurePath(name).parts[0], "train")
        raise FileNotFoundError(f"{workdir} holds no {name}; run `{launcher_command(stage, workdir)}` first")
    return path


def read_table(workdir: str | os.PathLike[str], name: str, columns: Sequence[str] = ()) -> list[Row]:
    """`read_csv` on a workdir's file that must exist."""
    return read_csv(require(workdir, name), columns)


def read_json(workdir: str | os.PathLike[str], name: str) -> dict[str, Any]:
    """A workdir's JSON object.

    Raises:
      FileNotFoundError: if the file is missing.
      ValueError: if it is no JSON object.
    """
    path = require(workdir, name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: expected a JSON object, got {type(content).__name__}")
    return content


def read_arrays(
    workdir: str | os.PathLike[str], name: str, prefix: str | tuple[str, ...] = ""
) -> dict[str, np.ndarray]:
    """The arrays of a workdir's .npz file whose names start with `prefix`, or with one of several.

    Raises:
      FileNotFoundError: if the file is missing.
      ValueError: if it is no readable .npz file.
    """
    path = require(workdir, name)
    try:
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files if key.startswith(prefix)}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays as an .npz file, atomically, with the same bytes whenever they are the same."""
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for name, array in arrays.items():
            # Under a fixed date, and nothing pickled: NumPy's own writer promises neither.
            with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def is_complete(
    path: pathlib.Path, tables: Sequence[str], others: Sequence[str], asked: Iterable[Any], place: Callable[[Row], Any]
) -> bool:
    """Whether a run's files are whole and its tables have a row of each place that is asked for.

    A table may be cut at the end of a line, and is whole then. Place: what a row is of.
    """
    if not all(is_readable(path / name) for name in (*tables, *others)):
        return False
    return set(asked) <= {place(row) for name in tables for row in read_csv(path / name)}


def score_name(metrics: Sequence[Row]) -> str:
    """The column that tells how good networks are, by rows of metrics.csv: the loss of a regression, else accuracy."""
    is_regression = metrics and all(row["test_accuracy"] is None for row in metrics)
    return "test_loss" if is_regression else "test_accuracy"


def is_readable(path: str | os.PathLike[str]) -> bool:
    """Whether a run's table or .npz file is there and whole; a damaged one is named in the log."""
    path = pathlib.Path(path)
    try:
        if path.suffix == ".csv":
            read_csv(path)
        else:
            read_arrays(path.parent, path.name)
    except FileNotFoundError:
        return False
    except ValueError as error:
        logging.warning("%s is damaged and is made again: %s", path, error)
        return False
    return True


def _sync(temporary: pathlib.Path) -> None:
    """Have the content on the disk before the name."""
    with open(temporary, "rb+") as handle:
        try:
            os.fsync(handle.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):  # file systems that cannot
                raise


def _sync_names(folder: pathlib.Path) -> None:
    """Have a folder's names on the disk, where the operating system lets it be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _to_cell(value: Any) -> str:
    if value is None:
        return ""
    # str of a NumPy scalar is its shortest form in its own precision: 0.1 for float32(0.1), not 0.10000000149011612.
    # (str of a 0-d array, NumPy's or JAX's, rounds to 8 digits.)
    return str(np.asarray(value)[()] if hasattr(value, "dtype") else value)


def _from_cell(cell: str) -> Any:
    if cell == "":
        return None
    if cell in ("True", "False"):
        return cell == "True"
    if _INTEGER.fullmatch(cell):
        return int(cell)
    return float(cell) if _FLOAT.fullmatch(cell) else cell


def _check_columns(path: str | os.PathLike[str], header: Sequence[str], rows: Sequence[Row]) -> None:
    """Text among numbers is the mark of a damaged cell: no column of a run's tables mixes them."""
    for column in header:
        texts = [i for i, row in enumerate(rows) if isinstance(row[column], str)]
        numbers = sum(isinstance(row[column], int | float) for row in rows)
        if texts and numbers:
            line = texts[0] + 2
            raise ValueError(f"{path}, line {line}: {column} should be a number, got {rows[texts[0]][column]!r}")
