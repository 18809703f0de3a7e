"""Checks at the public edge: each raises a `ValueError` that names the argument and what it got.

Sizes and names are always checked. Values are checked only where they are concrete: under `jit`, `vmap` or `grad`
there is nothing to look at.
"""

import itertools
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.libraries import advice, dense_form
from modularity_jax.parallel import without_explicit_sharding
from modularity_jax.programs import is_concrete

# Vertices are numbered in int32.
MAX_NODES = 2**31 - 1

THREEFRY = "threefry2x32"


def as_array(name: str, values: Any) -> np.ndarray | jax.Array:
    """A JAX array as it is, anything else as NumPy has it: JAX would wrap whole numbers beyond int32 around.

    What NumPy would drop on the way is refused: sparse matrices, which it wraps up, and masks.
    """
    if isinstance(values, jax.Array):
        return without_explicit_sharding(values)
    if not is_concrete(values):
        return jnp.asarray(values)
    if form := dense_form(values):
        raise ValueError(f"{name} must be a dense array, got a sparse {type(values).__name__}; pass its {form}")
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not have masked entries, got {np.ma.count_masked(values)} of them")
    try:
        return np.asarray(values)
    except Exception as error:  # whatever the library that they come from raises
        raise ValueError(f"{name} must be an array, got what NumPy cannot make one of: {error}") from error


def as_weights(name: str, values: Any) -> np.ndarray | jax.Array:
    """As `as_array`; what a NumPy mask hides is pruned, a weight of 0."""
    return as_array(name, np.ma.filled(values, 0) if isinstance(values, np.ma.MaskedArray) else values)


def as_numbers(name: str, values: Any) -> np.ndarray | jax.Array:
    """An array of real numbers or booleans."""
    array = as_array(name, values)
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")
    return array


def as_integers(name: str, values: Any) -> np.ndarray | jax.Array:
    """An array of integers; an empty list, which NumPy takes for floats, is one."""
    array = as_array(name, values)
    if not array.size:
        return array.astype(np.int32)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        held = as_numbers(name, array).dtype  # as JAX would hold it
        raise ValueError(f"{name} must be integers, got {jax.dtypes.canonicalize_dtype(held)}")
    return array


