"""What the tests with generated inputs share: how many inputs, which nets, and how to expect a documented error.

Shapes come from a small fixed set, so that a program compiles once; what varies is in the values. The inputs are the
same in every run. `GENERATED=long` takes twenty times as many and other ones each time.
"""

import collections
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

TIMES = 20 if os.environ.get("GENERATED") == "long" else 1
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=TIMES == 1,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")

TINY = float(np.finfo(np.float32).tiny)
LARGEST = float(np.finfo(np.float32).max)
SCALES = (1.0, 1e-30, 1e30, 1e-37, 1e37)

# Inputs of a run, by test module.
COUNTS: collections.Counter[str] = collections.Counter()

# What is no count: each is refused with a message that names the argument.
NO_COUNTS = (True, False, 2.0, 2.5, np.float32(3), "2", None, float("nan"), (2,), np.arange(3))


def examples(count: int) -> Callable[[Any], Any]:
    """Run a test on this many generated inputs, and add them to `COUNTS`."""

    def mark(test: Any) -> Any:
        COUNTS[test.__module__] += count
        return hypothesis.settings(max_examples=TIMES * count)(test)

    return mark


def refused(call: Callable[[], Any], *names: str) -> None:
    """The call ends in a `ValueError` whose text begins with one of the arguments' names."""
    with pytest.raises(ValueError, match=rf"^({'|'.join(names)})\b"):
        call()


def seeds() -> st.SearchStrategy[int]:
    """Seeds for NumPy, which fills arrays faster than Hypothesis does."""
    return st.integers(0, 2**32 - 1)


def values(rng: np.random.Generator, kind: str, size: int, scale: float) -> np.ndarray:
    """Finite float32 weights [size] of a kind of `KINDS`."""
    return np.clip(scale * KINDS[kind](rng, size), -LARGEST, LARGEST).astype(np.float32)


def _spread(exponent: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    return lambda rng, size: rng.choice([-1, 1], size) * 10 ** rng.uniform(-exponent, exponent, size)


KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "clear of 0": lambda rng, size: rng.choice([-1, 1], size) * rng.uniform(0.1, 2, size),
    "heavy": lambda rng, size: rng.standard_t(2, size),
    "whole": lambda rng, size: rng.integers(-3, 4, size),
    "equal": lambda rng, size: np.full(size, rng.choice([-1.5, 1.0])),
    "wide": _spread(20),
    "widest": _spread(37),
    "huge": lambda rng, size: rng.uniform(-1, 1, size) * LARGEST,
    "least": lambda rng, size: rng.choice([-1, 1], size) * rng.uniform(1, 9, size) * TINY,
    "subnormal": lambda rng, size: rng.uniform(-2, 2, size) * TINY,
}
ORDINARY = ("normal", "clear of 0", "heavy", "whole", "equal")


@st.composite
def kernels(
    draw: st.DrawFn, widths: Sequence[int], kinds: Sequence[str] = tuple(KINDS), scales: Sequence[float] = SCALES
) -> list[np.ndarray]:
    """Finite float32 kernels: zeros, dead neurons, whole zero layers and separate parts among them."""
    rng = np.random.default_rng(draw(seeds()))
    kind, density = draw(st.sampled_from(kinds)), draw(st.sampled_from([1.0, 0.6, 0.3]))
    scale = draw(st.sampled_from(scales)) if kind in ORDINARY else 1.0
    parts = draw(st.sampled_from([1, 1, 2, 3]))
    alive = [rng.random(width) >= draw(st.sampled_from([0.0, 0.0, 0.3])) for width in widths]
    dead_layer = draw(st.integers(-4, len(widths) - 2))
    made = []
    for layer, (rows, columns) in enumerate(itertools.pairwise(widths)):
        kernel = values(rng, kind, rows * columns, scale).reshape(rows, columns)
        together = np.arange(rows)[:, None] * parts // rows == np.arange(columns)[None, :] * parts // columns
        kept = together & (rng.random((rows, columns)) < density) & alive[layer][:, None] & alive[layer + 1][None, :]
        made.append(np.where(kept & (layer != dead_layer), kernel, 0).astype(np.float32))
    return made


@st.composite
def edges(draw: st.DrawFn, num_nodes: int, num_edges: int, kinds: Sequence[str] = tuple(KINDS)) -> tuple:
    """Senders, receivers and float32 weights: double edges, edges of weight 0 and separate parts among them."""
    rng = np.random.default_rng(draw(seeds()))
    kind = draw(st.sampled_from(kinds))
    scale = draw(st.sampled_from(SCALES)) if kind in ORDINARY else 1.0
    used = draw(st.integers(2, num_nodes))
    ends = np.array([rng.choice(used, 2, replace=False) for _ in range(num_edges)])
    weights = values(rng, kind, num_edges, scale)
    weights = np.where(rng.random(num_edges) < draw(st.sampled_from([1.0, 0.5])), weights, 0)
    return ends[:, 0], ends[:, 1], weights.astype(np.float32)


@st.composite
def labels(draw: st.DrawFn, size: int, num_clusters: int) -> np.ndarray:
    """Labels of all vertices, -1 and empty clusters among them."""
    rng = np.random.default_rng(draw(seeds()))
    low, high = draw(st.sampled_from([(0, num_clusters), (-1, num_clusters), (0, 1), (num_clusters - 1, num_clusters)]))
    return rng.integers(low, high, size)


def counts(least: int) -> st.SearchStrategy[Any]:
    """What is no count, or one that is too small."""
    return st.sampled_from(NO_COUNTS) | st.integers(-3, least - 1)


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "float32": np.asarray,
    "float64": lambda w: w.astype(np.float64),
    "float16": lambda w: np.clip(w, -6e4, 6e4).astype(np.float16),
    "bfloat16": lambda w: np.clip(w, -3e38, 3e38).astype(ml_dtypes.bfloat16),
    "int8": lambda w: np.clip(w, -128, 127).astype(np.int8),
    "int64": lambda w: np.clip(w, -9e18, 9e18).astype(np.int64),
    "bool": lambda w: w > 0,
    "list": lambda w: w.tolist(),
    "column order": np.asfortranarray,
    "view": lambda w: np.repeat(np.repeat(w, 2, axis=0), 2, axis=1)[::2, ::2],
}
