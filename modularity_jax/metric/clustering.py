"""Spectral clustering of one graph: embedding, k-means with restarts, and the best restart's n-cut."""

import functools
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric import checks
from modularity_jax.metric.components import num_components
from modularity_jax.metric.embedding import SOLVERS, Embedding, embed
from modularity_jax.metric.graph import Graph
from modularity_jax.metric.kmeans import kmeans
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.metric.numerics import full_precision, near_one
from modularity_jax.metric.sharding import outside_explicit_mesh

Array = jax.Array

SELECTIONS = ("ncut", "inertia")


class Clustering(NamedTuple):
    """A partition of a graph's N vertices into K clusters."""

    labels: Array  # [N] int32, -1 on isolated vertices
    ncut: Array  # []
    lower_bound: Array  # [], no partition into K parts has a lower n-cut, whether the eigenvectors converged or not
    eigenvalues: Array  # [K], of the normalised adjacency, descending; a layered graph's negative ones as 0
    num_isolated: Array  # []
    num_components: Array  # [], isolated vertices not counted
    num_empty: Array  # [], clusters without a member; 0 unless K exceeds the connected vertices
    converged: Array  # [] bool, of the eigenvectors


@outside_explicit_mesh
def cluster(
    graph: Graph,
    key: Array,
    *,
    num_clusters: int,
    num_restarts: int = 10,
    selection: str = "ncut",
    solver: str = "auto",
) -> Clustering:
    """Spectral clustering (Shi and Malik 2000), as scikit-learn does it with a precomputed affinity.

    The eigenvectors of D^-1/2 A D^-1/2, scaled to D^-1/2 u, are clustered by k-means. `jax.vmap` batches it.

    Args:
      graph: LayeredGraph or SparseGraph.
      key: typed PRNG key, consumed.
      num_clusters: K, static.
      num_restarts: k-means starts, static.
      selection: which restart is kept: "ncut", the one with the lowest n-cut; "inertia", the one with the lowest
        k-means cost, as scikit-learn and the papers do.
      solver: "auto", "eigh" or "krylov"; see `embed`.

    Where the eigenvectors did not converge, a warning says so; under jit, look at `converged`.

    Returns:
      The same whatever the scale of the weights (see `LayeredGraph.from_weights`). Where they span so many orders that
      an eigenvalue or a distance drowns in rounding, still a partition with its own n-cut and a bound that holds.

    Raises:
      ValueError: if num_clusters is not a whole number, below 2 or above the number of connected vertices, the graph
        has no edge, num_restarts is not a whole number or below 1, selection or solver is unknown, graph is no graph,
        or key is not one key. Under jit the number of all vertices takes the place of the connected ones.
    """
    checks.check_graph(graph)
    check_settings(graph, num_clusters, num_restarts, selection, solver)
    found = _cluster(graph, checks.as_key(key), int(num_clusters), int(num_restarts), selection, solver)
    if checks.is_concrete(found) and not found.converged:
        warnings.warn(
            "the eigenvectors did not converge, a better partition may well exist: the graph is so long and thin that "
            "its leading eigenvalues differ by less than float32 can tell",
            stacklevel=2,
        )
    return found


def check_settings(graph: Graph, num_clusters: int, num_restarts: int, selection: str, solver: str) -> None:
    """The checks of `cluster`."""
    checks.check_count("num_restarts", num_restarts, 1)
    checks.check_choice("selection", selection, SELECTIONS)
    checks.check_choice("solver", solver, SOLVERS)
    checks.check_num_clusters(num_clusters, graph)


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _cluster(graph: Graph, key: Array, num_clusters: int, num_restarts: int, selection: str, solver: str) -> Clustering:
    embedding, labels, cut, num_empty = partition(graph, key, num_clusters, num_restarts, selection, solver)
    connected = graph.degrees() > 0
    return Clustering(
        labels=jnp.where(connected, labels, -1),
        ncut=cut,
        lower_bound=embedding.lower_bound,
        eigenvalues=embedding.eigenvalues,
        num_isolated=(~connected).sum(dtype=jnp.int32),
        num_components=num_components(graph),
        num_empty=num_empty,
        converged=embedding.converged,
    )


@full_precision
def partition(
    graph: Graph, key: Array, num_clusters: int, num_restarts: int, selection: str, solver: str
) -> tuple[Embedding, Array, Array, Array]:
    """Embedding, labels [N], n-cut and number of empty clusters: what a shuffle test needs of each control."""
    solver_key, kmeans_key = jax.random.split(key)
    embedding = embed(graph, solver_key, num_clusters=num_clusters, solver=solver)
    weights = (graph.degrees() > 0).astype(embedding.points.dtype)
    result = kmeans(
        near_one(embedding.points), kmeans_key, weights=weights, num_clusters=num_clusters, num_restarts=num_restarts
    )
    if selection == "ncut":
        cuts = batched_ncut(graph, result.labels, num_clusters=num_clusters)
        best = cuts.argmin()
        return embedding, result.labels[best], cuts[best], result.num_empty[best]
    best = result.inertia.argmin()
    cut = batched_ncut(graph, result.labels[best][None], num_clusters=num_clusters)[0]
    return embedding, result.labels[best], cut, result.num_empty[best]
