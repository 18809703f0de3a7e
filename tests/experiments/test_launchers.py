import gzip
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from flax.serialization import to_bytes

from modularity_jax.runs.config import from_dict
from modularity_jax.runs.tables import read_csv
from modularity_jax.runs.workdir import create_workdir
from tests.conftest import PROGRAMS, QUICKLY

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TRAIN_IMAGES = "train-images-idx3-ubyte"


def environment(folder):
    """One device, quick compilation, programs shared by all tests, and nothing of the home directory."""
    cache = {"JAX_COMPILATION_CACHE_DIR": str(PROGRAMS), "HOME": str(folder)}
    flags = {"XLA_FLAGS": QUICKLY, "JAX_NUM_CPU_DEVICES": "1"}
    return os.environ | cache | flags | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "Agg"}


def write_idx(folder, sizes=(40, 20)):
    """A set in MNIST's files."""
    folder.mkdir(parents=True)
    for prefix, size in zip(("train", "t10k"), sizes, strict=True):
        for name, shape in (("images-idx3", (size, 28, 28)), ("labels-idx1", (size,))):
            header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
            content = header + (np.arange(np.prod(shape)) % 10).astype(np.uint8).tobytes()
            (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(content))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to start from, with what the command lines below point to."""
    place = tmp_path_factory.mktemp("place")
    (place / "configs").symlink_to(REPOSITORY / "configs")
    (place / "file").write_text("")
    (place / "notes.md").write_text("These are notes.\n")
    np.savez(place / "net.npz", np.ones((4, 3)))
    (place / "net.msgpack").write_bytes(to_bytes({"params": {"Dense_0": {"kernel": np.ones((14, 3))}}}))
    write_idx(place / "missing" / "mnist")
    (place / "missing" / "mnist" / f"{TRAIN_IMAGES}.gz").unlink()
    write_idx(place / "short" / "mnist")
    images = place / "short" / "mnist" / f"{TRAIN_IMAGES}.gz"
    images.write_bytes(images.read_bytes()[:-20])
    write_idx(place / "plain" / "mnist")
    images = place / "plain" / "mnist" / f"{TRAIN_IMAGES}.gz"
    (place / "plain" / "mnist" / TRAIN_IMAGES).write_bytes(gzip.decompress(images.read_bytes())[:-1])
    config = from_dict({"data": {"name": "digits"}, "model": {"widths": [64, 10]}, "train": {"num_seeds": 4}})
    create_workdir(place / "started", config, "x")
    (create_workdir(place / "trained", config, "x").path / "metrics.csv").touch()
    (place / "damaged").mkdir()
    (place / "damaged" / "config.json").write_text('{"train": ')
    (place / "empty").mkdir()
    return place


RUN, TRAIN, CLUSTER, LESION, REPORT, BENCHMARK, REPRODUCE, TRUTH, MEASURE, MASKS = (
    f"experiments.{name}"
    for name in ("run", "train", "cluster", "lesion", "report", "benchmark", "reproduce", "truth", "measure", "masks")
)
MNIST = (RUN, "--config=configs/mnist.py:quick")
# Command line -> exit code and what the error line must say. Nothing of these gets as far as training.
BAD = {
    (RUN, "--wrong=1"): (2, "Unknown command line flag 'wrong'"),
    (RUN, "stray"): (2, "unknown argument 'stray'; settings are given as --config.<section>.<field>=<value>"),
    (RUN, "--config.train.foo=1"): (2, "config.train has no field 'foo'; known: num_seeds, "),
    (RUN, "--config.train.num_seed=1"): (2, "config.train has no field 'num_seed'; did you mean 'num_seeds'?"),
    (TRAIN, "--config.trian.epochs", "3"): (2, "config has no field 'trian'; did you mean 'train'?"),
    (RUN, "--config.train.num_seeds=abc"): (2, "flag --config.train.num_seeds=abc: invalid literal for int()"),
    (RUN, "--config.train=3"): (2, "flag --config.train=3: Failed to parse '3'"),
    (RUN, "--config.train.num_seeds=0", "--workdir=new"): (1, "train.num_seeds must be at least 1, got 0"),
    (RUN, "--config.cluster.methods=('rows',)", "--workdir=new"): (1, "cluster.methods must be one of layer, "),
    (RUN, "--config.data.name=nothing", "--workdir=other"): (1, "unknown data set 'nothing'; known are digits, "),
    (RUN, "--config.data.num_train=9999", "--workdir=more"): (1, "num_train must be at most 1437, "),
    (RUN, "--config.model.widths=(7,10)", "--workdir=thin"): (1, "model.widths must begin with the data's 64 inputs"),
    (*MNIST, "--config.data.dir=missing"): (1, f"missing/mnist: no file {TRAIN_IMAGES} or {TRAIN_IMAGES}.gz"),
    (*MNIST, "--config.data.dir=short", "--workdir=s"): (1, f"short/mnist/{TRAIN_IMAGES}.gz: cut off or corrupt gzip"),
    (*MNIST, "--config.data.dir=plain", "--workdir=p"): (
        1, f"plain/mnist/{TRAIN_IMAGES}: announces 40 x 28 x 28 = 31360 bytes but holds 31359",
    ),
    (*MNIST, "--config.data.dir=~/missing", "--workdir=m"): (1, f"missing/mnist: no file {TRAIN_IMAGES} or "),
    (RUN, "--config=~/notes.md"): (2, "invalid syntax"),
    (RUN, "--config=gs://bucket/mnist.py"): (2, "--config must be a path on this machine, got 'gs://bucket/mnist.py'"),
    (RUN, "--workdir=gs://bucket/run"): (1, "--workdir must be a path on this machine, got 'gs://bucket/run'; give"),
    (RUN, "--workdir=~nobody-here/run"): (1, "--workdir: the home directory of '~nobody-here/run' is not known; give"),
    (RUN, "--fork_workdir=s3://bucket/run"): (1, "--fork_workdir must be a path on this machine, got 's3://bucket/run'"),
    (*MNIST, "--config.data.dir=file:///data"): (1, "--config.data.dir must be a path on this machine, got 'file:///da"),
    (CLUSTER, "--workdir=~/started"): (1, "started holds no metrics.csv; run `python -m experiments.train "),
    (REPORT, "--workdir=hdfs://host/run"): (1, "--workdir must be a path on this machine, got 'hdfs://host/run'"),
    (BENCHMARK, "scale", "--out=gs://bucket/rows"): (1, "--out must be a path on this machine, got 'gs://bucket/rows'"),
    (REPRODUCE, "--table=ncut_k4", "--data_dir=s3://bucket"): (1, "--data_dir must be a path on this machine, got 's3"),
    (REPRODUCE, "--table=ncut_k4", "--workdir=gs://bucket"): (1, "--workdir must be a path on this machine, got 'gs://"),
    (RUN, "--workdir=file/below"): (1, "Not a directory: 'file/below'"),
    (RUN, "--workdir=file"): (1, "File exists: 'file'"),
    (RUN, "--config=configs/nothing.py"): (1, "No such file or directory: 'configs/nothing.py'"),
    (RUN, "--config=configs/mnist.py:slow"): (2, "config variant must be made of quick, lesions, dropout, got 'slow'"),
    (RUN, "--config=notes.md"): (2, "invalid syntax"),
    (RUN, "--workdir=trained"): (1, "workdir trained holds a run with another config (there and asked for): "),
    (RUN, "--workdir=trained", "--config.train.seed=1"): (1, "or --fork_workdir=NEW, which copies what is still valid"),
    (RUN, "--workdir=trained", "--fork_workdir=./trained"): (
        1, "--fork_workdir must name another directory than --workdir, got trained for both",
    ),
    (TRAIN, "--workdir=empty", "--fork_workdir=new"): (
        1, "--fork_workdir copies from the run in --workdir, but empty holds no config.json",
    ),
    (RUN, "--workdir=damaged", "--fork_workdir=new"): (1, "damaged/config.json is damaged: "),
    (CLUSTER, "--workdir=started", "--fork_workdir=new"): (2, "Unknown command line flag 'fork_workdir'"),
    (TRAIN, "--workdir=damaged"): (1, "damaged/config.json is damaged: "),
    (CLUSTER,): (1, "--workdir must name a run's directory, got none"),
    (BENCHMARK,): (1, "the benchmark must be one of shuffle_test, train, lesion, scale, cold, device, got none"),
    (BENCHMARK, "speed"): (1, "train, lesion, scale, cold, device, got speed"),
    (BENCHMARK, "cold", "--against=empty"): (1, "--against must be a checkout of this project, "),
    (BENCHMARK, "train"): (1, "--workdir must name a run's directory, got none"),
    (BENCHMARK, "scale", "--rounds=0"): (2, "flag --rounds=0: 0 is not a positive integer"),
    (REPRODUCE,): (1, "factors, penalty, specialisation, mixtures, got none"),
    (REPRODUCE, "--table=ncut"): (2, "flag --table=ncut: value should be one of <ncut_k4|"),
    (REPRODUCE, "--table=ncut_k12", "--configs=lines"): (
        1, "--configs must name configs of the table, mnist, mnist_dropout, got lines",
    ),
    (TRUTH, "retina"): (1, "unknown argument 'retina'; --quick and --workdir are all that there is"),
    (MASKS, "stray"): (1, "unknown argument 'stray'; --task, --quick and --workdir are all that there is"),
    (TRUTH, "--workdir=file"): (1, "where a folder should be there is a file"),
    (MEASURE,): (1, "--network must name a file with a trained network, got none"),
    (MEASURE, "--network=notes.md"): (1, "notes.md must be one of .npz, .safetensors, .msgpack, .pkl, .pickle, or "),
    (MEASURE, "--network=net.npz", "--layers=fc"): (1, "net.npz: --layers='fc' fits none of its arrays: arr_0"),
    (MEASURE, "--network=net.npz", "--wiring=nothing.json"): (1, "No such file or directory: 'nothing.json'"),
    (MEASURE, "--network=net.npz", "--config.cluster.num_clusters=9", "--workdir=new"): (
        1, "cluster.num_clusters must be at most 7, the neurons of model.widths, got 9",
    ),
    (MEASURE, "--network=net.npz", "--config.lesion.joint=3"): (1, "--config.lesion.* needs --data, the data set "),
    (MEASURE, "--network=net.npz", "--data=digits", "--workdir=n"): (1, "lesions take a perceptron of Flax's Dense"),
    (MEASURE, "--network=net.msgpack", "--data=digits", "--workdir=n"): (1, "--data=digits has 64 inputs, but the net"),
    (MEASURE, "--network=net.msgpack", "--data=none", "--workdir=n"): (1, "unknown data set 'none'; known are "),
    (MEASURE, "--network=net.npz", "--config.cluster.phases=all"): (2, "this launcher has no setting phases of a "),
    (MEASURE, "--network=net.npz", "--config.model.widths=3"): (2, "no setting model of a config; it has "),
    (REPORT,): (1, "--workdir must name a run's directory, got none"),
    (CLUSTER, "--workdir=empty"): (1, "workdir empty holds no config.json; make a run with `python -m experiments.run"),
    (REPORT, "--workdir=nowhere"): (1, "workdir nowhere holds no config.json; make a run with "),
    (CLUSTER, "--workdir=damaged"): (1, "damaged/config.json is damaged: "),
    (CLUSTER, "--workdir=started"): (1, "started holds no metrics.csv; run `python -m experiments.train "),
    (LESION, "--workdir=started"): (1, "started holds no metrics.csv; run `python -m experiments.train "),
    (RUN, "--config.lesion.joint=-1", "--workdir=new"): (1, "lesion.joint must be at least 0, got -1"),
    (REPORT, "--workdir=started"): (1, "started holds no clusterability.csv; run `python -m experiments.cluster "),
    (CLUSTER, "--config=configs/mnist.py", "--workdir=started"): (2, "Unknown command line flag 'config'"),
}  # fmt: skip
TRACEBACK = (CLUSTER, "--workdir=nowhere", "--traceback")
DEVICE = (BENCHMARK, "device", "--toy", "--budget_seconds=0")


@pytest.fixture(scope="module")
def launched(place):
    """Exit code, standard output and standard error of all command lines."""
    commands = [*BAD, TRACEBACK, DEVICE]
    found = subprocess.run(
        [sys.executable, "-m", "tests.experiments.launches"],
        input=json.dumps(commands), cwd=place, env=environment(place), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return dict(zip(commands, json.loads(found.stdout), strict=True))


@pytest.mark.parametrize("command", BAD, ids=" ".join)
def test_bad_input_ends_with_one_line(launched, command):
    expected, message = BAD[command]
    code, _, stderr = launched[command]
    lines = stderr.splitlines()
    assert message in lines[-1], stderr
    assert lines[-1].startswith("error: ")
    assert sum(line.startswith("error:") for line in lines) == 1
    assert "Traceback" not in stderr
    assert code == expected


def test_a_refused_workdir_keeps_its_config(launched, place):
    config = json.loads((place / "trained" / "config.json").read_text())
    assert config["train"]["num_seeds"] == 4
    _, _, stderr = launched[RUN, "--workdir=trained"]
    assert "train.num_seeds: 4 and 5" in stderr
    assert not (place / "nowhere").exists()
    assert not (place / "new").exists()


def test_the_default_workdir_has_the_configs_name(launched, place):
    """The run over a missing file stopped after it had made its workdir."""
    assert json.loads((place / "runs/mnist-quick/config.json").read_text())["data"]["dir"] == "missing"


def test_a_traceback_where_it_is_asked_for(launched):
    code, _, stderr = launched[TRACEBACK]
    assert code != 0
    assert "Traceback" in stderr
    assert "ValueError: workdir nowhere holds no config.json" in stderr


def test_the_device_benchmark_writes_a_line_for_each_row(launched, place):
    code, stdout, stderr = launched[DEVICE]
    assert code == 0, stderr
    assert "machine: " in stdout
    rows = [json.loads(line) for line in (place / "runs/benchmark_device.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == ["machine", "left out"]
    assert json.loads((place / "runs/benchmark_device.json").read_text())["rows"] == rows


def python(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=REPOSITORY, env=environment(place), capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_wrong_flag_as_a_user_types_it(place):
    ended = python(place, RUN, "--wrong=1")
    assert (ended.returncode, ended.stderr) == (2, "error: Unknown command line flag 'wrong'\n")


def test_a_whole_run(place):
    workdir = place / "whole"
    command = [RUN, "--config=configs/digits.py:quick", f"--workdir={workdir}", "--config.cluster.methods=layer"]
    first = python(place, *command)
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith(f"\nReport: {workdir / 'report.html'}\n")
    assert len(read_csv(workdir / "clusterability.csv")) == 2 * 2 * 3  # seeds, measures, phases
    assert {row["seed"] for row in read_csv(workdir / "lesions.csv")} == {0, 1}
    assert {row["kind"] for row in read_csv(workdir / "double_lesions.csv")} == {"joint", "conditional"}
    assert (workdir / "report.html").stat().st_size > 10_000
    recorded = json.loads((workdir / "versions.json").read_text())
    assert recorded["command"] == " ".join(["python -m", *command])
    tables = {name: (workdir / name).read_bytes() for name in ("metrics.csv", "clusterability.csv")}
    # The second run finds everything done, and prints the same table.
    second = python(place, *command)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert re.search("holds its trained networks already", second.stderr)
    assert {name: (workdir / name).read_bytes() for name in tables} == tables
    # Another config is another run, which goes on from the networks; test_lending.py goes on to its end.
    flags = "--config.lesion.correction=holm", f"--fork_workdir={place / 'forked'}"
    forked = python(place, "experiments.train", *command[1:], *flags)
    assert forked.returncode == 0, forked.stderr
    assert f"takes from {workdir} what is valid here" in forked.stderr
    assert (place / "forked" / "metrics.csv").read_bytes() == tables["metrics.csv"]
    corrections = [
        json.loads((w / "config.json").read_text())["lesion"]["correction"] for w in (workdir, place / "forked")
    ]
    assert corrections == ["max_t", "holm"]
