"""Every example of the gallery runs as written."""

import re

import numpy as np
import pytest

from tests.test_readme import REPOSITORY

ITEMS = dict(
    re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", (REPOSITORY / "docs/gallery.md").read_text(), re.DOTALL | re.M)
)
CNN = (1, 8, 8, 16, 10)
LINES = 30

WIDTHS = {
    "Flax NNX": CNN,
    "Equinox": CNN,
    "Haiku": CNN,
    "PyTorch": CNN,
    "Keras": CNN,
    "scikit-learn": (64, 32, 32, 10),
    "A residual network with batch norms": (1, 8, 16, 8, 10),
    "An LSTM": (6, 12, 4),
}


def test_the_gallery_is_all_here():
    assert list(ITEMS) == list(WIDTHS)


def run(item):
    names = {"__name__": item}
    exec(compile(ITEMS[item], item, "exec"), names)
    return names


@pytest.mark.parametrize("item", ITEMS)
def test_an_example_runs(item):
    names = run(item)
    assert names["graph"].wiring.widths == WIDTHS[item]
    assert ("found" in names) != ("test" in names)
    assert ITEMS[item].count("\n") < LINES


def test_an_edge_of_the_lstm_is_the_sum_over_its_gates():
    names = run("An LSTM")
    cell = names["params"]["lstm"]
    for affinity, side in zip(names["graph"].affinities[:2], "ih", strict=True):
        want = sum(abs(np.asarray(cell[f"{side}{gate}"]["kernel"], float)) for gate in "ifgo")
        np.testing.assert_allclose(affinity, want, rtol=1e-6)
