"""One run's directory: where everything lies, and the config that it belongs to."""

import contextlib
import dataclasses
import importlib.metadata
import json
import pathlib
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from modularity_jax.runs.commands import launcher_command
from modularity_jax.runs.config import RunConfig, differences, from_dict
from modularity_jax.runs.group_sizes import resolve
from modularity_jax.runs.store import Store
from modularity_jax.runs.tables import Row, atomic_write, read_json, write_csv

# What claims a directory for its config.
_RESULTS = ("*.csv", "clusters/*", "lesions/*", "specialisation/*", "checkpoints/*/*/*")

# What decides random bits or rounding beside the versions; JAX takes each from an environment variable of its name.
JAX_SETTINGS = (
    "jax_threefry_partitionable",
    "jax_random_seed_offset",
    "jax_enable_x64",
    "jax_default_matmul_precision",
)
PACKAGES = ("modularity_jax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy")


@dataclasses.dataclass(frozen=True)
class Workdir:
    """A run's directory, opened by `open_workdir` or `create_workdir`."""

    path: pathlib.Path
    config: RunConfig

    def write_table(self, name: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
        """Writes a table of the run's networks, beside each one's number what it has of the swept settings."""
        axes, behind = {path: path.partition(".")[2] for path, _ in self.config.swept}, columns.index("seed") + 1
        own = [dict(self.config.network(row["seed"]).own if axes else ()) for row in rows]
        made = [row | {axes[path]: value for path, value in mine.items()} for row, mine in zip(rows, own, strict=True)]
        write_csv(self.path / name, made, (*columns[:behind], *axes.values(), *columns[behind:]))

    def store(self) -> Store:
        """The finished pieces, with those of the runs that lend theirs."""
        lenders = read_versions(self.path).get("lenders", [])
        return Store(self.path / "pieces", [pathlib.Path(path) / "pieces" for path in lenders])


class Comparison(NamedTuple):
    """A network's shuffle test by one control, as tables, files and the report name it."""

    phase: str
    seed: int
    graph: str
    measure: str
    num_clusters: int
    method: str

    @property
    def prefix(self) -> str:
        """Of its arrays in `clusters/<phase>.npz`."""
        return f"seed_{self.seed}/{self.graph}/{self.measure}/k_{self.num_clusters}"


def create_workdir(path: str | pathlib.Path, config: RunConfig, command: str) -> Workdir:
    """Make the directory, or open it if it holds the same config already.

    Where nothing is computed yet, a new config takes the old one's place: a typo must not claim a directory. What the
    config leaves open of group sizes is settled here, or taken as it was when the results began. The report quotes the
    command.

    Raises:
      ValueError: if it holds results of other settings, of ours or of JAX; the message names them.
      OSError: if it cannot be written.
    """
    path, config = pathlib.Path(path), from_dict(config.to_dict())  # plain values, whatever it was made of
    file = path / "config.json"
    there = open_workdir(path).config if file.exists() else None
    begun = there if any(map(any, map(path.glob, _RESULTS))) else None
    config = resolve(config, like=begun)
    if begun:
        if fields := differences(begun, config):
            raise ValueError(
                f"workdir {path} holds a run with another config (there and asked for): {'; '.join(fields)}; "
                "take a new --workdir, or --fork_workdir=NEW, which copies what is still valid"
            )
        check_jax_settings(path, read_versions(path).get("jax_settings", {}))
    elif there is None or differences(there, config):  # what is there speaks of results that did not come to be
        (path / "versions.json").unlink(missing_ok=True)
        shutil.rmtree(path / "tensorboard", ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    write_json(file, config.to_dict())
    record(path, describe_machine() | {"command": command})
    return Workdir(path, config)


def open_workdir(path: str | pathlib.Path) -> Workdir:
    """A directory that `create_workdir` made.

    Raises:
      ValueError: if it holds no readable config.json.
    """
    path = pathlib.Path(path)
    file = path / "config.json"
    if not file.exists():
        raise ValueError(f"workdir {path} holds no config.json; make a run with `{launcher_command('run', path)}`")
    return Workdir(path, resolve(from_dict(read_json(path, file.name))))  # earlier versions left sizes open


def read_versions(path: pathlib.Path) -> dict[str, Any]:
    """What versions.json says; nothing where it is missing."""
    return read_json(path, "versions.json") if (path / "versions.json").exists() else {}


def check_jax_settings(path: pathlib.Path, noted: Mapping[str, Any]) -> None:
    """JAX is set as it was when a run was begun; what that was is not known of runs by earlier versions.

    Raises:
      ValueError: that names what is set otherwise, and how to set it.
    """
    now = jax_settings()
    differ = [name for name in JAX_SETTINGS if name in noted and noted[name] != now[name]]
    if differ:
        told = "; ".join(f"{name}: {noted[name]} and {now[name]}" for name in differ)
        wanted = {name: "without " * (noted[name] is None) + name.upper() for name in differ}
        remedy = ", ".join(f"{w}={noted[n]}" if noted[n] is not None else w for n, w in wanted.items())
        raise ValueError(
            f"workdir {path} was begun under other settings of JAX (there and here): {told}; "
            f"go on with {remedy}, or take a new --workdir"
        )


def jax_settings() -> dict[str, Any]:
    """What is set of `JAX_SETTINGS`, as JSON has it."""
    values = {name: getattr(jax.config, name) for name in JAX_SETTINGS}
    return {name: value if isinstance(value, bool | int | None) else str(value) for name, value in values.items()}


def record_seconds(workdir: Workdir, stage: str, seconds: float, compiled: float) -> None:
    """Note in versions.json a stage's wall-clock time and the time that compilation took of it."""
    versions = read_versions(workdir.path)
    times = {"stage_seconds": seconds, "compile_seconds": compiled}
    record(workdir.path, {name: versions.get(name, {}) | {stage: round(t, 2)} for name, t in times.items()})


def record(path: pathlib.Path, facts: Mapping[str, Any]) -> None:
    """Add to versions.json what a run's results depend on."""
    write_json(path / "versions.json", read_versions(path) | dict(facts))


def describe_machine() -> dict[str, Any]:
    """Versions of what decides the results, the devices and the git commit (None outside a checkout)."""
    versions: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    versions["jax_settings"] = jax_settings()
    versions["devices"] = [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()]
    versions["git_commit"] = _git_commit()
    return versions


def write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Write an object, readable, in one step."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _git_commit() -> str | None:
    """Commit of the checkout that is run, marked if files differ from it; None where there is none."""
    root = pathlib.Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        return _git(root, "rev-parse", "HEAD") + ("-modified" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: pathlib.Path, *arguments: str) -> str:
    found = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=10, check=True)
    return found.stdout.decode("utf-8", "replace").strip()  # names of files, in whatever encoding
