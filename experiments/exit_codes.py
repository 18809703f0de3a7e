"""What a command says and with which exit code it ends, when it does not come to its end."""

import errno

import jax

from modularity_jax.runs.group_sizes import is_out_of_memory
from modularity_jax.runs.signals import StoppedError, farewell

_ROOM = "make room, and the same command goes on with what is finished"
_RIGHTS = "it must be readable to this user, and what lies in --workdir writable"
_FILE = "where a folder should be there is a file; take another path"
_FAILS = "the disk or its network fails; the same command goes on with what is finished"
_CANNOT = "the file system cannot do this; take a --workdir on another one"
# What to do about an operating system's error, where its own words do not tell.
_ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "--workdir must be a place that can be written",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOTDIR: _FILE,
    errno.EEXIST: _FILE,
    errno.EISDIR: "where a file should be there is a folder; take another path",
    errno.ENAMETOOLONG: "take a shorter path",
    errno.EIO: _FAILS,
    errno.ESTALE: _FAILS,
    errno.ENOSYS: _CANNOT,
    errno.EOPNOTSUPP: _CANNOT,
    errno.EMFILE: "allow more open files: ulimit -n 4096",
}


def outcome_of(error: BaseException) -> tuple[str, int] | None:
    """A line for the user, with what to do next, and the exit code; None for what is a fault of ours."""
    if isinstance(error, StoppedError):
        return farewell(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, jax.errors.JaxRuntimeError):
        if is_out_of_memory(error):
            return f"out of memory: {str(error).splitlines()[0]}", 1
        reason = f"another process is gone, or does not answer ({str(error).splitlines()[0][:200]})"
        return (farewell(reason), 1) if jax.process_count() > 1 else None
    if isinstance(error, ValueError | OSError | ImportError | MemoryError):
        advice = _ADVICE.get(error.errno or 0) if isinstance(error, OSError) else None
        return "; ".join(filter(None, (str(error), advice))), 1
    return None
