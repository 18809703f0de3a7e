"""A ReLU perceptron as the lesion tests see it: passes that compute no more than a lesion changes."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.nets.group_sizes import samples_at_once
from modularity_jax.parallel import gather, grouped_map
from modularity_jax.probes.lesions import DrawnLesions, Metric, Sums, sums_by_class
from modularity_jax.probes.network import Layer, network_from_params
from modularity_jax.probes.passes import PASSES, Lesions, Plan, run_pass
from modularity_jax.probes.submodules import observed_order
from modularity_jax.programs import program

Array = jax.Array


class Perceptron:
    """The network of a Flax params pytree of Dense layers; see `DamagedNetwork`.

    Raises:
      ValueError: as `network_from_params`; if there is no hidden layer, or the kernels do not chain.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._layers = network_from_params(params)
        if len(self._layers) < 2:
            raise ValueError("params must hold at least one hidden layer, got a single layer")
        checks.check_kernel_shapes([layer.kernel.shape for layer in self._layers])
        kernels = [layer.kernel for layer in self._layers]
        self.widths = kernels[0].shape[0], *(kernel.shape[1] for kernel in kernels)

    def samples(self, x: ArrayLike) -> tuple[np.ndarray, int]:
        """See `DamagedNetwork`; checked."""
        x = np.asarray(as_floats("x", x))
        if x.ndim != 2 or x.shape[1] != self.widths[0]:
            raise ValueError(
                f"x must have shape [n, {self.widths[0]}], one column per input of the network, got {x.shape}"
            )
        _check_range(self._layers, x)
        return x, self.widths[-1]

    def samples_at_once(self, num_clusters: int, num_devices: int) -> int:
        """See `DamagedNetwork`."""
        return samples_at_once(self.widths[:-1], num_clusters, num_devices)

    def sums(self, drawn: DrawnLesions, batches: tuple[np.ndarray, ...], metric: Metric, mesh: Mesh | None) -> Sums:
        """See `DamagedNetwork`."""
        x, *rest = batches
        # Filled up to as many trials as one call takes; what fills does not count.
        missing = drawn.per_call - drawn.num_trials
        filled = jax.tree.map(lambda order: np.pad(order, [(0, missing)] + [(0, 0)] * (order.ndim - 1)), drawn.orders)
        observed = tuple(map(observed_order, drawn.labels))
        on_device = jax.device_put((observed, filled, np.int32(drawn.num_trials)))
        plan, samples = Plan(self._layers, drawn.parts, *on_device), jax.device_put((x.transpose(0, 2, 1), *rest))
        undamaged, damaged = gather(_run(plan, samples, PASSES[drawn.kind], drawn.capacity, metric, mesh))
        return undamaged, damaged[:, : drawn.num_trials]


@functools.partial(program, static_argnums=(2, 3, 4, 5))
@full_precision
def _run(
    plan: Plan, batches: tuple[Array, ...], lesions: Lesions, shape: tuple[int, ...], metric: Metric, mesh: Mesh | None
) -> tuple[Array, Array]:
    """Undamaged sums [batches, C] and damaged ones [batches, T, *shape, C]."""

    def on_batch(batch: tuple[Array, Array, Array], plan: Plan) -> tuple[Array, Array]:
        x, y, members = batch

        def score(logits: Array) -> Array:
            return sums_by_class(metric, logits.T, y, members)

        out = jnp.zeros((plan.trials[0].whole.shape[0], *shape, members.shape[1]), members.dtype)
        return run_pass(lesions, plan, x, score, out)

    return grouped_map(on_batch, batches, plan, group_size=1, mesh=mesh)


def _check_range(layers: Sequence[Layer], x: np.ndarray) -> None:
    """Activations that stay finite whichever units are silent: largest input times the kernels' largest column sums."""
    bound = float(np.abs(x).max())
    for layer in layers:
        columns = np.abs(np.asarray(layer.kernel)).sum(axis=0, dtype=np.float64)
        bound = bound * columns.max() + np.abs(np.asarray(layer.bias)).max()
    limit = float(jnp.finfo(layers[0].kernel.dtype).max) / 4  # sums are taken apart, and their parts may be as large
    if not bound <= limit:
        raise ValueError(f"params and x must keep the logits below {limit:.2g}, got ones that may reach {bound:.2g}")
