"""How a run uses the machine's processors."""

import os

import jax
import scipy.linalg  # noqa: F401 - its BLAS, which JAX's eigensolver calls, must be loaded before it can be limited
import threadpoolctl


def use_all_cores() -> None:
    """Make each CPU core a JAX device of its own, with one BLAS thread; call it before JAX is first used.

    Groups of seeds or shuffles run side by side on the cores, which beats sharing one group's small products among
    them: 1.7 times on 2 cores for a shuffle test. JAX's eigensolver calls SciPy's BLAS, whose threads would wait for
    each other. Where the user has set a number of devices, or there is an accelerator, JAX's own choice stays.
    """
    threadpoolctl.threadpool_limits(1, user_api="blas")
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen and "JAX_NUM_CPU_DEVICES" not in os.environ:
        jax.config.update("jax_num_cpu_devices", _num_cores())


def _num_cores() -> int:
    """Cores that this process may use; not every system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
