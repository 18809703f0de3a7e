"""Device: what an accelerator does, in minutes; the most important first, each row as soon as it is there.

A row that fails, for want of memory or of data, says why, and the next begins. One process measures all, so a row's
peak memory is the most that the process has held until then.
"""

import functools
import time
from collections.abc import Callable, Iterator

import jax

from experiments.benchmarks import device_rows as rows
from experiments.benchmarks.device_rows import Bench, Found, Sizes
from experiments.benchmarks.measure import Row
from modularity_jax.runs.compilation import CompileWatch

Measure = Callable[[Bench], Iterator[Found]]


def measure_device(
    sizes: Sizes, data_dir: str | None, *, budget_seconds: float, write: Callable[[Row], None]
) -> list[Row]:
    """The rows, each written when it is there.

    Args:
      sizes: `device_rows.FULL` or `TOY`.
      data_dir: where the data set lies; None where TensorFlow Datasets is to bring it.
      budget_seconds: after these no row but the machine's is begun; what is left is named in one.
      write: takes each row.
    """
    start, bench, found = time.monotonic(), Bench(sizes, data_dir), []
    plan = plan_of(sizes)
    for index, (name, measure) in enumerate(plan):
        if index and time.monotonic() - start > budget_seconds:
            left = "; ".join(name for name, _ in plan[index:])
            found.append(_row(Found("left out", None, "", f"after {budget_seconds:.0f} s: {left}"), 0, 0))
            write(found[-1])
            break
        for row in _measured(name, measure, bench):
            found.append(row)
            write(row)
    return found


def plan_of(sizes: Sizes) -> list[tuple[str, Measure]]:
    """What is measured, with names for what fails, the most important first."""
    many, *fewer = sizes.num_networks
    widest, *narrower = sizes.wide
    few, *more = sizes.num_clusters

    def shuffles(count: int, group: int | None = None) -> tuple[str, Measure]:
        name = f"a shuffle, k = {count}, groups of {group or 'the default'}"
        return name, functools.partial(rows.shuffles, num_clusters=count, group=group)

    def training(count: int) -> tuple[str, Measure]:
        return f"training, {count} networks", functools.partial(rows.training, num_networks=count)

    def wide(width: int) -> tuple[str, Measure]:
        return f"cluster at width {width}", functools.partial(rows.wide, width=width)

    return [
        ("machine", rows.machine),
        ("first results", rows.first_results),
        *(shuffles(count) for count in sizes.num_clusters),
        training(many),
        ("lesions, single", rows.lesions),
        *(
            (f"correctness, k = {count}", functools.partial(rows.correctness, num_clusters=count))
            for count in sizes.num_clusters
        ),
        ("digits config", rows.demo),
        wide(widest),
        *(shuffles(few, group) for group in sizes.groups),
        *map(training, fewer),
        *map(wide, narrower),
        *(shuffles(count, group) for count in more for group in sizes.groups),
        ("lesions, joint", functools.partial(rows.lesions, kind="joint", num_shuffles=10)),
    ]


def _measured(name: str, measure: Measure, bench: Bench) -> Iterator[Row]:
    """A row for all that a measurement finds, and one for what ends it early."""
    with CompileWatch() as watch:
        start, compiled = time.monotonic(), 0.0
        try:
            for found in measure(bench):
                yield _row(found, watch.seconds - compiled, time.monotonic() - start)
                start, compiled = time.monotonic(), watch.seconds
        except Exception as error:  # of any kind: what comes next may well work
            why = f"failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            yield _row(Found(name, None, "", why), watch.seconds - compiled, time.monotonic() - start)


def _row(found: Found, compile_seconds: float, seconds: float) -> Row:
    stats = jax.devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use")
    return {
        "row": found.name,
        "value": None if found.value is None else float(found.value),
        "unit": found.unit,
        "compile s": compile_seconds,
        "took s": seconds,
        "peak GB so far": None if peak is None else peak / 1e9,
        "note": found.note,
    }
