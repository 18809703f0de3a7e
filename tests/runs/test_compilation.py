import jax
import jax.monitoring
import jax.numpy as jnp
import pytest

from modularity_jax.runs import compilation
from modularity_jax.runs.compilation import COMPILE, TRACE, CompileWatch


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so; the processors work twice as long."""
    now = [0.0]
    monkeypatch.setattr(compilation.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(compilation.time, "process_time", lambda: 2 * now[0])
    return now


def begin(event, name="jit(f)"):
    jax.monitoring.record_scalar(event, 0.0, fun_name=name)


def end(event, seconds, name="jit(f)"):
    jax.monitoring.record_event_duration_secs(event, seconds, fun_name=name)


def test_events_within_events_count_once(clock):
    told = []
    with CompileWatch(told.append) as watch:
        begin(TRACE[0])
        clock[0] += 1
        begin(TRACE[0])
        clock[0] += 2
        begin(COMPILE, "jit(constant)")
        clock[0] += 4
        end(COMPILE, 4.0, "jit(constant)")
        end(TRACE[0], 6.0)
        end(TRACE[0], 7.0)
        begin(COMPILE)
        clock[0] += 8
        end(COMPILE, 8.0)
    assert [program[:2] for program in watch.programs] == [("constant", 4), ("f", 8)]
    assert (watch.tracing, watch.seconds, watch.cpu_seconds) == (3, 12, 24)
    assert told == ["constant", "", "f", ""]


def test_an_event_whose_beginning_was_not_told_counts_as_long_as_jax_says(clock):
    with CompileWatch() as watch:
        end(COMPILE, 5.0)
        end(TRACE[1], 3.0)
    assert (watch.seconds, watch.tracing) == (5, 3)
    assert str(watch.cpu_seconds) == "nan"


def test_jax_tells_of_each_program_once():
    @jax.jit
    def told_once(x):
        return jnp.sin(x) + 3

    x = jnp.ones(7)
    with CompileWatch() as watch:
        told_once(x)
        told_once(x)
    with CompileWatch() as later:
        told_once(x)
    (program,) = watch.programs
    assert program.name == "told_once"
    assert program.seconds > 0
    assert program.cpu_seconds >= 0
    assert watch.tracing > 0
    assert later.programs == []
