"""Every example of the gallery runs as written."""

import re

import networkx as nx
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
    "A mixture of experts": (16, 8, 8, 8, 8, 16),
    "Functions chosen by signatures": (90, 6),
    "Blocks of a recurrent network": (24,),
    "What modules read": (10, 12, 4),
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


def test_experts_are_told_apart(capsys):
    names = run("A mixture of experts")
    assert names["test"].p_value.alignment == 0.01
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_functions_by_signatures():
    names = run("Functions chosen by signatures")
    np.testing.assert_allclose(names["gates"].sum(axis=1), 1, rtol=1e-5)
    assert names["scores"].inverse_mutual_information < 0.9
    assert names["circuit"].num_nodes == 6


def test_known_blocks_have_the_directed_modularity_of_networkx():
    """And the share of weight between them, edges from a unit to itself included; the slow block is slower."""
    names = run("Blocks of a recurrent network")
    weights, blocks = abs(names["kernel"]), names["blocks"]
    directed = nx.from_numpy_array(weights, create_using=nx.DiGraph)
    parts = [set(np.flatnonzero(blocks == block)) for block in (0, 1)]
    np.testing.assert_allclose(names["directed_q"], nx.community.modularity(directed, parts), rtol=1e-5)
    np.testing.assert_allclose(names["between"], weights[~names["near"]].sum() / weights.sum(), rtol=1e-5)
    assert (names["found"].labels[:12] == names["found"].labels[0]).all()
    fast, slow = names["lags"]
    assert 5 * fast < slow < 30


def test_halves_that_share_no_inputs():
    overlap = run("What modules read")["overlap"]
    np.testing.assert_allclose(np.diagonal(overlap), 1, rtol=1e-5)
    assert overlap[0, 1] < 0.05
