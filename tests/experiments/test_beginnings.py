"""The first seconds of a launcher, and what it finds around it: signals, variables, settings, encodings, no home."""

import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from modularity_jax.report.figures import write_figures
from modularity_jax.report.frames import read_run
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.workdir import write_json
from tests.experiments.test_launchers import REPOSITORY, environment
from tests.runs import workdirs

LAUNCHERS = ("run", "train", "cluster", "lesion", "report", "reproduce", "benchmark", "truth", "measure", "masks")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


def begun(process):
    """Wait until the launcher listens to signals, a few hundredths of a second after Python's own start."""
    status = pathlib.Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(0.5)
        return
    caught = 0
    while not caught & 1 << (signal.SIGTERM - 1):
        assert process.poll() is None
        (caught,) = (int(line.split()[1], 16) for line in status.read_text().splitlines() if line.startswith("SigCgt"))


MOMENTS = [
    *((name, signal.SIGINT, 0.07 * index) for index, name in enumerate(LAUNCHERS)),
    *(("run", signal.SIGINT, seconds) for seconds in (0.8, 1.3, 1.8, 3.0)),
    ("run", signal.SIGTERM, 0.3),
]


# The fast lane takes the first and the last moment of those that listen, and each signal once.
FEW = (MOMENTS[0], MOMENTS[7], MOMENTS[len(LAUNCHERS)], MOMENTS[-1])


@pytest.mark.parametrize(
    ("name", "number", "seconds"),
    [pytest.param(*moment, marks=() if moment in FEW else pytest.mark.long) for moment in MOMENTS],
)
def test_a_signal_in_the_first_seconds(place, name, number, seconds):
    flags = [f"--workdir={place / 'early'}", "--config.train.epochs=100000"] if name == "run" else []
    as_script = [f"{REPOSITORY}/experiments/{name}.py"] if int(seconds * 100) % 2 else ["-m", f"experiments.{name}"]
    process = subprocess.Popen(
        [sys.executable, *as_script, *flags], cwd=REPOSITORY, env=environment(place), stderr=subprocess.PIPE, text=True
    )
    begun(process)
    time.sleep(seconds)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    lines = stderr.splitlines()
    assert process.returncode == 128 + number, stderr
    assert "Traceback" not in stderr
    assert [line for line in lines if line.startswith("error:")] == lines[-1:]
    assert lines[-1].startswith(("error: interrupted", "error: stopped by SIGINT; all that was finished is saved"))


def ended(place, *command, cwd=REPOSITORY, without=(), **variables):
    """A launcher's exit code, the line on what went wrong, and all that it said."""
    known = {name: value for name, value in environment(place).items() if name not in without} | variables
    found = subprocess.run([sys.executable, *command], cwd=cwd, env=known, capture_output=True, timeout=300)
    out, err = (stream.decode("utf-8") for stream in (found.stdout, found.stderr))
    assert "Traceback" not in err, err
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(errors) == (found.returncode != 0), err
    return found.returncode, "".join(errors), out + err


CLUSTER = ("-m", "experiments.cluster", "--workdir=nowhere")
NO_DEVICE = "error: JAX cannot start its devices: "


@pytest.mark.parametrize(
    ("name", "value", "start", "end"),
    [
        ("JAX_ENABLE_X64", "foo", "error: JAX does not take its environment variables (", "correct or unset them"),
        ("JAX_NUM_CPU_DEVICES", "abc", "error: JAX does not take its environment variables (", "correct or unset them"),
        ("JAX_DEFAULT_PRNG_IMPL", "foo", "error: JAX does not take its environment variables (", "unset them"),
        ("JAX_NUM_CPU_DEVICES", "0", NO_DEVICE, ", or install what the device needs (README, GPU and TPU)"),
        ("JAX_PLATFORMS", "cuda", NO_DEVICE, "; unset JAX_PLATFORMS=cuda and JAX_NUM_CPU_DEVICES=1, or install what"),
        ("JAX_PLATFORMS", "tpuu", NO_DEVICE, "; unset JAX_PLATFORMS=tpuu and JAX_NUM_CPU_DEVICES=1, or install what"),
    ],
)
def test_variables_that_jax_does_not_take(place, name, value, start, end):
    if value == "cuda" and list(pathlib.Path("/dev").glob("nvidia*")):
        pytest.skip("there is a GPU")
    code, error, _ = ended(place, *CLUSTER, **{name: value})
    assert code == 1
    assert error.startswith(start)
    assert f"{name}={value}" in error
    assert end in error


