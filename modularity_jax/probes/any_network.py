"""Lesions of any network, by a function that runs it with some of its units silent: one whole pass for each."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.metric.group_sizes import on_cpu
from modularity_jax.parallel import gather, grouped_map
from modularity_jax.probes.lesions import DrawnLesions, Metric, Sums, sums_by_class
from modularity_jax.probes.submodules import observed_order
from modularity_jax.programs import program

Array = jax.Array
# Of params, samples [B, ...] and, for each hidden group of units, which of them are silent, [d] bool: logits [B, C].
Apply = Callable[[Any, Array, tuple[Array, ...]], Array]

# Lesions that one call has room for, those that an accelerator works at side by side, and samples of a batch.
CAPACITY = 256
LESIONS_AT_ONCE = 8
SAMPLES_AT_ONCE = 500


class AnyNetwork:
    """A network by its function; see `DamagedNetwork`.

    Raises:
      ValueError: if widths are no whole numbers, or there is no hidden group.
    """

    def __init__(self, apply: Apply, params: Any, widths: Sequence[int] | None) -> None:
        if widths is None or len(widths) < 3:
            raise ValueError(
                f"widths must be those of inputs, hidden groups and outputs where apply is given, got {widths}"
            )
        for width in widths:
            checks.check_count("widths", width, 1)
        self._apply, self._params = apply, params
        self.widths = tuple(map(int, widths))

    def samples(self, x: ArrayLike) -> tuple[np.ndarray, int]:
        """See `DamagedNetwork`."""
        x = np.asarray(checks.as_numbers("x", x))
        checks.check_finite("x", x)
        if not x.ndim:
            raise ValueError(f"x must have shape [n, ...], got {x.shape}")
        silence = tuple(np.zeros(width, bool) for width in self.widths[1:-1])
        logits = jax.eval_shape(self._apply, self._params, x[:1], silence)
        if len(logits.shape) != 2 or logits.shape[0] != 1:
            raise ValueError(f"apply must give logits [B, C] of samples [B, ...], got {logits.shape} of one sample")
        return x, logits.shape[1]

    def samples_at_once(self, num_clusters: int, num_devices: int) -> int:
        """See `DamagedNetwork`; what a sample takes is not known."""
        del num_clusters, num_devices
        return SAMPLES_AT_ONCE

    def sums(self, drawn: DrawnLesions, batches: tuple[np.ndarray, ...], metric: Metric, mesh: Mesh | None) -> Sums:
        """See `DamagedNetwork`."""
        num_batches, num_classes = len(batches[0]), batches[2].shape[-1]
        damaged = np.zeros((num_batches, drawn.num_trials, *drawn.capacity, num_classes), batches[2].dtype)
        whole, (places, units) = np.zeros(sum(self.widths[1:-1]), bool), itertools.tee(lesions(drawn))
        found = self.passes(itertools.chain([whole], (silent for _, silent in units)), batches, metric, mesh)
        undamaged = next(found)
        for (place, _), own in zip(places, found, strict=True):
            damaged[(slice(None), *place)] = own  # type: ignore[index]
        return undamaged, damaged

    def passes(
        self, units: Iterable[np.ndarray], batches: tuple[np.ndarray, ...], metric: Metric, mesh: Mesh | None
    ) -> Iterator[np.ndarray]:
        """Sums [batches, C] of the metric in a pass of the network for each of these states [D] of its hidden units."""
        waiting, on_device = iter(units), jax.device_put(batches)
        while some := list(itertools.islice(waiting, CAPACITY)):
            room = np.zeros((CAPACITY, *some[0].shape), some[0].dtype)
            room[: len(some)] = some
            how = self._apply, self.widths, metric, mesh
            found = gather(_run(*how, self._params, on_device, room, np.int32(len(some))))
            yield from np.moveaxis(found[:, : len(some)], 1, 0)


def lesions(drawn: DrawnLesions) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Where the results of each lesion go, and which units of all hidden groups together are silent."""
    ends = np.cumsum([len(own) for own in drawn.labels])
    modules = [(group, part) for group, parts in enumerate(drawn.parts) for part in range(int(parts.present))]

    def silent(group: int, part: int, order: np.ndarray, kept: int | None = None) -> np.ndarray:
        parts, units = drawn.parts[group], np.zeros(ends[-1], bool)
        start = int(parts.starts[part]) - (int(parts.sizes[kept]) if kept is not None and part > kept else 0)
        units[ends[group] - len(drawn.labels[group]) + order[start : start + int(parts.sizes[part])]] = True
        return units

    as_found = [silent(group, part, observed_order(drawn.labels[group])) for group, part in modules]
    for trial in range(drawn.num_trials):
        own = [silent(group, part, drawn.orders[group].whole[trial]) for group, part in modules]
        if drawn.kind == "single":
            yield from (((trial, a), units) for a, units in enumerate(own))
        elif drawn.kind == "joint":
            pairs = itertools.combinations_with_replacement(range(len(modules)), 2)
            yield from (((trial, a, b), own[a] | own[b]) for a, b in pairs)
        else:
            for (a, (group, part)), (b, (other, kept)) in itertools.product(enumerate(modules), repeat=2):
                moved = own[a]
                if a == b:
                    moved = as_found[b]
                elif group == other:  # the rest of the layer is permuted without those that stay
                    moved = silent(group, part, drawn.orders[group].rest[trial, kept], kept)
                yield (trial, a, b), moved | as_found[b]


@functools.partial(program, static_argnums=(0, 1, 2, 3))
@full_precision
def _run(
    apply: Apply,
    widths: tuple[int, ...],
    metric: Metric,
    mesh: Mesh | None,
    params: Any,
    batches: tuple[Array, ...],
    silent: Any,
    count: Any,
) -> Array:
    """Sums [batches, `CAPACITY`, C] with units silent, of which the first `count` are asked for; silent [.., D]."""

    def on_batch(batch: tuple[Array, ...], params: Any, silent: Array, count: Array) -> Array:
        x, y, members = batch

        def lesion(units: Array) -> Array:
            groups = tuple(jnp.split(units, np.cumsum(widths[1:-2]).tolist()))
            return sums_by_class(metric, apply(params, x, groups), y, members)

        if not on_cpu():
            return jax.lax.map(lesion, silent, batch_size=LESIONS_AT_ONCE)
        start = jnp.zeros((silent.shape[0], members.shape[1]), members.dtype)
        return jax.lax.fori_loop(0, count, lambda index, out: out.at[index].set(lesion(silent[index])), start)

    return grouped_map(on_batch, batches, params, silent, count, group_size=1, mesh=mesh)
