"""Cold: how long the first result takes in a fresh process without compiled programs, beside another checkout's.

Processor seconds of compilation are those that all threads of the process use between JAX's word that a compilation
begins and its word that it has ended (`runs/compilation.py`). A machine that is busy with other things changes them
much less than wall-clock, and the compiler's own threads count. What an asynchronous computation uses meanwhile counts
too; the tasks wait for nearly all they compute before they compile again.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from experiments.benchmarks.children import left_to_the_parent
from experiments.benchmarks.cold_child import TASKS
from experiments.benchmarks.measure import Row
from experiments.benchmarks.study_net import WIDTHS

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SLOW_SECONDS = 0.1  # a program that takes longer is counted
NUM_SLOWEST = 20
FULL = {"widths": WIDTHS, "num_shuffles": 20, "digits_flags": []}
TOY = {"widths": (12, 8, 4), "num_shuffles": 2, "digits_flags": [f"--config={CHECKOUT}/configs/digits.py:quick"]}
_CHILD = pathlib.Path(__file__).with_name("cold_child.py")
_CACHE = "JAX_COMPILATION_CACHE_DIR"


def cold_rows(
    against: pathlib.Path | None = None,
    *,
    tasks: Sequence[str] = tuple(TASKS),
    rounds: int = 3,
    settings: dict[str, Any] = FULL,
    advance: Callable[[str], None] = lambda _: None,
) -> tuple[list[Row], list[Row]]:
    """For each task and side a row of medians, and a row for each of our slowest programs.

    Args:
      against: another checkout; None for ours alone. The sides take turns, and a third row has ours over theirs.
      tasks: of `cold_child.TASKS`.
      rounds: fresh processes of each task and side.
      settings: of the tasks.
      advance: is told of each process that has come to its end.

    Raises:
      ValueError: if `against` is no checkout, or a task fails.
    """
    sides = {"ours": CHECKOUT} | ({"theirs": check_checkout(against)} if against else {})
    for checkout in sides.values():
        run_task("import", checkout, settings)  # whose files Python compiles but once
    found: dict[tuple[str, str], list[dict[str, Any]]] = {(task, side): [] for task in tasks for side in sides}
    for _ in range(rounds):
        for task in tasks:
            for side, checkout in sides.items():
                found[task, side].append(run_task(task, checkout, settings))
                advance(f"{task}, {side}: {found[task, side][-1]['seconds']:.1f} s")
    rows, programs = [], []
    for task in tasks:
        own = [_row(task, side, found[task, side]) for side in sides]
        rows += own + ([_ratios(*own)] if against else [])
        programs += _slowest(task, found[task, "ours"][-1])
    return rows, programs


def check_checkout(path: pathlib.Path) -> pathlib.Path:
    """The path, absolute.

    Raises:
      ValueError: if it is no checkout of this project.
    """
    for part in ("modularity_jax", "experiments"):
        if not (path / part / "__init__.py").exists():
            raise ValueError(f"--against must be a checkout of this project, {path} has no {part}/__init__.py")
    return path.resolve()


def run_task(task: str, checkout: pathlib.Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What one fresh process says of its task."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        environment = {name: value for name, value in os.environ.items() if name != _CACHE}
        environment["PYTHONPATH"] = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # this process may hold most of a GPU already
        if task == "digits":  # a launcher keeps its programs; the library does not, unless told so
            environment[_CACHE] = str(place / "programs")
        given = settings | {
            "task": task,
            "checkout": str(checkout),
            "out": str(place / "found.json"),
            "workdir": str(place / "run"),
            "started": time.time(),
        }
        command = [sys.executable, "-P", str(_CHILD), json.dumps(given)]
        with left_to_the_parent():
            child = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        try:
            _, errors = child.communicate()
        finally:
            child.kill()
        if child.returncode:
            last = (errors.strip().splitlines() or ["without a word"])[-1]
            raise ValueError(f"the task {task} of {checkout} ended with exit code {child.returncode}: {last}")
        found: dict[str, Any] = json.loads((place / "found.json").read_text(encoding="utf-8"))
        return found


def _row(task: str, side: str, found: Sequence[dict[str, Any]]) -> Row:
    """Medians of the rounds."""

    def median(values: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(values(one) for one in found)

    return {
        "task": task,
        "side": side,
        "first result s": median(lambda one: one["seconds"]),
        "CPU s": median(lambda one: one["cpu_seconds"]),
        "compile s": median(lambda one: one["compile_seconds"]),
        "compile CPU s": median(lambda one: one["compile_cpu_seconds"]),
        "trace s": median(lambda one: one["trace_seconds"]),
        "programs": median(lambda one: len(one["programs"])),
        f"above {SLOW_SECONDS} s": median(lambda one: sum(seconds > SLOW_SECONDS for _, seconds, _ in one["programs"])),
    }


def _ratios(ours: Row, theirs: Row) -> Row:
    """Ours over theirs, number by number; None where theirs is 0."""
    numbers = [name for name in ours if name not in ("task", "side")]
    ratios = {name: ours[name] / theirs[name] if theirs[name] else None for name in numbers}
    return {"task": ours["task"], "side": "ratio", **ratios}


def _slowest(task: str, found: dict[str, Any]) -> list[Row]:
    """The programs that took longest in one round."""
    slow = sorted((program for program in found["programs"] if program[1] > SLOW_SECONDS), key=lambda one: -one[1])
    return [
        {"task": task, "program": name, "compile s": seconds, "compile CPU s": cpu}
        for name, seconds, cpu in slow[:NUM_SLOWEST]
    ]