def test_a_package_that_is_missing(place):
    folder = place / "without_flax"
    folder.mkdir()
    (folder / "flax.py").write_text("raise ModuleNotFoundError(\"No module named 'flax'\", name='flax')")
    code, error, _ = ended(place, *CLUSTER, PYTHONPATH=str(folder))
    assert code == 1
    assert error == (
        "error: No module named 'flax'; in the checkout, `make install` or pip install '.[experiments]' brings it"
    )


AS_SCRIPTS = {
    "run": (["--config=configs/mnist.py:slow"], "config variant must be made of quick, lesions, dropout, got 'slow'"),
    "train": (["--config", "configs/study.py:slow"], "config variant must be made of quick, lesions, dropout, got 'sl"),
    "cluster": (["--workdir=none"], "make a run with `python {folder}run.py --workdir=none`"),
    "lesion": ([], "--workdir must name a run's directory, got none"),
    "report": (["--workdir=none"], "make a run with `python {folder}run.py --workdir=none`"),
    "reproduce": ([], "--table must be one of ncut_k4, "),
    "benchmark": ([], "the benchmark must be one of shuffle_test, "),
    "truth": (["stray"], "unknown argument 'stray'"),
    "measure": (["--network=nowhere.npz"], "--network=nowhere.npz: there is no such file"),
    "masks": (["--task=division"], "flag --task=division: value should be one of <double addition|"),
}


@pytest.mark.parametrize("name", LAUNCHERS)
def test_as_a_script_from_elsewhere(place, name):
    arguments, message = AS_SCRIPTS[name]
    within = name in ("run", "report")
    folder = "" if within else f"{REPOSITORY}/experiments/"
    cwd = REPOSITORY / "experiments" if within else place
    _, error, _ = ended(place, f"{folder}{name}.py", *arguments, cwd=cwd, without=["PYTHONPATH"])
    assert message.format(folder=folder) in error


def test_as_a_module_within_its_folder(place):
    _, error, _ = ended(place, *CLUSTER, cwd=REPOSITORY / "experiments", without=["PYTHONPATH"])
    assert error.endswith("make a run with `python -m experiments.run --workdir=nowhere`")


@pytest.mark.parametrize("program", ["import experiments.run, experiments.benchmark", "import experiments.reproduce"])
def test_matplotlib_and_pandas_are_imported_only_to_report(place, program):
    _, _, said = ended(place, "-X", "importtime", "-c", program)
    assert "modularity_jax.runs.stages.inputs" in said
    assert "matplotlib" not in said
    assert "reproduce" in program or not re.search(r"\| +pandas$", said, re.MULTILINE)


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1", "MPLCONFIGDIR": "/dev/null"},
    ],
    ids=["locale", "streams"],
)
def test_a_report_where_little_is_given(tmp_path, variables):
    """ASCII, no home, a user whom the system does not know, settings of matplotlib that are of no use here."""
    run = workdirs.make_workdir(tmp_path / "größe", num_seeds=2, sizes=(4,), num_shuffles=19, epochs=1)
    write_json(run / "config.json", RunConfig().to_dict())
    (tmp_path / "matplotlibrc").write_bytes("text.usetex: True\nbackend: TkAgg\n# größe".encode("latin-1"))
    patches = tmp_path / "patches"
    patches.mkdir()
    (patches / "sitecustomize.py").write_text("import pwd\npwd.getpwuid = {}.__getitem__\n")
    script = f"{REPOSITORY}/experiments/report.py"
    code, error, said = ended(
        tmp_path, "-X", "warn_default_encoding", script, "--workdir=größe", cwd=tmp_path,
        without=["HOME", "JAX_COMPILATION_CACHE_DIR", "MPLBACKEND"], PYTHONPATH=str(patches), **variables,
    )  # fmt: skip
    assert (code, error) == (0, "")
    assert "compiled programs are not kept: ~/.cache/modularity_jax cannot be written" in said
    assert re.search(r"^pruned    4  layer +\d\.\d+ \+- \d", said, re.MULTILINE)
    name = "größe" if "LC_ALL" in variables else r"gr\xf6\xdfe"
    assert f"Report: {name}/report.html\n" in said
    assert not re.search(r"^(?!.*site-packages).*EncodingWarning", said, re.MULTILINE)
    assert "±" in (run / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "~").exists()
    drawn = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    shutil.rmtree(run / "figures")
    write_figures(read_run(run))
    assert {path.name: path.read_bytes() for path in (run / "figures").iterdir()} == drawn
