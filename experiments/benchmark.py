"""Speed beside the peers', a checkout's or a device's: `python -m experiments.benchmark NAME`, see `BENCHMARKS`."""

from experiments import launcher  # first, because it ends with one line what cannot be imported

# isort: split
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

import jax
from absl import flags

from experiments.benchmarks import cold, device_rows
from experiments.benchmarks.device import measure_device
from experiments.benchmarks.lesion import lesion_rows
from experiments.benchmarks.measure import Row, text_table
from experiments.benchmarks.scale import scale_rows, slope
from experiments.benchmarks.shuffle_test import shuffle_test_rows
from experiments.benchmarks.train import train_rows
from modularity_jax.data.paths import local_path
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs.commands import command_line
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages.inputs import load_params, load_samples
from modularity_jax.runs.workdir import describe_machine, open_workdir, write_json

_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds, of which the median is reported.", lower_bound=1)
_SEEDS = flags.DEFINE_integer("num_seeds", 8, "train: networks of the sweep.", lower_bound=1)
_WIDTHS = flags.DEFINE_multi_integer("width", [256, 512, 1024, 2048, 4096, 8192], "scale: hidden layers' widths.")
_SPARSITIES = flags.DEFINE_multi_float("sparsity", [0.0, 0.9, 0.99], "scale: shares of weights that are 0.")
_PEER_SECONDS = flags.DEFINE_float("peer_seconds", 600, "scale: time for scikit-learn at each sparsity.")
_AGAINST = flags.DEFINE_string("against", None, "cold: another checkout, which takes turns with this one.")
_TOY = flags.DEFINE_bool("toy", False, "cold, device: toy sizes, which show that it works.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "device: where MNIST lies, as --config.data.dir.")
_BUDGET = flags.DEFINE_float("budget_seconds", 300, "device: no row is begun after these.", lower_bound=0)
_OUT = flags.DEFINE_string("out", None, "JSON file of the rows; runs/benchmark_<name>.json by default.")

_NET_PHASES = ("pruned", "unpruned")

Tables = Mapping[str, list[Row]]  # by name; those that a benchmark is about are its "rows"


def _shuffle_test() -> Tables:
    workdir = open_workdir(launcher.workdir_path())
    nets = {phase: [layer["kernel"] for layer in load_params(workdir, phase)[0].values()] for phase in _NET_PHASES}
    return {"rows": shuffle_test_rows(nets, seed_mesh(), rounds=_ROUNDS.value)}


def _train() -> Tables:
    config, seeds = open_workdir(launcher.workdir_path()).config, _SEEDS.value
    rows = train_rows(load_samples(config), seed_mesh(), model=config.model, num_seeds=seeds, rounds=_ROUNDS.value)
    return {"rows": rows}


def _lesion() -> Tables:
    workdir = open_workdir(launcher.workdir_path())
    params, samples = load_params(workdir, "pruned")[0], load_samples(workdir.config)
    settings = {"num_clusters": workdir.config.lesion.num_clusters, "rounds": _ROUNDS.value}
    return {"rows": lesion_rows(params, samples, seed_mesh(), **settings)}


def _scale() -> Tables:
    widths, sparsities = _WIDTHS.value, _SPARSITIES.value
    with Progress("clustering", len(widths) * len(sparsities)) as progress:
        limits = {"rounds": _ROUNDS.value, "peer_seconds": _PEER_SECONDS.value}
        rows = scale_rows(widths, sparsities, advance=progress.advance, **limits)
    return {"rows": [row | {"slope": slope(rows, row["sparsity"]) if len(widths) > 3 else None} for row in rows]}


def _cold() -> Tables:
    against = local_path("--against", _AGAINST.value) if _AGAINST.value else None
    settings = cold.TOY if _TOY.value else cold.FULL
    total = len(cold.TASKS) * _ROUNDS.value * (1 + bool(against))
    with Progress("fresh processes", total) as progress:
        rows, programs = cold.cold_rows(against, rounds=_ROUNDS.value, settings=settings, advance=progress.advance)
    return {"programs": programs, "rows": rows}  # what is asked for ends the output


def _device() -> Tables:
    jax.config.update("jax_enable_compilation_cache", False)  # the first call is one of the rows
    lines = _out("device").with_suffix(".jsonl")
    lines.parent.mkdir(parents=True, exist_ok=True)
    sizes = device_rows.TOY if _TOY.value else device_rows.FULL
    data_dir = str(local_path("--data_dir", _DATA_DIR.value)) if _DATA_DIR.value else None
    with lines.open("w", encoding="utf-8") as file:

        def write(row: Row) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()
            value = "" if row["value"] is None else f"{row['value']:.3g} {row['unit']}"
            print(", ".join(filter(None, (f"{row['row']}: {value}", row["note"]))), flush=True)  # noqa: T201

        return {"rows": measure_device(sizes, data_dir, budget_seconds=_BUDGET.value, write=write)}


BENCHMARKS: dict[str, Callable[[], Tables]] = {
    "shuffle_test": _shuffle_test,
    "train": _train,
    "lesion": _lesion,
    "scale": _scale,
    "cold": _cold,
    "device": _device,
}


def _out(name: str) -> pathlib.Path:
    return local_path("--out", _OUT.value or f"runs/benchmark_{name}.json")


def main(arguments: Sequence[str]) -> None:
    """Run one benchmark, print its table and write its rows."""
    if len(arguments) != 1 or arguments[0] not in BENCHMARKS:
        raise ValueError(f"the benchmark must be one of {', '.join(BENCHMARKS)}, got {' '.join(arguments) or 'none'}")
    out = _out(arguments[0])
    tables = BENCHMARKS[arguments[0]]()
    write_json(out, {"command": command_line(), "machine": describe_machine(), **tables})
    for rows in filter(None, tables.values()):
        print(f"{text_table(rows)}\n")  # noqa: T201
    print(f"Rows: {out}")  # noqa: T201


if __name__ == "__main__":
    launcher.start(main)
