"""Kills `experiments.run` at random moments and starts it again: `python -m tests.experiments.survival --kills=50`.

Every run that ends is compared, byte for byte, with one that nobody disturbed; then the next begins.
"""

import argparse
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

COMPARED = ("metrics.csv", "learning_curve.csv", "clusterability.csv", "across_seeds.csv", "lesions.csv",
            "double_lesions.csv", "weights/init.npz", "weights/unpruned.npz", "weights/pruned.npz")  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
# What a killed process may end with; SIGTERM before the launcher listens ends it as SIGKILL does.
EXITS = {-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM}


def survive(config, folder, kills, *, environment=None, settings=(), seed=0, report=print):
    """Runs a config undisturbed, then again and again until it was killed so many times.

    Args:
      config: of `experiments.run`.
      folder: for the runs.
      kills: how many.
      environment: of the processes.
      settings: flags that change the config.
      seed: of the moments and signals.
      report: takes a line of text.

    Returns:
      The number of runs that came to their end.

    Raises:
      AssertionError: if a run ends in an error by itself, or leaves other bytes than the undisturbed one.
    """
    stream = random.Random(seed)
    start = time.monotonic()
    assert _start(config, folder / "whole", settings, environment).wait() == 0
    seconds = time.monotonic() - start
    expected = content(folder / "whole")
    report(f"undisturbed: {seconds:.0f} s")
    killed = finished = 0
    while killed < kills or not finished:
        process = _start(config, folder / "killed", settings, environment)
        try:
            # A run that has had its kills comes to its end.
            process.wait(timeout=stream.uniform(0.5, seconds) if killed < kills else None)
        except subprocess.TimeoutExpired:
            number = stream.choice(SIGNALS)
            process.send_signal(number)
            killed += 1
            code = process.wait()
            assert code in EXITS | {0}, f"exit code {code} after {number.name}: {_log(folder)}"
            report(f"kill {killed}: {number.name}, exit code {code}, there: {', '.join(_there(folder / 'killed'))}")
            continue
        assert process.returncode == 0, f"exit code {process.returncode} without a kill: {_log(folder)}"
        finished += 1
        found = content(folder / "killed")
        differing = [name for name in expected if found.get(name) != expected[name]]
        assert not differing, f"run {finished} differs in {', '.join(differing)}"
        report(f"run {finished} ended, the same bytes in {len(expected)} files")
        shutil.rmtree(folder / "killed")
    return finished


def _start(config, workdir, settings, environment):
    log = (workdir.parent / "log.txt").open("w")
    command = [sys.executable, "-m", "experiments.run", f"--config={config}", f"--workdir={workdir}", *settings]
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def content(workdir):
    """The bytes of what a run leaves."""
    return {name: (workdir / name).read_bytes() for name in COMPARED if (workdir / name).exists()}


def _there(workdir):
    return [name for name in COMPARED if (workdir / name).exists()] or ["nothing"]


def _log(folder):
    return (folder / "log.txt").read_text()[-2000:]


def main():
    """The long script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/digits.py")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = survive(arguments.config, pathlib.Path(folder), arguments.kills, seed=arguments.seed)
    print(f"{arguments.kills} kills, {runs} runs ended, all with the bytes of the undisturbed one")  # noqa: T201


if __name__ == "__main__":
    main()
