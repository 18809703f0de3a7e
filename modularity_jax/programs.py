"""Programs: functions as JAX compiles them, and whether there are values yet."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.extend.core import get_opaque_trace_state

P = ParamSpec("P")
T = TypeVar("T")

_NO_TRACE = get_opaque_trace_state()

# A GPU's products come from NVIDIA's library. XLA would compile dozens of Triton kernels for each product and time
# them: on an H100 a first shuffle test took 17 s so, and 7 s without. It would also pad and so copy wide weights.
_ON_GPU: dict[str, bool | int | float | str] = {"xla_gpu_enable_triton_gemm": False}


def program(fn: Callable[P, T], *, static_argnums: int | tuple[int, ...] = ()) -> Callable[P, T]:
    """`jax.jit`, with the compiler's options where it is no part of a caller's program, which has its own."""
    part = jax.jit(fn, static_argnums=static_argnums)

    @functools.cache
    def alone(platform: str) -> Callable[P, T]:
        told = platform == "gpu" and _gpu_options()
        return jax.jit(fn, static_argnums=static_argnums, compiler_options=told) if told else part

    @functools.wraps(fn)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if not is_concrete((args, kwargs)) or get_opaque_trace_state() != _NO_TRACE:
            return part(*args, **kwargs)
        return alone(jax.default_backend())(*args, **kwargs)

    return run


@functools.cache
def _gpu_options() -> dict[str, bool | int | float | str]:
    """What the compiler is told; nothing where this version of it has no such option."""
    try:
        jax.jit(lambda: 0, compiler_options=_ON_GPU).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _ON_GPU


def is_concrete(tree: Any) -> bool:
    """Whether every array of the pytree has values to look at."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))
