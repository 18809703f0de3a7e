"""The devices: meshes and shardings as callers bring them, and groups of a fixed size that devices share.

XLA rounds a batched product differently for different batch sizes. Work therefore goes through in groups of one fixed
size, and each device maps over its groups, so that a result depends on neither the number of items nor of devices.

JAX's meshes have Explicit axes by default: an array's sharding is then part of its type, and every gather and reshape
is asked what sharding its result is to have, which nothing here has to say.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from modularity_jax.programs import is_concrete

P = ParamSpec("P")
T = TypeVar("T")


def grouped_map(fn: Callable[..., Any], items: Any, *shared: Any, group_size: int, mesh: Mesh | None = None) -> Any:
    """`jax.vmap(lambda item: fn(item, *shared))(items)` in groups of a fixed size, which bounds the memory.

    Args:
      fn: function of one item (a pytree without its leading axis) and of what is shared. With a mesh it must close over
        no traced value: what it needs is passed as shared.
      items: pytree whose leaves have one leading axis [S, ...].
      shared: pytrees that every item sees whole; every device holds a copy.
      group_size: items under one vmap, static. The last group is padded with copies of the first item.
      mesh: one-axis mesh, from `as_mesh`, whose devices share the groups; None for the default device. Devices
        do not communicate.

    Returns:
      fn's results with the leading axis [S, ...].
    """
    count = jax.tree.leaves(items)[0].shape[0]
    room = whole_groups(count, group_size, mesh)
    filled = jax.tree.map(lambda x: _pad(x, room).reshape(-1, group_size, *x.shape[1:]), items)

    def run_group(group: Any, shared: Any) -> Any:
        # XLA unrolls a loop of one group and would then fuse it with what stands around it, which rounds otherwise.
        group, shared = jax.lax.optimization_barrier((group, shared))
        return jax.lax.optimization_barrier(_map_group(lambda item: fn(item, *shared), group, group_size))

    def run(part: Any, *shared: Any) -> Any:
        return jax.lax.map(lambda group: run_group(group, shared), part)

    if mesh is not None:
        # check_vma=False: devices share nothing here, and the check would sum gradients of unsharded values over them.
        split, whole = PartitionSpec(mesh.axis_names[0]), PartitionSpec()
        specs = (split, *(whole for _ in shared))
        run = jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:])[:count], run(filled, *shared))


def grouped_range(
    fn: Callable[..., tuple[Any, Any]],
    count: jax.Array,
    *shared: Any,
    capacity: int,
    group_size: int,
    mesh: Mesh | None = None,
) -> tuple[Any, Any]:
    """fn(index, *shared) for index = 0..count - 1, in groups of a fixed size; count is no static number.

    Args:
      fn: gives results of an item, a pytree that is kept, and details, of which each device's first item's are kept.
      count: items, [] int32, up to capacity.
      shared, mesh: as in `grouped_map`.
      capacity: static; results have room for so many.
      group_size: items under one vmap, static. The last group is filled with the last item.

    Returns:
      Results with a leading axis, to be read by `in_order`, and details with an axis for the devices.
    """
    devices = 1 if mesh is None else mesh.size
    room = -(-capacity // (group_size * devices))

    def run(device: jax.Array, count: jax.Array, *shared: Any) -> tuple[Any, Any]:
        each = _groups_each(count, group_size, devices)

        def one(index: jax.Array) -> tuple[Any, Any]:
            return fn(index, *shared)

        def group(number: jax.Array, kept: tuple[Any, Any]) -> tuple[Any, Any]:
            first = (device[0] * each + number) * group_size
            indices = jnp.minimum(first + jnp.arange(group_size, dtype=jnp.int32), count - 1)
            indices = jax.lax.optimization_barrier(indices)
            results, details = jax.lax.optimization_barrier(_map_group(one, indices, group_size))
            results = jax.tree.map(
                lambda room, y: jax.lax.dynamic_update_slice_in_dim(room, y, number * group_size, 0), kept[0], results
            )
            return results, jax.tree.map(lambda first, y: jnp.where(number == 0, y[:1], first), kept[1], details)

        shapes = jax.eval_shape(one, jax.ShapeDtypeStruct((), jnp.int32))
        empty = jax.tree.map(lambda y: jnp.zeros((room * group_size, *y.shape), y.dtype), shapes[0])
        return jax.lax.fori_loop(
            0, each, group, (empty, jax.tree.map(lambda y: jnp.zeros((1, *y.shape), y.dtype), shapes[1]))
        )

    numbers = jnp.arange(devices, dtype=jnp.int32)
    if mesh is not None:
        split, whole = PartitionSpec(mesh.axis_names[0]), PartitionSpec()
        specs = (split, whole, *(whole for _ in shared))
        run = jax.shard_map(run, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    return run(numbers, count, *shared)


def in_order(values: Any, count: int, group_size: int, devices: int) -> Any:
    """The results [count, ...] of `grouped_range` in the order of the items, of one array."""
    each = int(_groups_each(count, group_size, devices)) * group_size
    return values.reshape(devices, -1, *values.shape[1:])[:, :each].reshape(-1, *values.shape[1:])[:count]


def _map_group(fn: Callable[[Any], Any], group: Any, group_size: int) -> Any:
    """jax.vmap(fn)(group)."""
    if group_size > 1:
        return jax.vmap(fn)(group)
    # Without the batch axis: XLA's CPU backend is slow at batched products, even of a batch of one.
    return jax.tree.map(lambda y: y[None], fn(jax.tree.map(lambda x: x[0], group)))


def _groups_each(count: Any, group_size: int, devices: int) -> Any:
    """Groups of each device, of a number or [] int32."""
    return (count + group_size * devices - 1) // (group_size * devices)


def _pad(x: jax.Array, length: int) -> jax.Array:
    """Copies of the first item behind the last, up to the length."""
    missing = length - x.shape[0]
    return jnp.concatenate([x, jnp.broadcast_to(x[:1], (missing, *x.shape[1:]))]) if missing else x


def as_mesh(mesh: Mesh | None) -> Mesh | None:
    """The mesh with an axis of type Auto, whatever its own type is: `jax.make_mesh` makes Explicit ones by default.

    Raises:
      ValueError: if it is no mesh of one axis.
    """
    if mesh is None:
        return None
    if not isinstance(mesh, Mesh) or len(mesh.axis_names) != 1:
        shape = dict(mesh.shape) if isinstance(mesh, Mesh) else type(mesh).__name__
        raise ValueError(f"mesh must have one axis, as jax.make_mesh((n,), ('shuffle',)) has, got {shape}")
    return _automatic(mesh)


def on_all_devices(tree: T, mesh: Mesh | None) -> T:
    """The arrays, copied whole to each device of the mesh, or to the default one; as they are without values.

    Of several processes each gives the same arrays.
    """
    if not is_concrete(tree):
        return tree
    return _put(tree, None if mesh is None else NamedSharding(mesh, PartitionSpec()))


def over_devices(tree: T, mesh: Mesh | None) -> T:
    """The arrays [S, ...], in equal parts on the devices of the mesh; arguments otherwise as `on_all_devices`."""
    return _put(tree, None if mesh is None else split(mesh))


def split(mesh: Mesh) -> NamedSharding:
    """Of arrays [S, ...] in equal parts."""
    return NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))


def whole_groups(count: int, group_size: int, mesh: Mesh | None) -> int:
    """So many items, the count or more, give each device of the mesh the same number of whole groups."""
    share = group_size * (1 if mesh is None else mesh.size)
    return -(-count // share) * share


def gather(tree: Any) -> Any:
    """The arrays on the host, whole, wherever their parts are; of several processes all call it."""

    def whole(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            return multihost_utils.process_allgather(leaf, tiled=True)
        return jax.device_get(leaf)

    return jax.tree.map(whole, tree)


def _put(tree: T, sharding: NamedSharding | None) -> T:
    if sharding is None or sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def put(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        host = np.asarray(leaf)  # JAX's own way would have all processes compare what they put
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(put, tree)


def without_explicit_sharding(x: jax.Array) -> jax.Array:
    """The array, where its sharding is part of its type without that; it stays where it is, or is whole under jit."""
    mesh = jax.typeof(x).sharding.mesh
    if not _is_explicit(mesh):
        return x
    if isinstance(x, jax.core.Tracer):
        return jax.sharding.reshard(x, NamedSharding(mesh, PartitionSpec(*[None] * x.ndim)))
    sharding = x.sharding
    assert isinstance(sharding, NamedSharding)
    assert isinstance(sharding.mesh, Mesh)
    return jax.device_put(x, NamedSharding(_automatic(sharding.mesh), sharding.spec))


def outside_explicit_mesh(fn: Callable[P, T]) -> Callable[P, T]:
    """Run fn as if the mesh that the caller has set (`jax.set_mesh`) had no Explicit axes; under jit the types stay."""

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _is_explicit(jax.sharding.get_abstract_mesh()):
            return fn(*args, **kwargs)
        try:
            mesh = jax.sharding.get_mesh()
        except ValueError:  # under jit, where no mesh can be set
            return fn(*args, **kwargs)
        with jax.set_mesh(_automatic(mesh)):
            args, kwargs = jax.tree.map(_plain, (args, kwargs))
            return fn(*args, **kwargs)

    return wrapped


def _automatic(mesh: Mesh) -> Mesh:
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def _plain(leaf: Any) -> Any:
    return without_explicit_sharding(leaf) if isinstance(leaf, jax.Array) else leaf


def _is_explicit(mesh: Any) -> bool:
    return AxisType.Explicit in mesh.axis_types
