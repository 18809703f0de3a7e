"""Ablation of modules: what a network does without the weights inside a cluster, or without those between clusters."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.params import collection, layers_in_order
from modularity_jax.parallel import as_mesh, outside_explicit_mesh
from modularity_jax.probes import verdicts
from modularity_jax.probes.any_network import AnyNetwork, Apply
from modularity_jax.probes.labels import accuracy
from modularity_jax.probes.lesions import Metric
from modularity_jax.probes.measure import LesionSettings, batches_of, check_sums, check_undamaged, keep_nothing
from modularity_jax.probes.perceptron import Perceptron
from modularity_jax.probes.submodules import permuted_labels

Array = jax.Array
Forward = Callable[[Any, Array], Array]  # of params and samples [B, ...]: logits [B, C]

ABLATIONS = ("inside", "between")


class AblationTest(NamedTuple):
    """M ablations, of each cluster or of all that is between them; NumPy arrays."""

    cluster: np.ndarray  #: [M] int, inside which weights are 0; [-1] of those between clusters
    undamaged: float  #: accuracy of the whole network, or the metric's mean
    accuracy: np.ndarray  #: [M], without these weights
    accuracy_by_class: np.ndarray  #: [M, C]
    diff: np.ndarray  #: [M], accuracy - undamaged
    removed: np.ndarray  #: [M], share of all |weight| that is set to 0
    control_accuracy: np.ndarray  #: [R, M]
    control_removed: np.ndarray  #: [R, M]
    control_mean: np.ndarray  #: [M]
    control_std: np.ndarray  #: [M]
    z_score: np.ndarray  #: [M], negative where the network does worse than its controls
    p_value: np.ndarray  #: [M], of controls that do as badly; of "between" that do as well. nan where none can differ
    p_adjusted: np.ndarray  #: [M], for all clusters of the network


class _Drawn(NamedTuple):
    """Ablations and their controls."""

    kind: str
    clusters: np.ndarray  # [M]
    layers: Sequence[np.ndarray]  # labels of each layer as found, [d]
    labels: np.ndarray  # [R + 1, N], as found and of the controls
    removed: np.ndarray  # [R + 1, M], share of all |weight|


@outside_explicit_mesh
def ablation_test(
    params: Mapping[str, Any],
    labels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    key: Array,
    *,
    num_clusters: int,
    kind: str = "inside",
    num_shuffles: int = 100,
    metric: Metric = accuracy,
    undamaged: float | None = None,
    ties: str = "counted",
    correction: str = "max_t",
    samples_per_batch: int | None = None,
    mesh: Mesh | None = None,
    apply: Forward | None = None,
) -> AblationTest:
    """Set weights to 0 by the clusters of their two ends, and compare with clusters of the same sizes at random.

    kind="inside": for each cluster, the weights both of whose ends lie in it, as HumanCompatibleAI's
    nn-clustering-pytorch has it, but with controls and with the last matrix, which that leaves out. kind="between": all
    weights whose ends lie in two clusters. A network whose modules work by themselves does as well without them; what
    it loses tells how enmeshed they are (Golechha et al. 2025). Biases stay, and weights of units without a label.

    A control permutes the labels within each layer, inputs and outputs too, among the units that have one: it takes as
    many weights away, zeros counted, from each matrix. Clusters were found where weights are large, so that they hold
    more of the weight than controls, and part of a difference is that: `removed` and `control_removed` tell.

    Args:
      params, labels, x, y, key, metric, undamaged, ties, correction, samples_per_batch, mesh: as `lesion_test`.
      num_clusters, num_shuffles: K, and R controls.
      kind: "inside" or "between".
      apply: of another network than a ReLU perceptron, (params, x) -> logits [B, C]; its kernels are those of Dense
        layers, which `LayeredGraph.from_params` reads.

    Raises:
      ValueError: as `lesion_test`, or if the kind is unknown.
    """
    settings = LesionSettings(
        num_clusters, num_shuffles, metric, undamaged, ties, correction, samples_per_batch, mesh, keep_nothing
    )
    checks.check_choice("kind", kind, ABLATIONS)
    checks.check_count("num_clusters", num_clusters, 2)
    checks.check_count("num_shuffles", num_shuffles, 1)
    graph, key = LayeredGraph.from_params(params), checks.as_key(key)
    if apply is None:
        x, _ = Perceptron(params).samples(x)  # checked, as what params hold besides kernels is
    drawn = _draw(graph, labels, key, kind, settings)
    network = AnyNetwork(
        _ablated(apply or relu_perceptron, kind), params, (1, *graph.widths, 1)
    )  # all layers are hidden
    size = network.samples_at_once(num_clusters, 1) if samples_per_batch is None else samples_per_batch
    checks.check_count("samples_per_batch", size, 1)
    batches, sizes = batches_of(network, x, y, int(size), metric)
    found = network.passes(_states(drawn), batches, metric, as_mesh(mesh))
    sums = np.stack([own.sum(axis=0, dtype=np.float64) for own in found])
    check_undamaged(undamaged, sums[0].sum(), sizes.sum())
    check_sums(sums)
    return _judged(drawn, sums, sizes, settings)


def relu_perceptron(params: Mapping[str, Any], x: Array) -> Array:
    """Logits [B, C] of Dense layers with ReLU between them."""
    for index, (_, layer) in enumerate(layers_in_order(params)):
        x = (jax.nn.relu(x) if index else x) @ layer["kernel"]
        bias = layer.get("bias")
        x = x if bias is None else x + bias[None]
    return x


@functools.cache
def _ablated(apply: Forward, kind: str) -> Apply:
    """The network without weights, by the label of each unit in each layer; the same function for the same arguments.

    Of "inside" a label above 0 is in the cluster; of "between" they are numbered from 1, and 0 is none.
    """

    def run(params: Mapping[str, Any], x: Array, groups: Sequence[Array]) -> Array:
        layers, _ = collection(params)
        left = dict(layers)
        for (name, layer), (before, after) in zip(layers_in_order(params), pairwise(groups), strict=True):
            a, b = before[:, None], after[None, :]
            gone = (a > 0) & (b > 0) & ((a == b) if kind == "inside" else (a != b))
            left[name] = {**layer, "kernel": jnp.where(gone, 0, layer["kernel"])}
        return apply(left if layers is params else {**params, "params": left}, x)

    return run


def _draw(graph: LayeredGraph, labels: ArrayLike, key: Array, kind: str, settings: LesionSettings) -> _Drawn:
    own = np.asarray(checks.as_integers("labels", labels))
    checks.check_clusters(own, settings.num_clusters, graph.num_nodes)
    if own.max() < 0:
        raise ValueError("labels must put some unit into a cluster, got none")
    layers = np.split(own, np.cumsum(graph.widths)[:-1])
    trials = [permuted_labels(layers, key, trial) for trial in range(int(settings.num_shuffles) + 1)]
    clusters = np.unique(own[own >= 0]) if kind == "inside" else np.array([-1])
    weights = [np.asarray(affinity, np.float64) for affinity in graph.affinities]
    removed = np.stack([_removed(weights, trial, clusters) for trial in trials])
    return _Drawn(kind, clusters, layers, np.stack([np.concatenate(trial) for trial in trials]), removed)


def _removed(weights: Sequence[np.ndarray], labels: Sequence[np.ndarray], clusters: np.ndarray) -> np.ndarray:
    """Share [M] of all |weight| inside each cluster, or where these are [-1], between clusters."""
    known = np.arange(1 + max(own.max() for own in labels))
    members = [(own[:, None] == known).astype(np.float64) for own in labels]
    table = sum(before.T @ own @ after for own, (before, after) in zip(weights, pairwise(members), strict=True))
    inside, total = np.diagonal(table), sum(own.sum() for own in weights)
    found: np.ndarray = inside[clusters] if clusters[0] >= 0 else table.sum()[None] - inside.sum()
    return found / (total or 1)


def _states(drawn: _Drawn) -> Iterator[np.ndarray]:
    """The labels [N] by which `_ablated` takes weights away, of no ablation first."""
    yield np.zeros(drawn.labels.shape[1], np.int32)
    for labels in drawn.labels:
        for cluster in drawn.clusters:
            yield (labels == cluster if drawn.kind == "inside" else 1 + labels).astype(np.int32)


def _judged(drawn: _Drawn, sums: np.ndarray, sizes: np.ndarray, settings: LesionSettings) -> AblationTest:
    """The tests, of sums [1 + (R + 1) M, C] over samples."""
    whole, damaged = sums[0].sum() / sizes.sum(), sums[1:].reshape(*drawn.removed.shape, -1)
    overall = damaged.sum(axis=-1) / sizes.sum()
    # Labels that can move stand in a layer beside others; "between" is of all clusters.
    mixed = [own for own in drawn.layers if np.unique(own[own >= 0]).size > 1]
    inside = drawn.kind == "inside"
    testable = np.isin(drawn.clusters, np.concatenate([*mixed, []])) if inside else np.array([bool(mixed)])
    sign = 1 if inside else -1
    how = {"ties": settings.ties, "correction": settings.correction}
    tests = verdicts.test_all(sign * overall[0], sign * overall[1:], testable, **how)
    tests = tests._replace(control_mean=sign * tests.control_mean, z_score=sign * tests.z_score)
    by_class, removed = damaged[0] / np.maximum(sizes, 1), drawn.removed
    return AblationTest(
        drawn.clusters, float(whole), overall[0], by_class, overall[0] - whole, removed[0], overall[1:], removed[1:],
        *tests,
    )  # fmt: skip
