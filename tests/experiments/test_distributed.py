"""Two processes under `jax.distributed`, on one machine here: they leave the bytes of one, whoever is killed."""

import contextlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.experiments import survival
from tests.experiments.test_launchers import REPOSITORY, environment
from tests.experiments.test_survival import QUICK, SETTINGS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@contextlib.contextmanager
def started(place, workdir, *, count=1, devices=1):
    """The processes of a run, which do not outlive the block; standard error goes to a file of each."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "experiments.run", f"--config={QUICK}", f"--workdir={workdir}", *SETTINGS]
    shared = ["--distributed", f"--coordinator=localhost:{port}", f"--num_processes={count}"] if count > 1 else []
    variables = environment(place) | {"JAX_NUM_CPU_DEVICES": str(devices)}
    processes = []
    for index in range(count):
        flags = [*shared, f"--process_id={index}"] if shared else []
        with open(place / f"{workdir.name}-{index}.txt", "w") as log:
            processes.append(
                subprocess.Popen([*command, *flags], cwd=REPOSITORY, env=variables, stdout=log, stderr=log)
            )
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def error_of(place, workdir, index):
    """The one line of a process on what went wrong."""
    lines = (place / f"{workdir.name}-{index}.txt").read_text().splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    assert len(errors) == 1, lines
    return errors[0]


def wait_for(processes, workdir, *pieces):
    """Until there is one of these kinds, so that something can be lost."""
    while not any(file for piece in pieces for file in workdir.glob(f"pieces/{piece}-*.npz")):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)


@pytest.fixture(scope="module")
def expected(place):
    with started(place, place / "alone") as (process,):
        assert process.wait(timeout=300) == 0
    found = survival.content(place / "alone")
    assert {"metrics.csv", "clusterability.csv", "lesions.csv", "weights/pruned.npz"} <= set(found)
    return found


@pytest.mark.long  # the fast lane has processes of its own making in tests/runs/stages/test_shared_stages.py
def test_the_same_bytes(place, expected):
    workdir = place / "two"
    with started(place, workdir, count=2, devices=2) as processes:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert survival.content(workdir) == expected
    assert not any((workdir / name).exists() for name in ("processes", "checkpoints"))


@pytest.mark.long
def test_one_of_two_is_killed(place, expected):
    """First number 1, which number 0 finds out; then number 0, without which JAX ends the other; one alone ends it."""
    workdir = place / "killed"
    with started(place, workdir, count=2) as processes:
        wait_for(processes, workdir, "network")
        processes[1].send_signal(signal.SIGKILL)
        assert processes[0].wait(timeout=60) == 1
    line = error_of(place, workdir, 0)
    assert "process 1 of 2 on" in line
    assert "has not been heard of for 2" in line
    assert "all that was finished is saved, go on with: python -m experiments.run" in line
    with started(place, workdir, count=2) as processes:
        wait_for(processes, workdir, "controls", "lesions")
        processes[0].send_signal(signal.SIGKILL)
        assert processes[1].wait(timeout=60) != 0
    assert "by JAX because others did not come or process 0 is gone; all that was" in error_of(place, workdir, 1)
    with started(place, workdir) as (process,):
        assert process.wait(timeout=300) == 0
    assert survival.content(workdir) == expected


@pytest.mark.long
def test_one_of_two_is_stopped(place, expected):
    """A scheduler's SIGTERM to one ends both, with everything saved."""
    workdir = place / "stopped"
    with started(place, workdir, count=2) as processes:
        wait_for(processes, workdir, "network")
        processes[1].send_signal(signal.SIGTERM)
        assert [process.wait(timeout=60) for process in processes] == [1, 128 + signal.SIGTERM]
    assert "error: stopped by SIGTERM" in error_of(place, workdir, 1)
    assert "has left: stopped by SIGTERM" in error_of(place, workdir, 0)
    with started(place, workdir, count=2) as processes:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert survival.content(workdir) == expected
