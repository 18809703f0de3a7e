"""The README's metric example runs as written."""

import pathlib
import re

import jax
import numpy as np

import modularity_jax as mj
from tests.metric import nets
from tests.probes import slow

README = pathlib.Path(__file__).parents[1] / "README.md"


def examples():
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_metric_example_runs_and_prints_two_lines(capsys):
    exec(compile(examples()[0], str(README), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("n-cut ")
    assert "p = " in lines[1]


def test_the_lesion_example_runs(capsys):
    params = slow.random_params(0, (12, 40, 30, 4))
    x, y = np.random.default_rng(0).normal(size=(50, 12)), np.arange(50) % 4
    names = {"mj": mj, "params": params, "x": x, "y": y, "key": jax.random.key(0)}
    exec(compile(examples()[1], str(README), "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names["found"].diff) > 2
    assert all(line.startswith("layer ") and "p = " in line for line in lines)


def test_the_example_on_all_cores_runs():
    example = examples()[2]
    setting, rest = example.replace("8", "4").split("\n", 1)
    assert setting.startswith('jax.config.update("jax_num_cpu_devices", 4)')  # the tests' own four devices serve
    names = {"jax": jax, "mj": mj, "graph": nets.random_net(0, (12, 9, 6)), "key": jax.random.key(0)}
    exec(compile(rest, str(README), "exec"), names)
    assert names["test"].shuffled_ncut.shape == (200,)


def test_every_path_that_the_readme_links_exists():
    links = re.findall(r"\]\((?!http)([^)]+)\)", README.read_text())
    assert links
    for link in links:
        assert (README.parent / link).exists(), link