def check_sequence(name: str, values: Any) -> None:
    """Something to go through in order, whose entries are not names."""
    if isinstance(values, Mapping | str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise ValueError(f"{name} must be a sequence, got {type(values).__name__}{advice(values)}")


def check_kernel_shapes(shapes: Sequence[tuple[int, ...]]) -> None:
    """A network is at least one kernel [d_in, d_out], each as tall as the one before it is wide."""
    if not shapes:
        raise ValueError("weights must hold at least one layer, got none")
    for index, shape in enumerate(shapes):
        if len(shape) != 2:
            raise ValueError(f"weights[{index}] must have shape [d_in, d_out], got {shape}")
        if 0 in shape:
            raise ValueError(f"weights[{index}] must not be empty, got {shape}")
    for index, (before, after) in enumerate(itertools.pairwise(shapes)):
        if before[1] != after[0]:
            raise ValueError(
                f"weights must chain: weights[{index}] has shape {before}, so weights[{index + 1}] "
                f"needs {before[1]} rows, got {after}{hint_of_layout(shapes)}"
            )


def hint_of_layout(shapes: Sequence[tuple[int, ...]]) -> str:
    """What to do where kernels chain the other way round, as the end of an error's text."""
    chain = all(len(after) == 2 and before[0] == after[1] for before, after in itertools.pairwise(shapes))
    return "; transposed they chain: PyTorch and Equinox keep [out, in], so pass weight.T" if chain else ""


def check_finite(name: str, values: jax.Array | np.ndarray) -> None:
    """No NaN and no infinity."""
    if is_concrete(values):
        bad = int(np.size(values) - np.isfinite(np.asarray(values)).sum())
        if bad:
            raise ValueError(f"{name} must be finite, got {bad} non-finite of {np.size(values)} values")


def check_edges(
    senders: np.ndarray | jax.Array, receivers: np.ndarray | jax.Array, weights: np.ndarray | jax.Array, num_nodes: int
) -> None:
    """Edges are three arrays [E] whose ends are two different vertices below num_nodes."""
    shapes = senders.shape, receivers.shape, weights.shape
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ValueError(f"senders, receivers and weights must have one shape [E], got {', '.join(map(str, shapes))}")
    check_count("num_nodes", num_nodes, 1)
    if num_nodes > MAX_NODES:
        raise ValueError(f"num_nodes must be at most {MAX_NODES}, got {num_nodes}")
    if not is_concrete((senders, receivers)):
        return
    named = {"senders": np.asarray(senders), "receivers": np.asarray(receivers)}
    for name, ends in named.items():
        if ends.size and (ends.min() < 0 or ends.max() >= num_nodes):
            raise ValueError(f"{name} must lie in 0..{num_nodes - 1}, got {ends.min()}..{ends.max()}")
    loops = named["senders"][named["senders"] == named["receivers"]]
    _check_no_loops("senders and receivers must differ", loops, "leave them out: such an edge is never cut")


def _check_no_loops(rule: str, loops: np.ndarray, instead: str) -> None:
    """No edge from a vertex to itself."""
    if loops.size:
        raise ValueError(f"{rule}, got {loops.size} edges from a vertex to itself, first at {loops[0]}; {instead}")


def check_square(name: str, matrix: Any) -> None:
    """A matrix [N, N]."""
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must have shape [N, N], got {matrix.shape}")


def check_adjacency(adjacency: Any) -> None:
    """A square matrix, NumPy's or SciPy's, that equals its transpose and has no diagonal."""
    if not adjacency.size:
        return
    difference, largest = abs(adjacency - adjacency.T).max(), abs(adjacency).max()
    if difference > 1e-6 * largest:
        raise ValueError(
            f"matrix must be symmetric, got entries that differ from their mirror by up to {difference:.3g}; of a "
            "directed graph pass A + A.T"
        )
    loops = np.flatnonzero(adjacency.diagonal())
    _check_no_loops("matrix must have a zero diagonal", loops, "pass A - scipy.sparse.diags_array(A.diagonal())")


def check_graph(graph: Any) -> None:
    """Something with the protocol `Graph`; a list of kernels, say, is none yet."""
    if not hasattr(graph, "neighbour_min"):
        known = "a LayeredGraph, a BlockGraph, a SparseGraph or a DenseGraph"
        raise ValueError(f"graph must be {known}, got {type(graph).__name__}{advice(graph)}")


def check_num_clusters(num_clusters: int, graph: Any) -> None:
    """At least 2 clusters, at most one per connected vertex, and edges to cut."""
    check_count("num_clusters", num_clusters, 2)
    connected = graph.num_nodes
    if is_concrete(graph):
        with jax.ensure_compile_time_eval():  # under a jit that closes over the graph, too
            connected = int(graph.connected().sum())
        check_some_edge(connected)
    if num_clusters > connected:
        raise ValueError(
            f"num_clusters must be at most the number of connected neurons, {connected}, got {num_clusters}"
        )


def check_some_edge(number: int) -> None:
    """A graph with any number of edges, or of vertices that have one."""
    if not number:
        raise ValueError("graph must have at least one edge, got none: every weight is 0")


def check_clusters(labels: np.ndarray | jax.Array, num_clusters: int, num_nodes: int) -> None:
    """One label per vertex, integers, each in -1..num_clusters - 1."""
    if labels.shape != (num_nodes,):
        raise ValueError(f"labels must have shape ({num_nodes},), one per vertex, got {labels.shape}")
    if is_concrete(labels):
        low, high = np.asarray(labels).min(), np.asarray(labels).max()
        if low < -1 or high >= num_clusters:
            raise ValueError(f"labels must lie in -1..{num_clusters - 1}, got {low}..{high}")


def as_partition(graph: Any, labels: Any, num_clusters: int) -> jax.Array:
    """Labels of a graph's vertices, [N] int32."""
    check_graph(graph)
    check_count("num_clusters", num_clusters, 2)
    given = as_integers("labels", labels)
    check_clusters(given, num_clusters, graph.num_nodes)
    return jnp.asarray(given, jnp.int32)


def as_members(graph: Any, labels: Any, num_clusters: int) -> jax.Array:
    """The share of each of a graph's vertices in each cluster, [K, N]; of labels [N], or of such shares [N, K]."""
    if np.ndim(labels) != 2:
        given = as_partition(graph, labels, num_clusters)
        return given[None, :] == jnp.arange(num_clusters, dtype=jnp.int32)[:, None]
    check_graph(graph)
    check_count("num_clusters", num_clusters, 2)
    shares = as_numbers("labels", labels)
    if shares.shape != (graph.num_nodes, num_clusters):
        raise ValueError(f"labels must be [N] or [N, K] with N={graph.num_nodes}, K={num_clusters}, got {shares.shape}")
    return jnp.asarray(shares).T


def check_choice(name: str, value: Any, known: Sequence[Any]) -> None:
    """One of the known words, or values."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}")


def check_at_least(name: str, value: int, least: int) -> None:
    """A count that is large enough."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_count(name: str, value: Any, least: int) -> None:
    """A whole number that is large enough."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    check_at_least(name, int(value), least)


def check_gamma(gamma: Any) -> None:
    """A resolution of modularity."""
    if isinstance(gamma, bool) or not isinstance(gamma, numbers.Real) or not 0 <= float(gamma) < float("inf"):
        raise ValueError(f"gamma must be a finite number of at least 0, got {gamma!r}")


def as_key(key: Any) -> jax.Array:
    """A Threefry key made of one key of jax.random, old-style ones (arrays of uint32) included; the same if it is one.

    XLA's own generator, which keys of "rbg" call, draws other bits under another vmap: what a shuffle is would depend
    on what runs beside it. So only the words of such a key count.
    """
    if not isinstance(key, jax.Array | np.ndarray):
        raise ValueError(f"key must be one key, as jax.random.key(0) is, got {type(key).__name__}")
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not (key.shape == () if typed else key.dtype == np.uint32 and len(key.shape) == 1 and key.size >= 2):
        raise ValueError(f"key must be one key, as jax.random.key(0) is, got {key.dtype} of shape {key.shape}")
    if isinstance(key, jax.Array) and typed and str(jax.random.key_impl(key)) == THREEFRY:
        return key
    words = jax.random.key_data(jnp.asarray(key)) if typed else jnp.asarray(key)
    threefry = jax.random.wrap_key_data(words[:2], impl=THREEFRY)
    for word in words[2:]:
        threefry = jax.random.fold_in(threefry, word)
    return threefry
