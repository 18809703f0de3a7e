"""What JAX compiles and how long it takes, told by JAX itself.

`experiments.benchmark cold` runs this file beside other checkouts too, so it imports nothing of the project.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Self

import jax.monitoring

COMPILE = "/jax/core/compile/backend_compile_duration"
TRACE = "/jax/core/compile/jaxpr_trace_duration", "/jax/core/compile/jaxpr_to_mlir_module_duration"


class Program(NamedTuple):
    """One program that was compiled, or fetched from where compiled programs are kept."""

    name: str
    seconds: float  # wall-clock
    cpu_seconds: float  # of all threads of this process meanwhile; NaN where JAX does not tell the beginning (0.10.0)


class _Open(NamedTuple):
    """An event that has begun; `inner` collects the seconds of those within it."""

    event: str
    wall: float
    cpu: float
    inner: list[float]


class CompileWatch:
    """Listens to JAX's compilation while it is entered; use it as a context manager.

    Args:
      on_change: is told the name of a program when its compilation begins, and "" when it ends.

    Attributes:
      programs: those that were compiled, in order.
      tracing: seconds of tracing and lowering, in Python, without those of compilation within.
    """

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        self.programs: list[Program] = []
        self.tracing = 0.0
        self._on_change = on_change
        self._open: dict[int, list[_Open]] = {}  # by thread, the innermost last

    def __enter__(self) -> Self:
        jax.monitoring.register_scalar_listener(self._begin)
        jax.monitoring.register_event_duration_secs_listener(self._end)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._end)
        jax.monitoring.unregister_scalar_listener(self._begin)

    @property
    def seconds(self) -> float:
        """Wall-clock of compilation."""
        return sum(program.seconds for program in self.programs)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of compilation."""
        return sum(program.cpu_seconds for program in self.programs)

    def _begin(self, event: str, value: float, **facts: str | int) -> None:
        del value
        if event == COMPILE or event in TRACE:
            opened = self._open.setdefault(threading.get_ident(), [])
            opened.append(_Open(event, time.monotonic(), time.process_time(), []))
            if event == COMPILE:
                self._on_change(_name(facts))

    def _end(self, event: str, duration_secs: float, **facts: str | int) -> None:
        if event != COMPILE and event not in TRACE:
            return
        opened, wall, cpu = self._open.get(threading.get_ident(), []), duration_secs, float("nan")
        if opened and opened[-1].event == event:
            last = opened.pop()
            wall, cpu = time.monotonic() - last.wall, time.process_time() - last.cpu
            if opened:
                opened[-1].inner.append(wall)
            wall -= sum(last.inner) if event != COMPILE else 0
        if event == COMPILE:
            self.programs.append(Program(_name(facts), wall, cpu))
            self._on_change("")
        else:
            self.tracing += wall


def _name(facts: dict[str, str | int]) -> str:
    """The function's name, of "jit(name)"."""
    return str(facts.get("fun_name", "a program")).removeprefix("jit(").removesuffix(")")
