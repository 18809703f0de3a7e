"""Batches of a fixed size, split over devices.

XLA rounds a batched product differently for different batch sizes. Work therefore goes through in groups of one fixed
size, and each device maps over its groups, so that a result depends on neither the number of items nor of devices.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec


def grouped_map(fn: Callable[..., Any], items: Any, *shared: Any, group_size: int, mesh: Mesh | None = None) -> Any:
    """`jax.vmap(lambda item: fn(item, *shared))(items)` in groups of a fixed size, which bounds the memory.

    Args:
      fn: function of one item (a pytree without its leading axis) and of what is shared. With a mesh it must close over
        no traced value: what it needs is passed as shared.
      items: pytree whose leaves have one leading axis [S, ...].
      shared: pytrees that every item sees whole; every device holds a copy.
      group_size: items under one vmap, static. The last group is padded with copies of the first item.
      mesh: one-axis mesh, from `sharding.as_mesh`, whose devices share the groups; None for the default device. Devices
        do not communicate.

    Returns:
      fn's results with the leading axis [S, ...].
    """
    count = jax.tree.leaves(items)[0].shape[0]
    devices = 1 if mesh is None else mesh.size
    groups = -(-count // (group_size * devices)) * devices
    filled = jax.tree.map(lambda x: _pad(x, groups * group_size).reshape(groups, group_size, *x.shape[1:]), items)

    def map_group(fn: Callable[[Any], Any], group: Any) -> Any:
        if group_size > 1:
            return jax.vmap(fn)(group)
        # Without the batch axis: XLA's CPU backend is slow at batched products, even of a batch of one.
        return jax.tree.map(lambda y: y[None], fn(jax.tree.map(lambda x: x[0], group)))

    def run_group(group: Any, shared: Any) -> Any:
        # XLA unrolls a loop of one group and would then fuse it with what stands around it, which rounds otherwise.
        group, shared = jax.lax.optimization_barrier((group, shared))
        return jax.lax.optimization_barrier(map_group(lambda item: fn(item, *shared), group))

    def run(part: Any, *shared: Any) -> Any:
        return jax.lax.map(lambda group: run_group(group, shared), part)

    if mesh is not None:
        # check_vma=False: devices share nothing here, and the check would sum gradients of unsharded values over them.
        split, whole = PartitionSpec(mesh.axis_names[0]), PartitionSpec()
        specs = (split, *(whole for _ in shared))
        run = jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:])[:count], run(filled, *shared))


def _pad(x: jax.Array, length: int) -> jax.Array:
    """Copies of the first item behind the last, up to the length."""
    missing = length - x.shape[0]
    return jnp.concatenate([x, jnp.broadcast_to(x[:1], (missing, *x.shape[1:]))]) if missing else x
