"""Scale: `cluster` on ever wider networks, each in a process of its own, so that its peak memory is its own."""

import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.children import left_to_the_parent
from experiments.benchmarks.measure import Row
from experiments.benchmarks.shuffle_test import SOLVERS

NUM_CLUSTERS = 8
HIDDEN_LAYERS = 8
INPUTS, OUTPUTS = 784, 10


def scale_rows(
    widths: Sequence[int],
    sparsities: Sequence[float] = (0.0, 0.9, 0.99),
    *,
    rounds: int = 3,
    peer_seconds: float = 600,
    advance: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """A row for each width and share of zero weights: random networks of 8 hidden layers, k = 8.

    Args:
      widths: of the hidden layers, ascending.
      sparsities: shares of weights that are zero.
      rounds: the median of these calls is reported, after a first one that compiles.
      peer_seconds: for each sparsity, scikit-learn goes on to the next width within this time, by the solver that was
        the fastest at the narrowest.
      advance: is told of each finished row.
    """
    rows = []
    for sparsity in sparsities:
        left, solver = peer_seconds, _best_solver(widths[0], sparsity) if peer_seconds else ""
        for width in widths:
            ours = _in_process(_ours, width, sparsity, rounds, timeout=None)
            if not ours:
                raise MemoryError(f"clustering at width {width} did not come to its end; leave out --width={width}")
            theirs = _in_process(_theirs, width, sparsity, solver, timeout=left)
            left = left - theirs["seconds"] if theirs else 0.0
            edges, weights = ours["edges"], ours["weights"]
            rows.append(
                {
                    "sparsity": sparsity,
                    "width": width,
                    "weights": weights,
                    "edges": edges,
                    "ours s": ours["seconds"],
                    "memory to weights": ours["bytes"] / (4 * weights),
                    "scikit-learn s": theirs.get("seconds"),
                    "solver": solver,
                    "times": theirs["seconds"] / ours["seconds"] if theirs else None,
                    "compile s": ours["first"] - ours["seconds"],
                    "converged": ours["converged"],
                }
            )
            advance(f"width {width}, {sparsity:.0%} zero: {ours['seconds']:.2f} s")
    return rows


def slope(rows: Sequence[Row], sparsity: float) -> float:
    """Slope of log time against log edges over the wider half of the widths."""
    chosen = [row for row in rows if row["sparsity"] == sparsity]
    upper = chosen[len(chosen) // 2 :]
    edges, seconds = (np.log([row[name] for row in upper]) for name in ("edges", "ours s"))
    return float(np.polyfit(edges, seconds, 1)[0])


def random_kernels(width: int, sparsity: float) -> list[np.ndarray]:
    """Kernels of the network, float32, i.i.d. normal values at a share of the places."""
    rng = np.random.default_rng(width)
    sides = [INPUTS, *[width] * HIDDEN_LAYERS, OUTPUTS]
    kernels = []
    for shape in zip(sides, sides[1:], strict=False):
        kernel = rng.standard_normal(shape, np.float32)
        if sparsity:
            kernel *= rng.random(shape, np.float32) >= sparsity
        kernels.append(kernel)
    return kernels


def _ours(width: int, sparsity: float, rounds: int) -> dict[str, Any]:
    import jax

    import modularity_jax as mj

    jax.random.key(0).block_until_ready()
    before = _peak_bytes()
    kernels = random_kernels(width, sparsity)
    weights, edges = sum(k.size for k in kernels), int(sum(np.count_nonzero(k) for k in kernels))
    graph = mj.LayeredGraph.from_weights(kernels)
    del kernels
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        found = jax.block_until_ready(mj.cluster(graph, jax.random.key(0), num_clusters=NUM_CLUSTERS))
        taken.append(time.perf_counter() - start)
    return {
        "seconds": float(np.median(taken[1:])),
        "first": taken[0],
        "bytes": _peak_bytes() - before,
        "weights": weights,
        "edges": edges,
        "converged": bool(found.converged),
    }


def _best_solver(width: int, sparsity: float) -> str:
    """scikit-learn's fastest solver at a width; amg where pyamg is installed."""
    solvers = [name for name in SOLVERS if name != "amg" or importlib.util.find_spec("pyamg")]
    seconds = {name: _in_process(_theirs, width, sparsity, name, timeout=60).get("seconds", 60) for name in solvers}
    return min(seconds, key=seconds.__getitem__)


def _theirs(width: int, sparsity: float, solver: str) -> dict[str, Any]:
    from experiments.benchmarks.peers import spectral_ncut

    kernels = [np.abs(kernel) for kernel in random_kernels(width, sparsity)]
    start = time.perf_counter()
    spectral_ncut(kernels, num_clusters=NUM_CLUSTERS, solver=solver, seed=0)
    return {"seconds": time.perf_counter() - start}


def _peak_bytes() -> int:
    """Most memory that this process has held."""
    import resource  # not on Windows, and the other benchmarks do without it

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _in_process(fn: Callable[..., dict[str, Any]], *args: Any, timeout: float | None) -> dict[str, Any]:
    """Result of fn(*args) from a fresh process; an empty one if that takes longer than the timeout, or more memory."""
    if timeout is not None and timeout <= 0:
        return {}
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, fn, args), daemon=True)
    with left_to_the_parent():
        process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(timeout) else {}
    except EOFError:  # the process was killed, most likely for its memory
        return {}
    finally:
        process.kill()
        process.join()


def _send(sender: Any, fn: Callable[..., dict[str, Any]], args: tuple[Any, ...]) -> None:
    sender.send(fn(*args))
