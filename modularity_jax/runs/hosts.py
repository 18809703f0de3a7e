"""The processes of a run: they do the same in step, and process 0 alone touches the run's directory.

What depends on one host's disk, clock or memory goes through here. Else one process would do another thing than the
rest, and wait for ever at the next exchange between devices.
"""

import faulthandler
import os
import pickle
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from absl import logging
from jax.experimental import multihost_utils

T = TypeVar("T")

INITIALIZATION_SECONDS = 300
HEARTBEAT_SECONDS = 30  # after which a process that is not heard of is taken for dead
PARTING_SECONDS = 5.0  # that one which ends with an error waits for the others to come to the same

_TOLD = ValueError, OSError, ImportError, MemoryError
# Bytes of an exchange, at least, so that most have one shape and so one program. A much smaller one XLA computes on a
# CPU at once, and would raise a ValueError, and no error of JAX's own, where a process is gone.
_MESSAGE = 2**12
_speaks_alone = False


def told_by_first(fn: Callable[[], T]) -> T:
    """What fn returns in process 0, in all processes; where it raises an error about input or disk, that one in all.

    All processes call it. Within fn process 0 is on its own: what it calls there tells nobody else.
    """
    global _speaks_alone
    if jax.process_count() == 1 or _speaks_alone:
        return fn()
    said = b""
    if jax.process_index() == 0:
        _speaks_alone = True
        try:
            said = pickle.dumps((fn(), None))
        except _TOLD as error:
            said = pickle.dumps((None, error))
        finally:
            _speaks_alone = False
    result, failure = pickle.loads(_from_first(said))
    if failure is not None:
        raise failure
    return result


def agreed(fn: Callable[[], T]) -> T:
    """What fn returns, in each process its own; where it raises an error about input or disk in one, one in all.

    Raises:
      ValueError: where another process has failed; it says which and how.
    """
    if jax.process_count() == 1 or _speaks_alone:
        return fn()
    error, result = None, None
    try:
        result = fn()
    except _TOLD as caught:
        error = caught
    text = str(error).encode()[: _MESSAGE - 1] if error else b""
    mine = np.frombuffer((bytes([error is not None]) + text).ljust(_MESSAGE, b"\0"), np.uint8)
    said = [row.tobytes() for row in multihost_utils.process_allgather(mine)]
    if error:
        raise error
    for index, words in enumerate(said):
        if words[0]:
            raise ValueError(f"process {index} of {len(said)}: {words[1:].rstrip(bytes(1)).decode(errors='replace')}")
    return result  # type: ignore[return-value]


def connect(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Meet the other processes of a run; call it before JAX is first used.

    JAX then takes SIGTERM, tells the others of it, and ends this process where another one is gone.

    Args:
      coordinator: "host:port" of process 0. This and the other two are None where JAX finds them out by itself, which
        it does under Slurm, Open MPI, on Cloud TPU and on GKE.
      num_processes, process_id: how many there are, and this one's number, from 0.

    Raises:
      ValueError: if they do not fit each other, or are missing where JAX detects no cluster.
    """
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    if coordinator is not None and not coordinator.rpartition(":")[2].isdigit():
        raise ValueError(f"--coordinator must be HOST:PORT, got {coordinator!r}")
    if num_processes is not None and process_id is not None and not 0 <= process_id < num_processes:
        raise ValueError(f"--process_id must lie in 0..{num_processes - 1}, got {process_id}")
    faulthandler.disable()  # where JAX ends the process, its own line says why, and no stack of ours does
    logging.info("waiting for the other processes, %.0f s at most", INITIALIZATION_SECONDS)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=INITIALIZATION_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (ValueError, TypeError, RuntimeError) as error:
        flags = ", ".join(f"--{name}={value}" for name, value in given.items())
        raise ValueError(
            f"--distributed found no other processes ({flags}): {error}; give all three where JAX detects no cluster"
        ) from error


def disconnect(code: int = 0) -> None:
    """Part from the other processes, where there are any; call it at the end.

    With another exit code than 0 the process ends here, without waiting long for the others.
    """
    if not jax.distributed.is_initialized():
        return
    if not code:
        return jax.distributed.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Where all end alike, none is taken for dead by those that are about to end.
    parting = threading.Thread(target=jax.distributed.shutdown, daemon=True)
    parting.start()
    parting.join(PARTING_SECONDS)
    os._exit(code)


def _from_first(said: bytes) -> bytes:
    """Of process 0, in all: its length, and then itself in a length that is rounded up, since each is a program."""
    length = int.from_bytes(_broadcast(len(said).to_bytes(_MESSAGE, "little")), "little")
    room = max(_MESSAGE, 1 << length.bit_length())
    return _broadcast(said.ljust(room, b"\0"))[:length]


def _broadcast(said: bytes) -> bytes:
    """Of process 0; all have something of one length."""
    return np.asarray(multihost_utils.broadcast_one_to_all(np.frombuffer(said, np.uint8))).tobytes()
