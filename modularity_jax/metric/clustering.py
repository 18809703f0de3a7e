"""Spectral clustering of one graph: embedding, k-means with restarts, and the best restart's n-cut."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs import checks
from modularity_jax.graphs.components import count_components
from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.depth import description_of
from modularity_jax.metric.items import partition_alone, partition_graph
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.partition import check_settings
from modularity_jax.metric.settings import Partition, Settings
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.programs import is_concrete

Array = jax.Array


class Clustering(NamedTuple):
    """A partition of a graph's N vertices into K clusters."""

    labels: Array  #: [N] int32, -1 on isolated vertices
    value: Array  #: [], of the measure
    bound: Array  #: [], no partition into K parts is more modular by the measure; NaN where it knows no such bound
    ncut: Array  #: []
    modularity: Array  #: []
    depth_share: Array  #: [], see `depth_share`
    # Each is sought by its own measure alone, and 0 or 1 otherwise.
    lower_bound: Array  #: [], no partition into K parts has a lower n-cut, whether the eigenvectors converged or not
    upper_bound: Array  #: [], no partition has a higher modularity
    # Under the modularity the K - 1 of the normalised excess, and a 0.
    eigenvalues: Array  #: [K], of the normalised adjacency, descending; a layered graph's negative ones as 0
    num_isolated: Array  #: []
    num_components: Array  #: [], isolated vertices not counted
    num_empty: Array  #: [], clusters without a member; 0 unless K exceeds the connected vertices
    converged: Array  #: [] bool, of the eigenvectors


@outside_explicit_mesh
def cluster(
    graph: Graph,
    key: Array,
    *,
    num_clusters: int,
    num_restarts: int = 10,
    selection: str = "ncut",
    solver: str = "auto",
    refine: bool = True,
    measure: str = "ncut",
    gamma: float = 1.0,
) -> Clustering:
    """Spectral clustering (Shi and Malik 2000), and moves that lower the n-cut further. `jax.vmap` batches it.

    The eigenvectors of D^-1/2 A D^-1/2, scaled to D^-1/2 u, are clustered by k-means; without `refine` as scikit-learn
    does it with a precomputed affinity.

    Args:
      graph: LayeredGraph, BlockGraph, SparseGraph or DenseGraph.
      key: typed PRNG key, consumed.
      num_clusters: K, static.
      num_restarts: k-means starts, static.
      selection: which restart is kept under the n-cut without refine: "ncut", the one with the lowest; "inertia", the
        one with the lowest k-means cost, as scikit-learn and the papers do.
      solver: "auto", "eigh" or "krylov"; see `embed`.
      refine: under the n-cut, weighs the points of k-means by degree, as the relaxation asks for (Dhillon, Guan and
        Kulis 2004), and moves vertices between clusters as long as that lowers it. False: as in the papers. Static.
      measure: of `MEASURES`: what is to be good. Another one than "ncut" keeps the restart that is best by it.
      gamma: resolution of the measures "modularity" and "newman", static, as in `modularity`; `value`, `bound` and
        `upper_bound` are with it, `Clustering.modularity` is with 1. The other measures have none.

    Where the eigenvectors did not converge, a warning says so; under jit, look at `converged`.

    Returns:
      The same whatever the scale of the weights (see `LayeredGraph.from_weights`). Where they span so many orders that
      an eigenvalue or a distance drowns in rounding, still a partition with its own n-cut and a bound that holds.

    Raises:
      ValueError: if num_clusters is not a whole number, below 2 or above the number of connected vertices, the graph
        has no edge, num_restarts is not a whole number or below 1, selection, solver or measure is unknown, gamma is
        not a finite number of at least 0, or not 1 with a measure without resolution, graph is no graph, or key is not
        one key. Under jit the number of all vertices takes the place of the connected ones.
    """
    settings = Settings(num_clusters, num_restarts, selection, solver, refine, measure, gamma)
    check_settings(settings, graph)
    return clustering_of(graph, partition_alone(graph, checks.as_key(key), settings), settings)


def cluster_among_controls(graph: Graph, key: Array, settings: Settings, **how: Any) -> Clustering:
    """The clustering that a shuffle test with this key compares with its controls; arguments of `partition_graph`.

    The caller has checked the settings.
    """
    return clustering_of(graph, partition_graph(graph, key, settings, **how), settings)


def clustering_of(graph: Graph, found: Partition, settings: Settings) -> Clustering:
    """The clustering, with a warning of what weakens it where there are values to look at."""
    if is_concrete(found) and not found.converged:
        warnings.warn(
            "the eigenvectors did not converge, a better partition may well exist: the graph is so long and thin that "
            "its leading eigenvalues differ by less than float32 can tell",
            stacklevel=4,
        )
    bound = measure_of(settings.measure).bound
    told = description_of(graph, found.labels, int(settings.num_clusters))._asdict()
    return Clustering(
        **found._asdict(),
        **(
            told | {name: found.value for name in told if name == settings.measure and settings.gamma == 1}
        ),  # to the last bit
        bound=getattr(found, bound) if bound else jnp.full_like(found.value, jnp.nan),
        num_components=count_components(graph),
    )
