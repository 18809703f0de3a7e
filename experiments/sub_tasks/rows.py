"""What masks say of networks, as rows of `accuracy.csv`, `overlap.csv` and `units.csv`."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

import modularity_jax as mj
from experiments.sub_tasks.tasks import Task
from experiments.sub_tasks.training import Trained
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.metric.agreement import adjusted_rand
from modularity_jax.nets.kernels import kernels_of
from modularity_jax.nets.sweep import network_keys
from modularity_jax.probes.mask_trees import binary_masks
from modularity_jax.runs.tables import Row

#: Of masks that are not of one sub-task: that of all together, and none at all.
ALL, NONE = "all", "no mask"
# Of the clusters' keys.
CLUSTER_SEED = 3
#: The tables that rows are of.
TABLES = ACCURACY, OVERLAP, UNITS = "accuracy", "overlap", "units"


def task_rows(task: Task, trained: Trained) -> Iterator[Row]:
    """The rows of a task, each with the table that it is of."""
    for seed, key in enumerate(network_keys(CLUSTER_SEED, np.arange(len(jax.tree.leaves(trained.params)[0])))):
        params, *both = jax.tree.map(
            lambda leaf, seed=seed: leaf[seed], (trained.params, *map(binary_masks, trained.logits))
        )
        found = {
            ACCURACY: _accuracy_rows(task.names, trained, params, both[0]),
            OVERLAP: _overlap_rows(task.names, both),
            UNITS: _unit_rows(task, params, both, key),
        }
        for table, rows in found.items():
            yield from ({"table": table, "seed": seed} | row for row in rows)


def _accuracy_rows(names: Sequence[str], trained: Trained, params: Any, masks: Any) -> Iterator[Row]:
    """The accuracy with each mask, and with its inverse, on each sub-task."""
    whole = jax.tree.map(lambda leaf: np.concatenate([leaf, np.ones_like(leaf[:1])]), masks)
    found = mj.mask_matrix(trained.apply, params, whole, *trained.test)
    for (row, mask), (column, name) in itertools.product(enumerate((*names, ALL, NONE)), enumerate(names)):
        scores = {"kept": found.kept[row, column], "inverse": found.inverse[row, column]}
        yield {"mask": mask, "sub_task": name} | {key: float(value) for key, value in scores.items()}


def _overlap_rows(names: Sequence[str], masks: Sequence[Any]) -> Iterator[Row]:
    """Overlap of the masks of two sub-tasks, and of two masks of one, in each layer."""
    pairs = [(0, *pair) for pair in itertools.combinations(range(len(names)), 2)]
    for number, first, second in [*pairs, *((1, index, index) for index in range(len(names)))]:
        own = [jax.tree.map(lambda leaf, at=at: leaf[at], masks[key]) for key, at in ((0, first), (number, second))]
        found = [kernels_of(values).values() for values in mj.mask_overlap(*own)]
        shares = [[float(leaf.mean()) for leaf in kernels_of(values).values()] for values in own]
        for layer, values in enumerate(zip(*shares, *found, strict=True)):
            columns = ("share_first", "share_second", "iou", "iomin", "chance_iou", "chance_iomin")
            yield {"layer": layer + 1, "first": names[first], "second": names[second]} | {
                name: float(value) for name, value in zip(columns, values, strict=True)
            }


def _unit_rows(task: Task, params: Any, masks: Sequence[Any], key: jax.Array) -> Iterator[Row]:
    """How well units' labels by masks agree with those by other masks, with clusters, and with what is known."""
    labels, others = (mj.unit_labels(_without_all(own), params, graph=graph) for own in masks)
    clusters = mj.cluster(graph(params), key, num_clusters=len(task.names), measure="modularity").labels
    known = task.load()
    truth = np.full_like(labels, -1)
    truth[: len(known.inputs)], truth[len(truth) - len(known.outputs) :] = known.inputs, known.outputs
    scores = {"keys": others, "clusters": np.asarray(clusters), "known": truth}
    agreement = {f"ari_{name}": _agreement(labels, other) for name, other in scores.items()}
    yield {"labelled": float((labels >= 0).mean())} | agreement


def graph(params: Any) -> LayeredGraph:
    """Of a network with heads."""
    return LayeredGraph.from_params(params["layers"])


def _without_all(masks: Any) -> Any:
    """The masks of the sub-tasks alone."""
    return jax.tree.map(lambda leaf: leaf[:-1], masks)


def _agreement(labels: np.ndarray, others: np.ndarray) -> float | None:
    """Adjusted Rand index over units that have a label in both; None where it is not defined."""
    both = (labels >= 0) & (others >= 0)
    found = adjusted_rand(labels[both], others[both])
    return None if np.isnan(found) else found
