"""One writer per directory, where there are locks; where there are none, a warning."""

import errno
import importlib.util
import json
import logging
import os
import sys

import pytest

from modularity_jax.runs import lock


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_second_writer_is_told_who_is_there(tmp_path, caplog):
    with lock.locked(tmp_path):
        holder = json.loads((tmp_path / "lock").read_text(encoding="utf-8"))
        assert holder["process"] == os.getpid()
        with (
            pytest.raises(ValueError, match=f"workdir {tmp_path} is in use by process {os.getpid()} on"),
            lock.locked(tmp_path),
        ):
            pass
    with lock.locked(tmp_path):
        pass
    assert not warnings(caplog)


def test_a_lock_file_that_is_no_text(tmp_path):
    with open(tmp_path / "lock", "wb") as holder:
        lock.fcntl.flock(holder, lock.fcntl.LOCK_EX)
        holder.write(b"\xff\xfe{")
        holder.flush()
        with pytest.raises(ValueError, match="is in use by another process; wait for it"), lock.locked(tmp_path):
            pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog, number):
    def flock(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    for _ in range(2):
        with lock.locked(tmp_path / "run"):
            assert json.loads((tmp_path / "run" / "lock").read_text(encoding="utf-8"))["process"] == os.getpid()
    said = f"no lock guards {tmp_path / 'run'} ({os.strerror(number)}): see to it that no second command writes there"
    assert [line.startswith(said) for line in warnings(caplog)] == [True, True]


def test_other_trouble_with_a_lock_is_an_error(tmp_path, monkeypatch):
    def flock(handle, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output error"), lock.locked(tmp_path):
        pass


def test_an_operating_system_without_fcntl(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # so that importing it fails
    spec = importlib.util.spec_from_file_location("lock_elsewhere", lock.__file__)
    elsewhere = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    with elsewhere.locked(tmp_path):
        assert json.loads((tmp_path / "lock").read_text(encoding="utf-8"))["process"] == os.getpid()
    assert [
        line.startswith(f"no lock guards {tmp_path} (this operating system has no fcntl)") for line in warnings(caplog)
    ]
