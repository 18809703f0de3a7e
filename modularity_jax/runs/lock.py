"""One writer per workdir."""

import contextlib
import errno
import json
import os
import pathlib
import socket
import time
from collections.abc import Iterator
from typing import IO

from absl import logging

from modularity_jax.runs.commands import command_line

try:
    import fcntl
except ImportError:  # as on Windows
    fcntl = None  # type: ignore[assignment]

# What file systems without locks answer, such as some network mounts and drives of virtual machines.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the lock of a directory, which is made where it is missing: the file `lock`, which says who has it.

    The operating system frees the lock of a process that ends, however it ends, so that nothing is left to clean up.
    Where there are no locks the log says that nothing guards the directory.

    Raises:
      ValueError: if another process has the lock; the message names it.
      OSError: if the directory cannot be written.
    """
    file = pathlib.Path(path) / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+", encoding="utf-8", errors="replace") as handle:
        try:
            _lock(handle)
        except BlockingIOError:
            handle.seek(0)
            raise ValueError(
                f"workdir {path} is in use by {_described(handle.read())}; wait for it, or take another --workdir"
            ) from None
        handle.truncate(0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"process": os.getpid(), "host": socket.gethostname(), "since": started, "command": command_line()}
        handle.write(json.dumps(holder) + "\n")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def _lock(handle: IO[str]) -> None:
    """Take the lock, where there are locks.

    Raises:
      BlockingIOError: if another process has it.
    """
    reason = "this operating system has no fcntl"
    if fcntl:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            reason = str(error.strerror or error)
    folder = pathlib.Path(handle.name).parent
    logging.warning("no lock guards %s (%s): see to it that no second command writes there meanwhile", folder, reason)


def _described(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['process']} on {holder['host']} since {holder['since']}: {holder['command']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
