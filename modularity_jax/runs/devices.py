"""How a run uses the machine's processors, and those of other hosts."""

import os
import subprocess
import sys

import jax
import scipy.linalg  # noqa: F401 - its BLAS, which JAX's eigensolver calls, must be loaded before it can be limited
import threadpoolctl
from absl import logging

from modularity_jax.data.dataset import one_line

# Says the last word where JAX ends this process without a chance to: it waits for a line which then does not come.
_LAST_WORD = "import sys; sys.stdin.readline() or print(sys.argv[1], file=sys.stderr)"
INITIALIZATION_SECONDS = 300
CACHE = "~/.cache/modularity_jax"
_watchman: subprocess.Popen[bytes] | None = None


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


def connect(coordinator: str | None, num_processes: int | None, process_id: int | None, last_word: str) -> None:
    """Meet the other processes of a run on several hosts; call it before JAX is first used.

    Args:
      coordinator: "host:port" of process 0. This and the other two are None where JAX finds them out by itself, which
        it does under Slurm, Open MPI, on Cloud TPU and on GKE.
      num_processes: how many.
      process_id: this one's number, from 0.
      last_word: a line for stderr, should JAX end this process because the others do not come or process 0 is gone.

    Raises:
      ValueError: if they do not fit each other, or are missing where JAX detects no cluster.
    """
    global _watchman
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    if coordinator is not None and not coordinator.rpartition(":")[2].isdigit():
        raise ValueError(f"--coordinator must be HOST:PORT, got {coordinator!r}")
    if num_processes is not None and process_id is not None and not 0 <= process_id < num_processes:
        raise ValueError(f"--process_id must lie in 0..{num_processes - 1}, got {process_id}")
    # Its preemption service would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    command = [sys.executable, "-ISc", _LAST_WORD, last_word]
    _watchman = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    logging.info("waiting for the other processes, %.0f s at most", INITIALIZATION_SECONDS)
    try:
        jax.distributed.initialize(
            coordinator, num_processes, process_id, initialization_timeout=INITIALIZATION_SECONDS
        )
    except (ValueError, TypeError, RuntimeError) as error:
        flags = ", ".join(f"--{name}={value}" for name, value in given.items())
        raise ValueError(
            f"--distributed found no other processes ({flags}): {error}; give all three where JAX detects no cluster"
        ) from error


def disconnect(code: int = 0) -> None:
    """Part from the other processes, where there are any; call it at the end.

    Args:
      code: of the exit. With another one than 0 the process ends here: JAX would wait for the others.
    """
    if not (_watchman and _watchman.stdin):
        return
    _watchman.communicate(b"\n")
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    jax.distributed.shutdown()


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
