"""Small nets and slow, plain references that the tests of the metric share."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.stats
import threadpoolctl

import modularity_jax as mj
from modularity_jax.metric import embedding
from modularity_jax.metric import kmeans as k_means

# Controls of weights, which the graph of a network has.
WEIGHT_METHODS = tuple(name for name, method in mj.METHODS.items() if not method.remade)

# Hidden and outer vertices of this net: rows and columns set to 0 leave them isolated.
HOLED_WIDTHS = (7, 9, 6)
HOLED_ISOLATED = {0: (0, 3), 1: (4,), 2: (1,)}


def random_weights(seed: int, widths: Sequence[int], density: float = 1.0) -> list[np.ndarray]:
    """Gaussian kernels with a share of non-zero entries."""
    rng = np.random.default_rng(seed)
    shapes = itertools.pairwise(widths)
    return [(rng.normal(size=s) * (rng.random(s) < density)).astype(np.float32) for s in shapes]


def random_net(seed: int, widths: Sequence[int], density: float = 1.0) -> mj.LayeredGraph:
    return mj.LayeredGraph.from_weights(random_weights(seed, widths, density))


def random_wiring(seed: int, widths: dict[str, int], pairs: Sequence[tuple[str, str]]) -> mj.BlockGraph:
    """A graph of Gaussian kernels between groups of these widths."""
    rng = np.random.default_rng(seed)
    return mj.wire([(a, b, rng.normal(size=(widths[a], widths[b])).astype(np.float32)) for a, b in pairs])


def residual_net(seed: int) -> mj.BlockGraph:
    """x -> h -> y with y reading x, too: a circle of three groups, so no two sides."""
    return random_wiring(seed, {"x": 6, "h": 9, "y": 5}, [("x", "h"), ("h", "y"), ("x", "y")])


def two_inputs(seed: int) -> mj.BlockGraph:
    """Two inputs into one hidden layer and a skip past two layers: two sides."""
    widths = {"left": 5, "right": 4, "h": 8, "g": 6, "out": 3}
    return random_wiring(seed, widths, [("left", "h"), ("right", "h"), ("h", "g"), ("g", "out"), ("left", "out")])


def recurrent_net(seed: int) -> mj.BlockGraph:
    """Inputs, recurrent hidden units and outputs."""
    return random_wiring(seed, {"in": 4, "h": 8, "out": 3}, [("in", "h"), ("h", "h"), ("h", "out")])


def holed_weights(seed: int = 0, density: float = 0.7) -> list[np.ndarray]:
    """Kernels that leave some neurons of every layer without an edge."""
    weights = random_weights(seed, HOLED_WIDTHS, density)
    for layer, units in HOLED_ISOLATED.items():
        for unit in units:
            if layer < len(weights):
                weights[layer][unit, :] = 0
            if layer > 0:
                weights[layer - 1][:, unit] = 0
    return weights


def planted_weights(seed: int, widths: Sequence[int], num_blocks: int, noise: float = 0.01) -> list[np.ndarray]:
    """Strong weights inside blocks of neurons that run through all layers, weak ones between blocks."""
    rng = np.random.default_rng(seed)
    kernels = []
    for rows, columns in itertools.pairwise(widths):
        same = block_labels(rows, num_blocks)[:, None] == block_labels(columns, num_blocks)[None, :]
        kernels.append(rng.uniform(0.5, 1.5, (rows, columns)) * np.where(same, 1, noise))
    return kernels


def block_labels(width: int, num_blocks: int) -> np.ndarray:
    """Block of each of a layer's neurons: equal parts in order."""
    return np.arange(width) * num_blocks // width


def random_edges(seed: int, num_nodes: int, num_edges: int, num_parts: int = 1, num_isolated: int = 0) -> tuple:
    """Random edges (senders, receivers, weights) inside num_parts parts; the last num_isolated vertices have none."""
    rng = np.random.default_rng(seed)
    part = np.arange(num_nodes - num_isolated) * num_parts // (num_nodes - num_isolated)
    pairs = np.array([(i, j) for i, j in itertools.combinations(range(part.size), 2) if part[i] == part[j]])
    chosen = pairs[rng.choice(len(pairs), num_edges, replace=False)]
    return chosen[:, 0], chosen[:, 1], rng.uniform(0.1, 2, num_edges).astype(np.float32)


