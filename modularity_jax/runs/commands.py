"""Commands to paste: what the user typed, and a launcher in the same way."""

import pathlib
import shlex
import sys


def command_line() -> str:
    """What the user typed, as a command."""
    program = pathlib.Path(sys.argv[0])
    words = _call(program.stem) if _is_launcher(program) else [str(program)]
    # Where the locale is ASCII, other letters of the arguments are bytes in disguise, which no UTF-8 file can hold.
    text = shlex.join([*words, *sys.argv[1:]])
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def launcher_command(name: str, workdir: object) -> str:
    """The command that starts another launcher on a workdir, in the way in which this one was started."""
    return " ".join([*map(shlex.quote, _call(name)), f"--workdir={workdir}"])


def _is_launcher(program: pathlib.Path) -> bool:
    return program.resolve().parent.name == "experiments"


def _call(name: str) -> list[str]:
    """A launcher as a script, if this is one; else as a module."""
    program = pathlib.Path(sys.argv[0])
    if _is_launcher(program) and getattr(sys.modules["__main__"], "__spec__", None) is None:
        return ["python", str(program.with_name(f"{name}.py"))]
    return ["python", "-m", f"experiments.{name}"]
