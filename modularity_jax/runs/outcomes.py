"""What a command says and with which exit code it ends, when it does not come to its end."""

import errno

import jax

from modularity_jax.runs.memory import is_out_of_memory
from modularity_jax.runs.stopping import StoppedError, farewell


def outcome_of(error: BaseException) -> tuple[str, int] | None:
    """A line for the user, with what to do next, and the exit code; None for what is a fault of ours."""
    if isinstance(error, StoppedError):
        return farewell(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, jax.errors.JaxRuntimeError):
        return (f"out of memory: {str(error).splitlines()[0]}", 1) if is_out_of_memory(error) else None
    if isinstance(error, ValueError | OSError | ImportError):
        return f"{error}{_advice(error)}", 1
    return None


def _advice(error: Exception) -> str:
    """What to do where the disk is the trouble."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "; make room, and the same command goes on with what is finished"
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES):
        return "; --workdir must be a place that can be written"
    return ""
