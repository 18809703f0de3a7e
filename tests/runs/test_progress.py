import io
import sys

import jax.monitoring
import pytest
from absl import logging

from modularity_jax.runs import progress
from modularity_jax.runs.compilation import COMPILE


class Screen(io.StringIO):
    """A stream that is a terminal, or is not."""

    def __init__(self, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def lines(monkeypatch):
    """The log lines."""
    found = []
    monkeypatch.setattr(logging, "info", lambda text, *values: found.append(text % values))
    return found


def show(monkeypatch, terminal, pieces):
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.Progress("clustering 2 networks", len(pieces)) as shown:
        for wait, what in pieces:
            wait()
            shown.advance(what)
    return screen.getvalue()


def test_log_lines_without_a_terminal(monkeypatch, clock, lines):
    def pass_time(seconds):
        return lambda: clock.__setitem__(0, clock[0] + seconds)

    pieces = [(pass_time(20), "a"), (pass_time(20), "b"), (pass_time(20), "c"), (pass_time(1), "d")]
    text = show(monkeypatch, False, pieces)
    assert text == ""
    # A line every 30 seconds at most, and one at the end.
    assert lines == [
        "clustering 2 networks: 0 of 4, starting; compilation, the first time, takes seconds to a minute",
        "clustering 2 networks: 2 of 4, b, about 40 s left",
        "clustering 2 networks: 4 of 4, d, about 0 s left",
    ]


def compile_for(clock, seconds, name="_cluster"):
    """What JAX tells of a program that takes so long."""
    jax.monitoring.record_scalar(COMPILE, 0.0, fun_name=f"jit({name})")
    clock[0] += seconds
    jax.monitoring.record_event_duration_secs(COMPILE, seconds, fun_name=f"jit({name})")


def test_compilation_is_announced_and_not_counted_into_the_time_left(monkeypatch, clock, lines):
    monkeypatch.setattr(sys, "stderr", Screen(False))
    with progress.Progress("clustering 2 networks", 20) as shown:
        compile_for(clock, 60)
        clock[0] += 3
        shown.advance("a")
    assert lines == [
        "clustering 2 networks: 0 of 20, starting; compilation, the first time, takes seconds to a minute",
        "clustering 2 networks: 1 of 20, a, about 57 s left",
    ]


def test_a_bar_names_what_is_compiled(monkeypatch, clock, lines):
    screen = Screen(True)
    monkeypatch.setattr(sys, "stderr", screen)

    def last():
        return screen.getvalue().split("\r")[-1]

    with progress.Progress("clustering 2 networks", 4) as shown:
        assert "0/4" in last()
        assert "starting; compilation, the first time, takes seconds to a minute" in last()
        jax.monitoring.record_scalar(COMPILE, 0.0, fun_name="jit(_cluster)")
        assert "compiling _cluster; " in last()
        jax.monitoring.record_event_duration_secs(COMPILE, 1.0, fun_name="jit(_cluster)")
        assert "_cluster" not in last()
        shown.advance("a")
    assert lines == []
    before = screen.getvalue()
    jax.monitoring.record_scalar(COMPILE, 0.0, fun_name="jit(_cluster)")
    assert screen.getvalue() == before


def test_a_bar_on_a_terminal(monkeypatch, lines):
    text = show(monkeypatch, True, [(lambda: None, "k = 4, layer"), (lambda: None, "k = 12, layer")])
    last = text.split("\r")[-1]
    assert "clustering 2 networks: 100%" in last
    assert "2/2" in last
    assert "k = 12, layer" in last
    assert last.endswith("\n")
    assert lines == []


def test_an_error_passes_through_and_closes_the_bar(monkeypatch, lines):
    def fail():
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        show(monkeypatch, True, [(lambda: None, "a"), (fail, "b")])
    assert sys.stderr.getvalue().endswith("\n")
    assert "1/2" in sys.stderr.getvalue()
    assert lines == []
