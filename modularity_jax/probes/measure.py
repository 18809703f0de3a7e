"""All lesions of a kind on all samples, in batches that the devices share: sums over samples, nothing else."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.nets.group_sizes import samples_at_once
from modularity_jax.parallel import as_mesh, gather, grouped_map, outside_explicit_mesh
from modularity_jax.probes.labels import accuracy, sample_labels
from modularity_jax.probes.network import Layer, network_from_params
from modularity_jax.probes.passes import PASSES, Lesions, Plan, run_pass
from modularity_jax.probes.submodules import SubModules, deal_parts, draw_orders, find_submodules, observed_order
from modularity_jax.probes.verdicts import CORRECTIONS, TIES
from modularity_jax.programs import program

Array = jax.Array
Metric = Callable[[Array, Array], Array]
Sums = tuple[np.ndarray, np.ndarray]  # undamaged [C], damaged [T, M, C] or [T, M, M, C], of T trials
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
    layers = network_from_params(params)
    hidden = _hidden_labels(layers, labels, num_clusters)
    size = settings.samples_per_batch
    if size is None:
        devices = mesh.size if mesh else 1
        size = samples_at_once([*layers[0].kernel.shape, *map(len, hidden)], num_clusters, devices)
    checks.check_count("samples_per_batch", size, 1)
    batches, class_sizes = _batches(layers, x, y, int(size), settings.metric)
    modules, parts = find_submodules(hidden), deal_parts(hidden, num_clusters)
    # Sub-modules or pairs, whatever their number is, so that networks share a program.
    capacity = (num_clusters * len(hidden),) * (1 if kind == "single" else 2)
    per_call = min(max(1, MAX_SUMS // (math.prod(capacity) * class_sizes.size)), MAX_TRIALS)

    def compute(start: int) -> Sums:
        trials = range(start, min(start + per_call, total))
        orders = draw_orders(hidden, parts, key, trials, with_rest=kind == "conditional")
        # Filled up to as many trials as one call takes; what fills does not count.
        filled = jax.tree.map(lambda order: _lengthened(order, per_call - len(trials)), orders)
        on_device = jax.device_put((tuple(map(observed_order, hidden)), filled, np.int32(len(trials))))
        sums = gather(_run(Plan(layers, parts, *on_device), batches, PASSES[kind], capacity, settings.metric, mesh))
        wanted = slice(None), slice(len(trials)), *[slice(len(modules.layer))] * len(capacity)
        # Over batches on the host and in float64: the same whatever device had which.
        return sums[0].sum(axis=0, dtype=np.float64), sums[1][wanted].sum(axis=0, dtype=np.float64)

    sums: list[Sums] = []
    for start in range(0, total, per_call):
        sums.append(settings.keep(start, functools.partial(compute, start)))
        _check_undamaged(settings.undamaged, sums[0][0].sum(), class_sizes.sum())  # before all is computed
    damaged = np.concatenate([damaged for _, damaged in sums])
    if not (np.isfinite(sums[0][0]).all() and np.isfinite(damaged).all()):
        raise ValueError("metric must be finite, got sums over samples that are not")
    return Measured(modules, class_sizes, sums[0][0], damaged)


def _lengthened(values: np.ndarray, missing: int) -> np.ndarray:
    """Zeros behind the last item."""
    return np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))


def keep_nothing(_: int, compute: Callable[[], Sums]) -> Sums:
    """Computes each part anew."""
    return compute()


@functools.partial(program, static_argnums=(2, 3, 4, 5))
@full_precision
def _run(
    plan: Plan, batches: tuple[Array, ...], lesions: Lesions, shape: tuple[int, ...], metric: Metric, mesh: Mesh | None
) -> tuple[Array, Array]:
    """Undamaged sums [batches, C] and damaged ones [batches, T, *shape, C]."""

    def on_batch(batch: tuple[Array, Array, Array], plan: Plan) -> tuple[Array, Array]:
        x, y, members = batch

        def score(logits: Array) -> Array:
            values = metric(logits.T, y)
            if values.shape != y.shape[:1]:
                raise ValueError(f"metric must give one value per sample, {y.shape[:1]} of them, got {values.shape}")
            return values.astype(members.dtype) @ members

        out = jnp.zeros((plan.trials[0].whole.shape[0], *shape, members.shape[1]), members.dtype)
        return run_pass(lesions, plan, x, score, out)

    return grouped_map(on_batch, batches, plan, group_size=1, mesh=mesh)


def _hidden_labels(layers: Sequence[Layer], labels: ArrayLike, num_clusters: int) -> list[np.ndarray]:
    """Labels of each hidden layer, checked."""
    if len(layers) < 2:
        raise ValueError("params must hold at least one hidden layer, got a single layer")
    widths = [layers[0].kernel.shape[0], *(layer.kernel.shape[1] for layer in layers)]
    checks.check_kernel_shapes([layer.kernel.shape for layer in layers])
    labels = np.asarray(checks.as_integers("labels", labels))
    checks.check_clusters(labels, num_clusters, sum(widths))
    return np.split(labels, np.cumsum(widths)[:-1])[1:-1]


def _batches(
    layers: Sequence[Layer], x: ArrayLike, y: ArrayLike, size: int, metric: Metric
) -> tuple[tuple[Array, Array, Array], np.ndarray]:
    """Samples [batches, d_0, B], labels [batches, B, ...], class membership [batches, B, C]; and class sizes [C].

    What pads the last batch is of no class and therefore counts for nothing.
    """
    x = np.asarray(as_floats("x", x))
    inputs, outputs = layers[0].kernel.shape[0], layers[-1].kernel.shape[1]
    if x.ndim != 2 or x.shape[1] != inputs:
        raise ValueError(f"x must have shape [n, {inputs}], one column per input of the network, got {x.shape}")
    given, members = sample_labels(y, len(x), outputs, needs_classes=metric is accuracy)
    _check_range(layers, x)
    size = min(size, len(x))

    def batched(values: np.ndarray) -> np.ndarray:
        return _lengthened(values, -len(x) % size).reshape(-1, size, *values.shape[1:])

    batches = batched(x).transpose(0, 2, 1), batched(given), batched(members)
    sizes = members.sum(axis=0, dtype=np.float64).astype(np.int64)
    return jax.device_put(batches), sizes


def _check_undamaged(stated: float | None, total: float, count: int) -> None:
    """What the caller knows of the whole network is what was found, to two samples or a thousandth."""
    found = total / count
    if stated is not None and not abs(found - stated) <= max(2 / count, 1e-3 * abs(found)):
        raise ValueError(
            f"undamaged={stated:.6g} is not what params, x and y give, {found:.6g}: lesions run Dense layers with ReLU "
            "between them and nothing after the last; are activations, the inputs' scale or order, or labels others?"
        )


def _check_range(layers: Sequence[Layer], x: np.ndarray) -> None:
    """Activations that stay finite whichever units are silent: largest input times the kernels' largest column sums."""
    bound = float(np.abs(x).max())
    for layer in layers:
        columns = np.abs(np.asarray(layer.kernel)).sum(axis=0, dtype=np.float64)
        bound = bound * columns.max() + np.abs(np.asarray(layer.bias)).max()
    limit = float(jnp.finfo(layers[0].kernel.dtype).max) / 4  # sums are taken apart, and their parts may be as large
    if not bound <= limit:
        raise ValueError(f"params and x must keep the logits below {limit:.2g}, got ones that may reach {bound:.2g}")
