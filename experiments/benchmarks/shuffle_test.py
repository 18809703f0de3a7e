"""Shuffle test: one shuffled network permuted, built, clustered and measured, beside scikit-learn's ways."""

import functools
import importlib.util
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from experiments.benchmarks.measure import Row, matmul_rate, median_seconds, seconds_of
from experiments.benchmarks.peers import Peers
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.metric.clustering import cluster
from modularity_jax.metric.controls import shuffle
from modularity_jax.metric.krylov import DEPTH, EXTRA
from modularity_jax.metric.shuffle_test import shuffle_test

SOLVERS = ("amg", "arpack", "lobpcg")


def shuffle_test_rows(
    nets: Mapping[str, Sequence[np.ndarray]],
    mesh: Mesh,
    *,
    num_clusters: Sequence[int] = (4, 12),
    num_shuffles: int = 128,
    num_peer_shuffles: int = 16,
    num_compared: int = 100,
    rounds: int = 3,
    solvers: Sequence[str] = SOLVERS,
) -> list[Row]:
    """A row for each network and number of clusters.

    Args:
      nets: kernels by name.
      mesh: the devices that share the shuffles.
      num_clusters: the counts.
      num_shuffles: ours in a round, the network itself clustered besides.
      num_peer_shuffles: scikit-learn's in a round, of each solver.
      num_compared: shuffled networks that both sides cluster, untimed, to compare the n-cuts.
      rounds: the median of these is reported.
      solvers: scikit-learn's, the first of which has columns of its own.

    Raises:
      ImportError: if "amg" is asked for without pyamg; it names the command that installs it.
    """
    if "amg" in solvers and not importlib.util.find_spec("pyamg"):
        raise ImportError("scikit-learn's amg needs pyamg: pip install '.[benchmark]'")
    with Peers() as peers:
        return [
            _row(name, kernels, count, mesh, peers, num_shuffles, num_peer_shuffles, num_compared, rounds, solvers)
            for name, kernels in nets.items()
            for count in num_clusters
        ]


def _row(
    name: str,
    kernels: Sequence[np.ndarray],
    count: int,
    mesh: Mesh,
    peers: Peers,
    num_shuffles: int,
    num_peer_shuffles: int,
    num_compared: int,
    rounds: int,
    solvers: Sequence[str],
) -> Row:
    graph = LayeredGraph.from_weights(kernels)

    def ours() -> float:
        return seconds_of(
            lambda: shuffle_test(
                graph,
                jax.random.key(0),
                num_clusters=count,
                num_shuffles=num_shuffles,
                selection="inertia",
                refine=False,
                shuffles_per_group=1,
                mesh=mesh,
            )
        )

    def theirs(solver: str) -> float:
        _, seconds = peers.shuffled_ncuts(kernels, num_clusters=count, solver=solver, num_shuffles=num_peer_shuffles)
        return seconds / num_peer_shuffles

    first = ours()
    runs = {solver: functools.partial(theirs, solver) for solver in solvers}
    taken = median_seconds({"ours": lambda: ours() / num_shuffles} | runs, rounds)
    best = min(solvers, key=taken.__getitem__)
    floor = _least_operations(graph, count) / matmul_rate([(count + EXTRA, *k.shape) for k in kernels])
    excess, error = _quality(graph, count, peers, num_compared)
    return {
        "network": name,
        "k": count,
        "ours ms": 1e3 * taken["ours"],
        f"{solvers[0]} ms": 1e3 * taken[solvers[0]],
        f"times {solvers[0]}": taken[solvers[0]] / taken["ours"],
        "best ms": 1e3 * taken[best],
        "best": best,
        "times best": taken[best] / taken["ours"],
        "n-cut to theirs %": excess,
        "+-": error,
        "share of limit %": 100 * floor / taken["ours"],
        "compile s": first - taken["ours"] * num_shuffles,
    }


def _quality(graph: LayeredGraph, count: int, peers: Peers, num_nets: int) -> tuple[float, float]:
    """Our mean n-cut of the same shuffled nets beyond scikit-learn's with arpack, and its standard error; percent."""
    shuffled = [shuffle(graph, jax.random.key(seed), method="layer") for seed in range(num_nets)]
    ours = np.array(
        [
            cluster(net, jax.random.key(seed), num_clusters=count, selection="inertia", refine=False).ncut
            for seed, net in enumerate(shuffled)
        ]
    )
    kernels = [[np.asarray(block, np.float64) for block in net.affinities] for net in shuffled]
    theirs = peers.ncuts(kernels, num_clusters=count, solver="arpack")
    difference = 100 * (ours - theirs) / theirs.mean()
    return float(difference.mean()), float(difference.std(ddof=1) / num_nets**0.5)


def _least_operations(graph: LayeredGraph, count: int) -> float:
    """Floating-point operations of one Krylov basis: for each of its blocks two products of k + 4 vectors."""
    return DEPTH * 2 * 2 * (count + EXTRA) * sum(block.size for block in graph.affinities)
