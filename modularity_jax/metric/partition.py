"""One partition of one graph: embedding, k-means with restarts, the best restart."""

import jax
import jax.numpy as jnp

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import count, divide, full_precision, near_one
from modularity_jax.graphs.protocol import Adjacency, Graph
from modularity_jax.metric.embedding import SOLVERS, embed, num_draws
from modularity_jax.metric.kmeans import KMeans, kmeans, num_uniforms
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.refinement import refined
from modularity_jax.metric.settings import Partition, Settings

Array = jax.Array

SELECTIONS = ("ncut", "inertia")


def check_settings(settings: Settings, graph: Graph) -> None:
    """Raise the errors of `cluster` that they and the graph allow."""
    checks.check_graph(graph)
    checks.check_count("num_restarts", settings.num_restarts, 1)
    checks.check_choice("selection", settings.selection, SELECTIONS)
    checks.check_choice("solver", settings.solver, SOLVERS)
    checks.check_gamma(settings.gamma)
    if settings.gamma != 1 and not measure_of(settings.measure).resolved:
        raise ValueError(f"gamma must be 1 with measure={settings.measure!r}, got {settings.gamma!r}")
    if not isinstance(settings.refine, bool):
        raise ValueError(f"refine must be True or False, got {settings.refine!r}")
    checks.check_num_clusters(settings.num_clusters, graph)


@full_precision
def partition(graph: Adjacency, key: Array, settings: Settings, used: Array | None = None) -> Partition:
    """The partition of a graph; no check, no jit (see `cluster`).

    With `used`, [] int32 in 1..num_clusters, which is traced, it is one into so many clusters, by the program for
    num_clusters; eigenvalues from there on are 0. Of the measure "ncut" alone.
    """
    own = measure_of(settings.measure).partition
    return own(graph, key, settings) if own else _by_ncut(graph, key, settings, used)


def _by_ncut(graph: Adjacency, key: Array, settings: Settings, used: Array | None) -> Partition:
    """By the embedding that relaxes the n-cut, and the restart that the measure finds best."""
    degrees, size = graph.degrees(), settings.num_clusters
    connected = degrees > 0
    # All random numbers at once: each call of the generator is a tenth of a second to compile.
    ours, theirs = num_draws(graph, size), num_uniforms(size, settings.num_restarts)
    draws = jax.random.uniform(key, (ours + theirs,), degrees.dtype)
    embedding = embed(graph, draws[:ours], num_clusters=size, solver=settings.solver, used=used)
    refine = settings.refine and settings.measure == "ncut"
    # A connected vertex counts, however weak.
    shares = jnp.maximum(divide(degrees, degrees.max()), jnp.finfo(degrees.dtype).tiny) if refine else 1
    found = kmeans(
        near_one(embedding.points),
        draws[ours:],
        weights=jnp.where(connected, shares, 0).astype(degrees.dtype),
        num_clusters=size,
        num_restarts=settings.num_restarts,
        used=used,
    )
    kept = refined(graph, found.labels, size) if refine else _best(graph, found, settings)
    measure = measure_of(settings.measure)
    values = measure.scores(graph, kept, num_clusters=size)
    best = values.argmax() if measure.higher else values.argmin()
    return Partition(
        labels=jnp.where(connected, kept[best], -1),
        value=values[best],
        lower_bound=embedding.lower_bound,
        upper_bound=jnp.ones_like(embedding.lower_bound),
        eigenvalues=embedding.eigenvalues,
        num_isolated=connected.size - count(connected),
        num_empty=found.num_empty,
        converged=embedding.converged,
    )


def _best(graph: Adjacency, found: KMeans, settings: Settings) -> Array:
    """Labels [1, N] of the restart to keep."""
    if settings.measure == "ncut" and settings.selection == "inertia":
        return found.labels[found.inertia.argmin()][None]
    measure = measure_of(settings.measure)
    scores = measure.scores(graph, found.labels, num_clusters=settings.num_clusters)
    return found.labels[scores.argmax() if measure.higher else scores.argmin()][None]