def dense(graph: mj.LayeredGraph | mj.BlockGraph | mj.SparseGraph) -> np.ndarray:
    """Adjacency matrix [N, N], float64, entry by entry."""
    matrix = np.zeros((graph.num_nodes, graph.num_nodes))
    if isinstance(graph, mj.SparseGraph):
        for a, b, w in zip(*map(np.asarray, (graph.senders, graph.receivers, graph.weights)), strict=True):
            matrix[a, b] += w
            matrix[b, a] += w
        return matrix
    for block in graph.blocks():
        matrix[block.rows, block.columns] += np.asarray(block.weights)
        matrix[block.columns, block.rows] += np.asarray(block.weights).T
    return matrix


def sparse_twin(graph: mj.LayeredGraph) -> mj.SparseGraph:
    """The same graph as a list of edges."""
    return mj.SparseGraph.from_scipy(dense(graph))


def slow_ncut(adjacency: np.ndarray, labels: np.ndarray, num_clusters: int) -> float:
    """n-cut by two nested loops over the vertices."""
    total = 0.0
    for cluster in range(num_clusters):
        cut = volume = 0.0
        for i, row in enumerate(adjacency):
            if labels[i] != cluster:
                continue
            for j, weight in enumerate(row):
                volume += weight
                cut += weight if labels[j] != cluster else 0
        total += cut / volume if volume else 0
    return total


def spectrum(adjacency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of D^-1/2 A D^-1/2 on the connected vertices, largest first, by SciPy in float64."""
    connected = np.flatnonzero(adjacency.sum(axis=0) > 0)
    scale = adjacency.sum(axis=0)[connected] ** -0.5
    values, vectors = scipy.linalg.eigh(adjacency[np.ix_(connected, connected)] * scale[:, None] * scale[None, :])
    lifted = np.zeros((adjacency.shape[0], connected.size))
    lifted[connected] = vectors
    return values[::-1], lifted[:, ::-1]


def one_thread() -> threadpoolctl.threadpool_limits:
    """Context in which scikit-learn and BLAS take one thread; at these sizes more would only wait for each other."""
    return threadpoolctl.threadpool_limits(1)


def same_partition(labels: np.ndarray, others: np.ndarray) -> bool:
    """Whether two labellings agree up to the names of the labels."""
    pairs = set(zip(np.asarray(labels).tolist(), np.asarray(others).tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def standard_error(samples: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(np.std(samples, ddof=1) / np.sqrt(np.size(samples)))


def assert_chi_square(statistic: float, freedom: int) -> None:
    """The statistic is neither too large nor too small: each tail of chi-square beyond it holds at least 1e-4."""
    upper = scipy.stats.chi2.sf(statistic, freedom)
    assert 1e-4 < upper < 1 - 1e-4, (
        f"chi-square {statistic:.1f} at {freedom} degrees of freedom, upper tail {upper:.2g}"
    )


def assert_counts(counts: np.ndarray, expected: np.ndarray | float) -> None:
    """Counts of independent draws fit what is expected, by Pearson's chi-square."""
    counts = np.asarray(counts, float).ravel()
    expected = np.broadcast_to(np.asarray(expected, float).ravel(), counts.shape)
    assert_chi_square(((counts - expected) ** 2 / expected).sum(), counts.size - 1)


def keys(seed: int, count: int) -> jax.Array:
    """Typed keys [count] that are folded in one after the other, as a shuffle test does it."""
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(count))


def embed(graph, key, *, num_clusters, **how):
    """An embedding from random numbers of a key."""
    draws = jax.random.uniform(key, (embedding.num_draws(graph, num_clusters),), graph.degrees().dtype)
    return embedding.embed(graph, draws, num_clusters=num_clusters, **how)


def kmeans(points, key, *, num_clusters, num_restarts, **how):
    """k-means from random numbers of a key."""
    uniforms = jax.random.uniform(key, (k_means.num_uniforms(num_clusters, num_restarts),), points.dtype)
    return k_means.kmeans(points, uniforms, num_clusters=num_clusters, num_restarts=num_restarts, **how)
