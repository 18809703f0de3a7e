"""How a run uses the machine's processors."""

import os
import re

import jax
import scipy.linalg  # noqa: F401 - its BLAS, which JAX's eigensolver calls, must be loaded before it can be limited
import threadpoolctl
from absl import logging

from modularity_jax.data.dataset import one_line

CACHE = "~/.cache/modularity_jax"


def use_all_cores() -> None:
    """Make each CPU core a JAX device of its own, with one BLAS thread; call it before JAX is first used.

    Groups of seeds or shuffles run side by side on the cores, which beats sharing one group's small products among
    them: 1.7 times on 2 cores for a shuffle test. JAX's eigensolver calls SciPy's BLAS, whose threads would wait for
    each other. Where the user has set a number of devices, or there is an accelerator, JAX's own choice stays.

    JAX's eigensolver (0.10) holds a thread of XLA's pool while it waits for another: as many devices as threads can
    wait for each other forever. One more thread ends that.
    """
    threadpoolctl.threadpool_limits(1, user_api="blas")
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not chosen and "JAX_NUM_CPU_DEVICES" not in os.environ:
        jax.config.update("jax_num_cpu_devices", _num_cores())
    given = os.environ.get("JAX_NUM_CPU_DEVICES", ""), *os.environ.get("XLA_FLAGS", "").split("device_count=")[1:]
    counts = [int(found[0]) for text in given if (found := re.match(r"\d+", text))]
    os.environ.setdefault("PJRT_NPROC", str(1 + max(_num_cores(), *counts, 0)))


def keep_compiled_programs() -> None:
    """Keep compiled programs between runs: where the user says, else in `CACHE`, if that can be written."""
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder = os.path.expanduser(CACHE if given is None else given)
    if given is None and not _can_hold_files(folder):
        logging.info(
            "compiled programs are not kept: %s cannot be written, JAX_COMPILATION_CACHE_DIR chooses another place",
            folder,
        )
    else:
        jax.config.update("jax_compilation_cache_dir", folder)
    # JAX's own second leaves out so many small programs that a second run still waits for them.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def check_platform() -> None:
    """Start JAX's devices.

    Raises:
      ValueError: if there are none of the wanted kind.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # a plugin that finds no GPU asserts, without a word
        given = [
            f"{name}={os.environ[name]}" for name in ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES") if name in os.environ
        ]
        remedy = f"unset {' and '.join(given)}" if given else "set JAX_PLATFORMS=cpu"
        reason = one_line(error) or "there is no such device"
        raise ValueError(
            f"JAX cannot start its devices: {reason}; {remedy}, or install what the device needs (README, GPU and TPU)"
        ) from error


def _can_hold_files(folder: str) -> bool:
    """Whether a folder is there, or can be made, and written to; not below a home directory that is not known."""
    if folder.startswith("~"):
        return False
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _num_cores() -> int:
    """Cores that this process may use; not every system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
