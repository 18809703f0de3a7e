"""Thin launchers: `python -m experiments.run --help` in a checkout, `python PATH/experiments/run.py` from anywhere."""

import os
import signal
import sys
from types import FrameType


def begin() -> None:
    """What a launcher does first: import all it needs, and end with one line where that is interrupted or fails."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as under nohup
        signal.signal(signal.SIGINT, end_at_once)
        signal.signal(signal.SIGTERM, end_at_once)
    try:
        import jax  # noqa: F401
    except ValueError as error:
        given = ", ".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("JAX_"))
        sys.exit(f"error: JAX does not take its environment variables ({given}): {error}; correct or unset them")
    except ModuleNotFoundError as error:
        _fail_without(error)
    try:
        from experiments import launcher  # noqa: F401
    except ModuleNotFoundError as error:
        _fail_without(error)


def _fail_without(error: ModuleNotFoundError) -> None:
    sys.exit(f"error: {error}; in the checkout, `make install` or pip install '.[experiments]' brings it")


def end_at_once(number: int, frame: FrameType | None) -> None:
    """Nothing is under way yet that could be saved, and an exception would leave a trace from wherever it came."""
    del frame
    os.write(2, b"error: interrupted\n")
    os._exit(128 + number)  # as a shell reports it


if sys.argv[0] == "-m":  # so Python calls a module that it is about to run
    begin()
