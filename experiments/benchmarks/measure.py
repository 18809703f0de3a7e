"""What all benchmarks share: medians of alternating rounds, the machine's matmul rate, tables."""

import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

Row = dict[str, Any]
Shape = tuple[int, int, int]

# Long enough for a clock, short enough to repeat.
_RATE_SECONDS = 0.3


def median_seconds(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of the seconds that each run returns; the runs take turns, so that drift meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(run())
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def seconds_of(fn: Callable[[], Any]) -> float:
    """Wall-clock of one call, its arrays' computation included."""
    start = time.perf_counter()
    jax.block_until_ready(fn())
    return time.perf_counter() - start


def matmul_rate(shapes: Sequence[Shape]) -> float:
    """Floating-point operations a second of products [m, k] x [k, n] in these shapes, all local devices at work.

    Each device multiplies operands of its own, one product after the other.
    """
    devices = jax.local_devices()
    mesh = Mesh(devices, ("device",), axis_types=(AxisType.Auto,))
    operands = [(jnp.ones((m, k)), jnp.ones((k, n))) for m, k, n in shapes]
    _products(operands, 1, mesh)
    repeats = max(1, int(_RATE_SECONDS / seconds_of(lambda: _products(operands, 1, mesh))))
    seconds = statistics.median(seconds_of(lambda: _products(operands, repeats, mesh)) for _ in range(3))
    return 2 * sum(m * k * n for m, k, n in shapes) * repeats * len(devices) / seconds


@functools.partial(jax.jit, static_argnums=2)
def _products(operands: Sequence[tuple[jax.Array, jax.Array]], repeats: int, mesh: Mesh) -> jax.Array:
    """All products, repeated on each device; a sum that depends on all of them."""

    def on_device(offset: jax.Array, operands: Any) -> jax.Array:
        def body(_: jax.Array, total: jax.Array) -> jax.Array:
            # Nothing leaves the loop, since the operands wait for the sum so far, and every product is made whole.
            pairs, total = jax.lax.optimization_barrier((operands, total))
            products = jax.lax.optimization_barrier([left @ right for left, right in pairs])
            return total + sum(product[0, 0] for product in products)

        return jax.lax.fori_loop(0, repeats, body, offset[0])[None]

    run = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(PartitionSpec(mesh.axis_names[0]), PartitionSpec()),
        out_specs=PartitionSpec(mesh.axis_names[0]),
        check_vma=False,
    )
    return run(jnp.zeros(mesh.size), operands)


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as aligned text; a key is the column's title."""
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
