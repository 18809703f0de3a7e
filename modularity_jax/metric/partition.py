"""One partition of one graph: embedding, k-means with restarts, the best restart."""

import jax
import jax.numpy as jnp

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import count, full_precision, near_one
from modularity_jax.graphs.protocol import Adjacency, Graph
from modularity_jax.metric.embedding import SOLVERS, embed, num_draws
from modularity_jax.metric.kmeans import kmeans, num_uniforms
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.ncut import batched_ncut
from modularity_jax.metric.settings import Partition, Settings

Array = jax.Array

SELECTIONS = ("ncut", "inertia")


def check_settings(settings: Settings, graph: Graph) -> None:
    """Raise the errors of `cluster` that they and the graph allow."""
    checks.check_graph(graph)
    checks.check_count("num_restarts", settings.num_restarts, 1)
    checks.check_choice("selection", settings.selection, SELECTIONS)
    checks.check_choice("solver", settings.solver, SOLVERS)
    measure_of(settings.measure)
    checks.check_num_clusters(settings.num_clusters, graph)


@full_precision
def partition(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """The partition of a graph; no check, no jit (see `cluster`)."""
    own = measure_of(settings.measure).partition
    return own(graph, key, settings) if own else _by_ncut(graph, key, settings)


def _by_ncut(graph: Adjacency, key: Array, settings: Settings) -> Partition:
    """By the embedding that relaxes the n-cut, and the restart that the measure finds best."""
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
