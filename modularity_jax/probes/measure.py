"""All lesions of a kind on all samples, in batches that the devices share: sums over samples, nothing else."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.parallel import as_mesh, outside_explicit_mesh
from modularity_jax.probes.any_network import AnyNetwork, Apply
from modularity_jax.probes.labels import accuracy, sample_labels
from modularity_jax.probes.lesions import DamagedNetwork, DrawnLesions, Metric, Sums
from modularity_jax.probes.perceptron import Perceptron
from modularity_jax.probes.submodules import SubModules, deal_parts, draw_orders, find_submodules
from modularity_jax.probes.verdicts import CORRECTIONS, TIES

Array = jax.Array
# How a long test keeps its finished parts: from a part's first trial and what computes it to its sums, which may come
# from an earlier call.
Keep = Callable[[int, Callable[[], Sums]], Sums]

# Trials of one call of the program, whatever their number is, so that tests share it; fewer where one batch of samples
# would hold more sums than these, which bounds the memory.
MAX_TRIALS = 128
MAX_SUMS = 2**18


@dataclasses.dataclass(frozen=True)
class LesionSettings:
    """How lesions are measured and judged; see `lesion_test`."""

    num_clusters: int
    num_shuffles: int
    metric: Metric
    undamaged: float | None
    ties: str
    correction: str
    samples_per_batch: int | None
    mesh: Mesh | None
    keep: Keep
    apply: Apply | None = None
    widths: Sequence[int] | None = None

    def __post_init__(self) -> None:
        checks.check_choice("ties", self.ties, TIES)
        checks.check_choice("correction", self.correction, CORRECTIONS)


class Measured(NamedTuple):
    """Sums over samples, of the trial as found and of R controls."""

    submodules: SubModules
    class_sizes: np.ndarray  # [C]
    undamaged: np.ndarray  # [C]
    damaged: np.ndarray  # [R + 1, M, C] of a single lesion, [R + 1, M, M, C] of pairs


@outside_explicit_mesh
def measure(
    kind: str,
    params: Mapping[str, Any],
    labels: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    key: Array,
    settings: LesionSettings,
) -> Measured:
    """Sums of all lesions of a kind of `PASSES`, as found and in R controls; arguments and errors as `lesion_test`."""
    checks.check_count("num_shuffles", settings.num_shuffles, 1)
    mesh, key = as_mesh(settings.mesh), checks.as_key(key)
    checks.check_count("num_clusters", settings.num_clusters, 2)
    num_clusters, total = int(settings.num_clusters), int(settings.num_shuffles) + 1
    network: DamagedNetwork
    network = Perceptron(params) if settings.apply is None else AnyNetwork(settings.apply, params, settings.widths)
    hidden = _hidden_labels(network, labels, num_clusters)
    size = settings.samples_per_batch
    if size is None:
        size = network.samples_at_once(num_clusters, mesh.size if mesh else 1)
    checks.check_count("samples_per_batch", size, 1)
    batches, class_sizes = batches_of(network, x, y, int(size), settings.metric)
    modules, parts = find_submodules(hidden), deal_parts(hidden, num_clusters)
    # Sub-modules or pairs, whatever their number is, so that networks share a program.
    capacity = (num_clusters * len(hidden),) * (1 if kind == "single" else 2)
    per_call = min(max(1, MAX_SUMS // (math.prod(capacity) * class_sizes.size)), MAX_TRIALS)

    def compute(start: int) -> Sums:
        trials = range(start, min(start + per_call, total))
        orders = draw_orders(hidden, parts, key, trials, with_rest=kind == "conditional")
        drawn = DrawnLesions(kind, hidden, parts, orders, len(trials), per_call, capacity)
        sums = network.sums(drawn, batches, settings.metric, mesh)
        wanted = slice(None), slice(None), *[slice(len(modules.layer))] * len(capacity)
        # Over batches on the host and in float64: the same whatever device had which.
        return sums[0].sum(axis=0, dtype=np.float64), sums[1][wanted].sum(axis=0, dtype=np.float64)

    sums: list[Sums] = []
    for start in range(0, total, per_call):
        sums.append(settings.keep(start, functools.partial(compute, start)))
        check_undamaged(settings.undamaged, sums[0][0].sum(), class_sizes.sum())  # before all is computed
    damaged = np.concatenate([damaged for _, damaged in sums])
    check_sums(sums[0][0], damaged)
    return Measured(modules, class_sizes, sums[0][0], damaged)


def keep_nothing(_: int, compute: Callable[[], Sums]) -> Sums:
    """Computes each part anew."""
    return compute()


def _hidden_labels(network: DamagedNetwork, labels: ArrayLike, num_clusters: int) -> list[np.ndarray]:
    """Labels of each hidden layer, checked."""
    labels = np.asarray(checks.as_integers("labels", labels))
    checks.check_clusters(labels, num_clusters, sum(network.widths))
    return np.split(labels, np.cumsum(network.widths)[:-1])[1:-1]


def batches_of(
    network: DamagedNetwork, x: ArrayLike, y: ArrayLike, size: int, metric: Metric
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Samples [batches, B, ...], labels [batches, B, ...], class membership [batches, B, C]; and class sizes [C].

    What pads the last batch is of no class and therefore counts for nothing.
    """
    x, outputs = network.samples(x)
    given, members = sample_labels(y, len(x), outputs, needs_classes=metric is accuracy)
    size = min(size, len(x))

    def batched(values: np.ndarray) -> np.ndarray:
        filled = np.pad(values, [(0, -len(x) % size)] + [(0, 0)] * (values.ndim - 1))
        return filled.reshape(-1, size, *values.shape[1:])

    sizes = members.sum(axis=0, dtype=np.float64).astype(np.int64)
    return (batched(x), batched(given), batched(members)), sizes


def check_sums(*sums: np.ndarray) -> None:
    """Of a metric that is finite."""
    if not all(np.isfinite(own).all() for own in sums):
        raise ValueError("metric must be finite, got sums over samples that are not")


def check_undamaged(stated: float | None, total: float, count: int) -> None:
    """What the caller knows of the whole network is what was found, to two samples or a thousandth."""
    found = total / count
    if stated is not None and not abs(found - stated) <= max(2 / count, 1e-3 * abs(found)):
        raise ValueError(
            f"undamaged={stated:.6g} is not what params, x and y give, {found:.6g}: lesions run Dense layers with ReLU "
            "between them and nothing after the last; are activations, the inputs' scale or order, or labels others?"
        )
