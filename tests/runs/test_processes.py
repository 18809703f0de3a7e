"""Teams whose processes are threads here; those of `jax.distributed` are in tests/experiments/test_distributed.py."""

import itertools
import json
import threading
import time

import pytest

from modularity_jax.runs import processes, signals
from modularity_jax.runs.processes import ALONE, Team, joined


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Heartbeats in a hurry, nobody wishes to stop, and no test ends the process."""
    monkeypatch.setattr(signals, "end_now", lambda reason: None)
    for name, seconds in {"BEAT": 0.02, "SILENCE": 0.5, "JOIN": 1.5, "GRACE": 0.6}.items():
        monkeypatch.setattr(processes, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(signals, "_wish", None)


def together(folder, count, work):
    """Runs work(team) in a thread for each process; what it returned or raised."""
    results = [None] * count

    def run(index):
        try:
            with joined(Team(folder, index, count)) as team:
                results[index] = work(team)
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
        assert not thread.is_alive()
    return results


def test_a_process_alone_waits_for_nobody_and_takes_everything():
    ALONE.wait()
    assert ALONE.is_first
    assert ALONE.takes("a")
    assert ALONE.takes("a")


def test_all_have_come_when_waiting_ends(tmp_path):
    seen = []

    def work(team):
        for step in range(5):
            time.sleep(0.05 * (team.index == step % 3))  # each is late in turn
            seen.append(step)
            team.wait()
        return team.is_first

    assert together(tmp_path / "processes", 3, work) == [True, False, False]
    assert seen == sorted(seen)
    assert not (tmp_path / "processes").exists()


def test_every_piece_is_taken_once(tmp_path):
    pieces = [f"test-{number}" for number in range(60)]
    taken = together(tmp_path / "processes", 3, lambda team: [piece for piece in pieces if team.takes(piece)])
    assert sorted(itertools.chain(*taken)) == sorted(pieces)


def test_files_of_an_earlier_start_are_not_believed(tmp_path):
    folder = tmp_path / "processes"
    folder.mkdir()
    for index in range(2):
        facts = {"token": "old", "beats": 7, "reached": 99, "state": "at work", "host": "h", "process": 1}
        (folder / str(index)).write_text(json.dumps(facts))
    (folder / "old-piece").touch()
    order = []

    def work(team):
        order.append(team.index)
        assert team.takes(f"piece-{team.index}")
        team.wait()
        order.append("after")

    assert together(folder, 2, work) == [None, None]
    assert sorted(order[:2]) == [0, 1]
    assert order[2:] == ["after", "after"]


def test_who_leaves_early_ends_the_others_with_the_reason(tmp_path):
    def work(team):
        if team.index == 1:
            raise ValueError("no such file")
        team.wait()

    first, second = together(tmp_path / "processes", 2, work)
    assert isinstance(second, ValueError)
    assert isinstance(first, signals.StoppedError)
    assert "process 1 of 2 on " in str(first)
    assert str(first).endswith("has left: no such file")
    assert first.exit_code == 1


def test_who_falls_silent_ends_the_others(tmp_path):
    other = Team(tmp_path / "processes", 1, 2)
    other._watch = lambda: None  # its only beats are those of its start

    team = Team(tmp_path / "processes", 0, 2)
    team.start()
    thread = threading.Thread(target=other.start)
    thread.start()
    thread.join()
    with pytest.raises(signals.StoppedError, match=r"process 1 of 2 on .* has not been heard of for \d+ s$"):
        team.wait()
    start = time.monotonic()
    team.leave("stopped")
    assert time.monotonic() - start < processes.GRACE_SECONDS  # a silent process is not waited for


def test_who_never_comes_ends_the_first_with_a_hint(tmp_path):
    team = Team(tmp_path / "processes", 0, 2)
    team.start()
    with pytest.raises(signals.StoppedError, match=rf"process 1 of 2 has .* in {tmp_path}, which all hosts must see"):
        team.wait()
    team.leave("stopped")


def test_without_the_first_there_is_no_start(tmp_path):
    with pytest.raises(ValueError, match=r"process 0 of 2 is not at work in .*; --workdir must be one directory that"):
        Team(tmp_path / "processes", 1, 2).start()


def test_a_process_that_cannot_stop_is_ended(tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr(signals, "end_now", ended.append)

    def work(team):
        if team.index == 0:
            time.sleep(1.5)  # a piece of work that takes longer than the grace
            return
        raise ValueError("gone")

    together(tmp_path / "processes", 2, work)
    assert ended
    assert "process 1 of 2" in ended[0]
    assert "has left: gone" in ended[0]
