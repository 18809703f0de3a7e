"""What a user is told when a command does not come to its end."""

import errno
import os

import jax
import pytest

from experiments.exit_codes import outcome_of
from modularity_jax.runs.signals import StoppedError


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room, and the same command goes on with what is finished"),
        (errno.EDQUOT, "make room, and the same command goes on with what is finished"),
        (errno.EROFS, "--workdir must be a place that can be written"),
        (errno.EACCES, "it must be readable to this user, and what lies in --workdir writable"),
        (errno.EPERM, "it must be readable to this user, and what lies in --workdir writable"),
        (errno.ENOTDIR, "where a folder should be there is a file; take another path"),
        (errno.EEXIST, "where a folder should be there is a file; take another path"),
        (errno.EISDIR, "where a file should be there is a folder; take another path"),
        (errno.ENAMETOOLONG, "take a shorter path"),
        (errno.EIO, "the disk or its network fails; the same command goes on with what is finished"),
        (errno.ESTALE, "the disk or its network fails; the same command goes on with what is finished"),
        (errno.ENOSYS, "the file system cannot do this; take a --workdir on another one"),
        (errno.EOPNOTSUPP, "the file system cannot do this; take a --workdir on another one"),
        (errno.EMFILE, "allow more open files: ulimit -n 4096"),
    ],
)
def test_what_the_operating_system_says_comes_with_what_to_do(number, advice):
    assert outcome_of(OSError(number, os.strerror(number), "x")) == (
        f"[Errno {number}] {os.strerror(number)}: 'x'; {advice}",
        1,
    )


def test_other_ends():
    assert outcome_of(KeyboardInterrupt()) == ("interrupted", 130)
    assert outcome_of(ValueError("wrong")) == ("wrong", 1)
    assert outcome_of(FileNotFoundError("there is no x; do y")) == ("there is no x; do y", 1)
    line, code = outcome_of(StoppedError("stopped by SIGTERM", 143))
    assert line.startswith("stopped by SIGTERM; all that was finished is saved, go on with: ")
    assert code == 143
    assert outcome_of(jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore")) == (
        "out of memory: RESOURCE_EXHAUSTED: Out of memory",
        1,
    )
    assert outcome_of(jax.errors.JaxRuntimeError("INTERNAL")) is None
    assert outcome_of(KeyError("ours")) is None
