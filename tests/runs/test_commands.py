import sys
import types

import pytest

from modularity_jax.runs import commands

MODULE, SCRIPT = types.SimpleNamespace(name="experiments.run"), None


@pytest.mark.parametrize(
    ("spec", "arguments", "command", "other"),
    [
        (
            MODULE,
            ["/somewhere/experiments/run.py", "--workdir=a b"],
            "python -m experiments.run '--workdir=a b'",
            "python -m experiments.train --workdir=w",
        ),
        (
            SCRIPT,
            ["/some where/experiments/run.py", "--x"],
            "python '/some where/experiments/run.py' --x",
            "python '/some where/experiments/train.py' --workdir=w",
        ),
        (
            SCRIPT,
            ["/somewhere/tool.py", "--x=1"],
            "/somewhere/tool.py --x=1",
            "python -m experiments.train --workdir=w",
        ),
    ],
)
def test_commands_can_be_pasted(monkeypatch, spec, arguments, command, other):
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    assert commands.command_line() == command
    assert commands.launcher_command("train", "w") == other


def test_a_script_beside_its_siblings(monkeypatch, tmp_path):
    (tmp_path / "experiments").mkdir()
    monkeypatch.chdir(tmp_path / "experiments")
    monkeypatch.setattr(sys, "argv", ["run.py", "--x"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", SCRIPT)
    assert commands.command_line() == "python run.py --x"
    assert commands.launcher_command("train", "w") == "python train.py --workdir=w"


def test_letters_that_the_locale_lacks(monkeypatch):
    """Python hands them over as bytes in disguise; the command goes into UTF-8 files."""
    disguised = "größe".encode().decode("ascii", "surrogateescape")
    broken = b"gr\xf6\xdfe".decode("ascii", "surrogateescape")
    monkeypatch.setattr(sys, "argv", ["tool", disguised, broken])
    assert commands.command_line() == "tool 'größe' 'gr\ufffd\ufffde'"
