"""Two processes under `jax.distributed`, on one machine here: they leave the bytes of one, whoever is killed."""

import contextlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from modularity_jax.runs.lock import locked
from tests.experiments import survival
from tests.experiments.test_launchers import REPOSITORY, environment
from tests.experiments.test_survival import QUICK, SETTINGS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@contextlib.contextmanager
def started(place, workdir, *, count=1, devices=1, own=None):
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
        flags += (own or {}).get(index, [])
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
    """Until there is a new one of these kinds, so that the processes have met and something can be lost."""

    def found():
        return {file for piece in pieces for file in workdir.glob(f"pieces/{piece}-*.npz")}

    before = found()
    while found() == before:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.02)


@pytest.fixture(scope="module")
def expected(place):
    with started(place, place / "alone") as (process,):
        assert process.wait(timeout=300) == 0
    found = survival.content(place / "alone")
    assert {"metrics.csv", "clusterability.csv", "lesions.csv", "weights/pruned.npz"} <= set(found)
    return found


@pytest.mark.long  # the fast lane has two processes in tests/runs/test_hosts.py, and devices in tests/runs/stages
def test_the_same_bytes(place, expected):
    for count, devices in ((2, 2), (1, 4)):
        workdir = place / f"{count}x{devices}"
        with started(place, workdir, count=count, devices=devices) as processes:
            assert [process.wait(timeout=300) for process in processes] == [0] * count
        assert survival.content(workdir) == expected
        assert not (workdir / "checkpoints").exists()


@pytest.mark.long
def test_one_of_two_is_killed(place, expected):
    """First number 1, then number 0, without which JAX ends the other; one alone comes to the end."""
    workdir = place / "killed"
    with started(place, workdir, count=2) as processes:
        wait_for(processes, workdir, "network")
        processes[1].send_signal(signal.SIGKILL)
        assert processes[0].wait(timeout=45) == 1
    line = error_of(place, workdir, 0)
    assert "another process is gone, or does not answer" in line
    assert "all that was finished is saved, go on with: python -m experiments.run" in line
    with started(place, workdir, count=2) as processes:
        wait_for(processes, workdir, "controls", "lesions")
        processes[0].send_signal(signal.SIGKILL)
        assert processes[1].wait(timeout=45) != 0
    with started(place, workdir) as (process,):
        assert process.wait(timeout=300) == 0
    assert survival.content(workdir) == expected


@pytest.mark.long
def test_one_of_two_is_stopped(place, expected):
    """A scheduler's SIGTERM to one, either of them, ends both after the same piece, with everything saved."""
    workdir = place / "stopped"
    # What comes after the controls may be done before JAX looks for the signal.
    for index, piece in enumerate(("network", "controls")):
        with started(place, workdir, count=2) as processes:
            wait_for(processes, workdir, piece)
            processes[index].send_signal(signal.SIGTERM)
            assert [process.wait(timeout=60) for process in processes] == [128 + signal.SIGTERM] * 2
        assert all("error: stopped by SIGTERM; all that" in error_of(place, workdir, number) for number in range(2))
    with started(place, workdir, count=2) as processes:
        assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert survival.content(workdir) == expected


@pytest.mark.long
def test_what_is_wrong_for_one_ends_both(place):
    """Another config for the second, and a workdir that is in use for the first."""
    workdir = place / "wrong"
    with started(place, workdir, count=2, own={1: ["--config.train.seed=5"]}) as processes:
        assert [process.wait(timeout=60) for process in processes] == [1, 1]
    assert "process 1 of 2: all processes must have one config, got (process 0's and mine): train.seed: 0 and 5" in (
        error_of(place, workdir, 0)
    )
    with locked(workdir), started(place, workdir, count=2) as processes:
        assert [process.wait(timeout=60) for process in processes] == [1, 1]
    assert all(f"workdir {workdir} is in use by" in error_of(place, workdir, number) for number in range(2))
