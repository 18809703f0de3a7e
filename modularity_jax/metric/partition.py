"""One partition of one graph: embedding, k-means with restarts, the best restart."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import count, full_precision, near_one
from modularity_jax.graphs.protocol import Adjacency, Graph
from modularity_jax.metric.embedding import SOLVERS, embed, num_draws
from modularity_jax.metric.kmeans import kmeans, num_uniforms
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.ncut import batched_ncut

Array = jax.Array

SELECTIONS = ("ncut", "inertia")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a graph is clustered; see `cluster`."""

    num_clusters: int
    num_restarts: int
    selection: str
    solver: str
    measure: str = "ncut"

    def check(self, graph: Graph) -> None:
        """Raise the errors of `cluster` that they and the graph allow."""
        checks.check_graph(graph)
        checks.check_count("num_restarts", self.num_restarts, 1)
        checks.check_choice("selection", self.selection, SELECTIONS)
        checks.check_choice("solver", self.solver, SOLVERS)
        measure_of(self.measure)
        checks.check_num_clusters(self.num_clusters, graph)


class Partition(NamedTuple):
    """A partition of a graph's N vertices into K clusters."""

    labels: Array  # [N] int32, -1 on isolated vertices
    value: Array  # [], of the measure
    bound: Array  # [], that no partition surpasses; NaN where the measure knows none
    ncut: Array  # []
    lower_bound: Array  # [], of any partition's n-cut
    eigenvalues: Array  # [K]
    num_isolated: Array  # [] int32
    num_empty: Array  # [] int32
    converged: Array  # [] bool


@full_precision
def partition(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """The partition of a graph; no check, no jit (see `cluster`)."""
    connected = graph.degrees() > 0
    # All random numbers at once: each call of the generator is a tenth of a second to compile.
    ours, theirs = (
        num_draws(graph, settings.num_clusters),
        num_uniforms(settings.num_clusters, settings.num_restarts),
    )
    draws = jax.random.uniform(key, (ours + theirs,), graph.degrees().dtype)
    embedding = embed(graph, draws[:ours], num_clusters=settings.num_clusters, solver=settings.solver)
    found = kmeans(
        near_one(embedding.points),
        draws[ours:],
        live=connected,
        num_clusters=settings.num_clusters,
        num_restarts=settings.num_restarts,
    )
    measure, is_ncut = measure_of(settings.measure), settings.measure == "ncut"
    if is_ncut and settings.selection == "inertia":
        best = found.inertia.argmin()
        value = measure.scores(graph, found.labels[best][None], num_clusters=settings.num_clusters)[0]
    else:
        scores = measure.scores(graph, found.labels, num_clusters=settings.num_clusters)
        best = scores.argmax() if measure.higher else scores.argmin()
        value = scores[best]
    labels = found.labels[best]
    return Partition(
        labels=jnp.where(connected, labels, -1),
        value=value,
        bound=measure.bound(embedding) if measure.bound else jnp.full_like(value, jnp.nan),
        ncut=value if is_ncut else batched_ncut(graph, labels[None], num_clusters=settings.num_clusters)[0],
        lower_bound=embedding.lower_bound,
        eigenvalues=embedding.eigenvalues,
        num_isolated=connected.size - count(connected),
        num_empty=found.num_empty,
        converged=embedding.converged,
    )
