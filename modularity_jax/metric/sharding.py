"""Meshes and shardings as callers bring them, made such that XLA decides how arrays lie.

JAX's meshes have Explicit axes by default: an array's sharding is then part of its type, and every gather and reshape
is asked what sharding its result is to have, which nothing here has to say.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

P = ParamSpec("P")
T = TypeVar("T")


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
    """The arrays, copied whole to each device of the mesh, or to the default one; as they are without values."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.device_put(tree, None if mesh is None else NamedSharding(mesh, PartitionSpec()))


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
