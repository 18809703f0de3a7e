"""Kills, a full disk, one that cannot be written, a second process: one clear line, and the same bytes in the end."""

import contextlib
import fcntl
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.exit_codes import outcome_of
from modularity_jax.runs.store import Store
from tests.experiments import survival
from tests.experiments.test_launchers import REPOSITORY, environment, write_idx

QUICK = "configs/digits.py:quick"
SETTINGS = ["--config.cluster.methods=layer", "--config.lesion.joint=0"]  # fewer programs to compile


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


def run(place, workdir, *flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.run", f"--config={QUICK}", f"--workdir={workdir}", *flags],
        cwd=REPOSITORY, env=environment(place), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def error_of(ended):
    """The one line on what went wrong."""
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return lines[0]


def mounted(path, *options):
    """A small disk in memory; only the superuser can have one."""
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", path], capture_output=True).returncode:
        pytest.skip("mounting a small disk takes the superuser's rights")
    return path


@pytest.fixture(scope="module")
def survived(place):
    """What is said of runs that were killed, how many came to their end, and the bytes of one that nobody disturbed."""
    lines = []
    with contextlib.chdir(REPOSITORY):
        runs = survival.survive(QUICK, place, 2, environment=environment(place), settings=SETTINGS, report=lines.append)
    return lines, runs, survival.content(place / "whole")


@pytest.mark.long
def test_killed_at_random_moments(survived):
    lines, runs, _ = survived
    assert runs >= 1
    assert sum(line.startswith("kill") for line in lines) == 2


def test_a_full_disk_keeps_what_is_whole(place):
    """A store on a disk of 64 kB, filled until there is no room: what was put is there, and nothing of what was not."""
    disk = mounted(place / "tiny", "size=64k")
    try:
        store, arrays, last = Store(disk / "pieces"), {"a": np.arange(2000.0)}, 0

        def put(number):
            store.put({"piece": "network", "number": number}, arrays)

        with contextlib.suppress(OSError):
            for last in itertools.count():
                put(last)
        with pytest.raises(OSError, match="No space left on device") as error:
            put(last)
        line, code = outcome_of(error.value)
        assert code == 1
        assert "make room, and the same command goes on" in line
        assert last >= 2
        for number in range(last):
            np.testing.assert_array_equal(store.get({"piece": "network", "number": number})["a"], arrays["a"])
        assert {"piece": "network", "number": last} not in store
        assert len(os.listdir(disk / "pieces")) == last  # no temporary file is left
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        put(last)
        assert {"piece": "network", "number": last} in store
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.long
def test_a_full_disk(place, survived):
    """Room for half of the run, then for all of it."""
    disk = mounted(place / "small", "size=64k")
    try:
        ended = run(place, disk / "run", *SETTINGS)
        assert ended.returncode == 1
        assert "No space left on device" in error_of(ended)
        assert "make room, and the same command goes on" in error_of(ended)
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        ended = run(place, disk / "run", *SETTINGS)
        assert ended.returncode == 0, ended.stderr
        *_, expected = survived
        assert survival.content(disk / "run") == expected
        assert {"metrics.csv", "clusterability.csv", "lesions.csv", "weights/pruned.npz"} <= set(expected)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_cannot_be_written(place):
    disk = mounted(place / "fixed", "ro")
    try:
        ended = run(place, disk / "run")
        assert ended.returncode == 1
        assert "--workdir must be a place that can be written" in error_of(ended)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_second_process_is_told_who_is_there(place):
    workdir = place / "taken"
    workdir.mkdir()
    with open(workdir / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write('{"process": 7, "host": "here", "since": "noon", "command": "a command"}')
        lock.flush()
        ended = run(place, workdir)
    assert ended.returncode == 1
    assert f"workdir {workdir} is in use by process 7 on here since noon: a command" in error_of(ended)
    assert os.listdir(workdir) == ["lock"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_go_on(place, number):
    workdir = place / f"signal_{number}"
    command = ["experiments.run", f"--config={QUICK}", f"--workdir={workdir}", "--config.train.epochs=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=REPOSITORY, env=environment(place), stderr=subprocess.PIPE, text=True
    )
    while not any(workdir.glob("pieces/network-*")):
        assert process.poll() is None
    time.sleep(0.5)  # past the initial networks, for which there is nothing to save
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert stderr.splitlines()[-1] == (
        f"error: stopped by {signal.Signals(number).name}; all that was finished is saved, go on with: "
        f"python -m {' '.join(command)}"
    )
    assert list(pathlib.Path(workdir, "checkpoints", "train").iterdir())


def test_a_data_file_that_vanishes(place):
    """Between training and the lesions, which need the test set; put back, they are done."""
    write_idx(place / "data" / "mnist")
    workdir, images = place / "vanishing", place / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
    config = ["--config=configs/mnist.py:quick", f"--config.data.dir={place / 'data'}", "--config.data.num_train=40",
              "--config.train.num_seeds=1", "--config.lesion.joint=0", "--config.lesion.conditional=0"]  # fmt: skip

    def ended(module, *flags):
        command = [sys.executable, "-m", f"experiments.{module}", f"--workdir={workdir}", *flags]
        return subprocess.run(
            command, cwd=REPOSITORY, env=environment(place), capture_output=True, text=True, timeout=300
        )

    assert ended("train", *config).returncode == 0
    content = images.read_bytes()
    images.unlink()
    stopped = ended("lesion")
    assert stopped.returncode == 1
    assert str(images.parent) in error_of(stopped)
    images.write_bytes(content)
    whole = ended("lesion")
    assert whole.returncode == 0, whole.stderr
    assert {"lesions.csv", "weights/pruned.npz"} <= set(survival.content(workdir))
