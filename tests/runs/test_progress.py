import io
import sys

import pytest
from absl import logging

from modularity_jax.runs import progress


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
        "clustering 2 networks: 2 of 4, b, about 40 s left",
        "clustering 2 networks: 4 of 4, d, about 0 s left",
    ]


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
