"""The measures along training, beside their controls: rows of learning_curve.csv."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.items import partition_controls
from modularity_jax.metric.settings import Settings
from modularity_jax.nets.graphs import ACTIVATION_GRAPHS, graph_by_name
from modularity_jax.nets.models import architecture_of
from modularity_jax.nets.sweep import Epoch
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.plain_values import plain, plain_row
from modularity_jax.runs.stages.inputs import cluster_key, cluster_network, clustering_settings
from modularity_jax.runs.stages.left_out import why_not
from modularity_jax.runs.tables import Row, score_name

# Then the one that `score_name` says.
CURVE_COLUMNS = (
    "seed", "phase", "epoch", "graph", "measure", "num_clusters", "observed", "bound", "shuffled_mean", "shuffled_std",
    "num_isolated", "sparsity",
)  # fmt: skip

# The controls of each point: enough for a mean, by the method that keeps the least.
NUM_CONTROLS = 20
METHOD = "layer"


def curve_rows(
    epoch: Epoch, seeds: Sequence[int], metrics: list[Row], config: RunConfig, mesh: Mesh | None
) -> list[Row]:
    """A row for each network and number of clusters after this epoch, if it is asked for or a phase's last.

    With the keys of the shuffle tests, so that a phase's last row agrees with clusterability.csv, and its controls are
    the first of the test's. A network whose loss was not finite, by its rows of metrics.csv, has none, and neither has
    one with too few connected neurons, or a graph of activations. Graphs of activations have none.
    """
    wanted = config.cluster.curve_epochs
    if not wanted or (epoch.epoch not in wanted and epoch.epoch != epoch.num_epochs):
        return []
    rows, score = [], score_name(metrics)
    params = epoch.params
    bad = {row["seed"] for row in metrics if row["nonfinite_step"] is not None}
    for index, seed in enumerate(seeds):
        if seed in bad:
            continue
        own = jax.tree.map(lambda leaf, index=index: leaf[index], params)
        kinds = [kind for kind in config.cluster.graphs if kind not in ACTIVATION_GRAPHS]
        graphs = {kind: graph_by_name(kind, architecture_of(config.model), own) for kind in kinds}
        asked = itertools.product(graphs.items(), config.cluster.measures, config.cluster.num_clusters)
        for (kind, graph), measure, count in asked:
            if why := why_not(graph, count):
                if epoch.epoch == epoch.num_epochs:
                    where = f"the {epoch.phase} phase, seed {seed}, k = {count}"
                    logging.warning("learning_curve.csv does not go on to the end of %s: %s", where, why)
                continue
            row: Row = {"seed": seed, "phase": epoch.phase, "epoch": epoch.epoch}
            row |= {"graph": kind, "measure": measure, "num_clusters": count}
            row |= _measured(graph, config, seed, clustering_settings(config, measure, count), mesh)
            row |= {name: plain(getattr(epoch.metrics, name)[index]) for name in ("sparsity", score)}
            rows.append(row)
    return rows


def _measured(graph: Graph, config: RunConfig, seed: int, settings: Settings, mesh: Mesh | None) -> Row:
    """The graph's value, and mean and sd of its controls'; None where none of these can be cut into so many parts."""
    found = cluster_network(graph, config, seed, settings, mesh)
    key, size = cluster_key(config, seed), config.cluster.shuffles_per_group
    which: dict[str, Any] = {"method": METHOD, "first": 0, "count": NUM_CONTROLS}
    controls = partition_controls(graph, key, settings, **which, group_size=size, mesh=mesh).value
    compared = controls[~np.isnan(controls)]
    mean, sd = (compared.mean(), compared.std()) if compared.size else (None, None)
    row = {"observed": found.value, "bound": found.bound, "num_isolated": found.num_isolated}
    return plain_row(row | {"shuffled_mean": mean, "shuffled_std": sd})
