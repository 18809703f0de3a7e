import re

import numpy as np
import pytest

from modularity_jax.runs.config import from_dict
from modularity_jax.runs.feasibility import _connected, check_feasible
from modularity_jax.runs.session import opened

WIDTHS = (64, 16, 12, 10)  # 102 neurons; .9999 leaves no weight, .99 leaves 10 + 2 + 1
BASE = {"model.widths": WIDTHS, "cluster.num_clusters": (3,), "lesion.num_clusters": 3}


def config(**changes):
    values = {}
    for name, value in (BASE | changes).items():
        section, field = name.split(".")
        values.setdefault(section, {})[field] = value
    return from_dict(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.widths": (64, 1, 10)},
            "model.widths must have a hidden layer of at least 2 neurons for lesions, which compare its modules, got "
            "(64, 1, 10); lesion.num_shuffles=0 leaves out all lesions",
        ),
        ({"model.widths": (64, 1, 1, 10)}, "model.widths must have a hidden layer of at least 2 neurons"),
        (
            {"cluster.num_clusters": (3, 103)},
            "cluster.num_clusters must be at most 102, the neurons of model.widths, got 103",
        ),
        (
            {"cluster.methods": ("samples",)},
            "cluster.methods must have one of layer, layer_nonzero, row, column, layer_nonzero_distribution, "
            "layer_all_distribution, degrees, strengths, edges for the graph weights, got samples",
        ),
        (
            {"lesion.num_clusters": 103},
            "lesion.num_clusters must be at most 102, the neurons of model.widths, got 103; lesion.num_shuffles=0",
        ),
        (
            {"cluster.phases": ("pruned",), "prune.epochs": 0},
            "cluster.phases must name one of init, unpruned, got pruned; train.epochs=0 and prune.epochs=0 leave out",
        ),
        (
            {"cluster.phases": ("pruned",), "prune.final_sparsity": 0.9999},
            "prune.final_sparsity=0.9999 leaves at most 0 connected neurons, too few for cluster.num_clusters=3; lower",
        ),
        (
            {"cluster.phases": ("pruned",), "prune.final_sparsity": 0.99, "cluster.num_clusters": (27, 30)},
            "prune.final_sparsity=0.99 leaves at most 26 connected neurons, too few for cluster.num_clusters=27, 30; ",
        ),
    ],
)
def test_what_no_network_allows_is_refused_before_a_file_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as caught, opened(tmp_path / "a", config(**changes)):
        pass
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({}, []),
        ({"model.widths": (64, 1, 10), "lesion.num_shuffles": 0}, []),
        ({"model.widths": (64, 1, 2, 10)}, []),
        ({"lesion.num_clusters": 103, "lesion.num_shuffles": 0}, []),
        ({"cluster.phases": ("init",), "prune.final_sparsity": 0.9999, "lesion.num_shuffles": 0}, []),
        ({"cluster.num_clusters": (3, 102), "prune.epochs": 0, "lesion.num_shuffles": 0}, []),
        ({"model.widths": (64, 10)}, ["model.widths has no hidden layer, got (64, 10), so nothing is damaged"]),
        ({"prune.epochs": 0}, ["lesion.phases names no phase of this run, got pruned, so nothing is damaged"]),
        (
            {"prune.final_sparsity": 0.9999},
            [
                "prune.final_sparsity=0.9999 leaves at most 0 connected neurons, too few for cluster.num_clusters=3: ",
                "prune.final_sparsity=0.9999 leaves at most 0 connected neurons, too few for lesion.num_clusters=3: ",
            ],
        ),
        (
            {"cluster.phases": ("pruned",), "prune.final_sparsity": 0.99, "cluster.num_clusters": (3, 30)},
            ["prune.final_sparsity=0.99 leaves at most 26 connected neurons, too few for cluster.num_clusters=30: "],
        ),
    ],
)
def test_what_some_networks_allow_is_named_at_the_start(changes, sentences):
    found = check_feasible(config(**changes))
    assert len(found) == len(sentences)
    assert all(text.startswith(start) for text, start in zip(found, sentences, strict=True))


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.95, 0.98, 0.99, 0.999])
@pytest.mark.parametrize("widths", [WIDTHS, (5, 40, 3), (7, 1, 2)])
def test_no_pruned_network_has_more_connected_neurons(sparsity, widths):
    """And those whose weights share no neuron have as many, within a layer's width."""
    rng = np.random.default_rng(0)
    bound = _connected(
        config(**{"model.widths": widths, "prune.initial_sparsity": 0.0, "prune.final_sparsity": sparsity})
    )
    alive = [np.zeros(width, bool) for width in widths]
    for layer, shape in enumerate(zip(widths, widths[1:], strict=False)):
        size = shape[0] * shape[1]
        kept = rng.permutation(size)[: round((1 - sparsity) * size)]
        for side, units in enumerate(np.unravel_index(kept, shape)):
            alive[layer + side][units] = True
    connected = sum(int(units.sum()) for units in alive)
    assert connected <= bound <= sum(widths)
