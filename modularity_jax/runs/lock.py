"""One writer per workdir."""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import time
from collections.abc import Iterator

from modularity_jax.runs.workdir import command_line


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds a directory's lock, the file `lock`, which says who has it.

    The operating system frees the lock of a process that ends, however it ends, so that nothing is left to clean up.

    Args:
      path: the directory; it is made where it is missing.

    Raises:
      ValueError: if another process has the lock; the message names it.
      OSError: if the directory cannot be written.
    """
    file = pathlib.Path(path) / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def _described(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['process']} on {holder['host']} since {holder['since']}: {holder['command']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
