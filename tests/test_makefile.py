"""The Makefile takes the newest Python that works, and `make demo` begins with what will happen."""

import os
import pathlib
import shutil
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(place, *arguments):
    """Output and errors of make, which finds nothing on its path but the shell's and what the place holds."""
    command = [shutil.which("make"), "-C", str(REPOSITORY), f"VENV={place}/env", *arguments]
    path = {"PATH": str(place / "bin"), "PYTHON": ""}
    environment = {name: value for name, value in (os.environ | path).items() if value and not name.startswith("MAKE")}
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    return found.returncode, found.stdout, found.stderr


@pytest.fixture
def place(tmp_path):
    """Pythons of which one is a shim without a version behind it; none of them makes anything."""
    (tmp_path / "bin").mkdir()
    for name, code in (("python3.14", 127), ("python3.12", 0), ("python3.11", 0)):
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\necho Python {name}\nexit {code}\n")
        file.chmod(0o755)
    return tmp_path


def test_the_newest_python_that_works_is_taken_and_named(place):
    code, out, err = make(place, f"{place}/env/bin/python")
    line = next(line for line in out.splitlines() if not line.startswith("make"))
    assert line.startswith(f"{place}/env is made with python3.12, Python python3.12; tried, newest first: python3.14 ")
    assert code != 0  # its pip is not there
    assert "env/bin/python" in err


def test_another_python_can_be_named(place):
    _, out, _ = make(place, "PYTHON=python3.11", f"{place}/env/bin/python")
    assert f"{place}/env is made with python3.11, " in out


def test_no_python_ends_with_what_was_tried(place):
    for file in (place / "bin").iterdir():
        file.unlink()
    code, _, err = make(place, f"{place}/env/bin/python")
    assert code != 0
    assert "error: none of python3.14 python3.13 python3.12 python3.11 is here" in err


def test_the_site_has_an_extra_of_its_own_and_is_built_although_there_is_a_folder_docs(place):
    code, out, _ = make(place, "-n", "docs")
    assert code == 0
    assert "'.[docs]'" in out
    assert "--fail-on-warning" in out


def test_the_demo_says_first_what_will_happen(place):
    _, out, _ = make(place, "-n", "demo")
    assert "half a minute to a minute on 2 cores" in out.split("experiments.run")[0]
    assert "runs/digits/report.html" in out
