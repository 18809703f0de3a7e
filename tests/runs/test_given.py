"""Files of networks: each format gives the network that was saved, and what is wrong with one is said in a line."""

import json
import pickle
import re

import flax.serialization
import numpy as np
import orbax.checkpoint as ocp
import pytest
from sklearn.neural_network import MLPClassifier

import modularity_jax as mj
from modularity_jax.nets.models import given
from modularity_jax.runs.given import read
from tests.runs.test_network_files import write_safetensors
from tests.test_gallery import ITEMS

SHAPES = (6, 5), (5, 5), (5, 3)


@pytest.fixture(scope="module")
def kernels():
    stream = np.random.default_rng(0)
    return [stream.normal(size=shape).astype(np.float32) for shape in SHAPES]


def biases():
    return [np.zeros(width, np.float32) for _, width in SHAPES]


def params(kernels):
    names = [f"layer_{index:02d}" for index in range(len(kernels))]
    return {n: {"kernel": k, "bias": b} for n, k, b in zip(names, kernels, biases(), strict=True)}


def state_dict(kernels):
    return {
        f"{2 * index}.{name}": array
        for index, layer in enumerate(zip(kernels, biases(), strict=True))
        for name, array in (("weight", layer[0].T), ("bias", layer[1]))
    }


def keras(path, kernels):
    np.savez(path, *[array for layer in zip(kernels, biases(), strict=True) for array in layer])


def orbax(path, kernels):
    with ocp.StandardCheckpointer() as saver:
        saver.save(path, {"params": params(kernels)})


def scikit_learn(path, kernels):
    stream = np.random.default_rng(1)
    model = MLPClassifier((5, 5), solver="sgd", max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(stream.normal(size=(30, 6)), np.arange(30) % 3)
    model.coefs_ = kernels
    path.write_bytes(pickle.dumps(model))


WRITERS = {
    "ours.npz": lambda path, kernels: np.savez(
        path, **{f"{layer}/{name}": a for layer, own in params(kernels).items() for name, a in own.items()}
    ),
    "torch.npz": lambda path, kernels: np.savez(path, **state_dict(kernels)),
    "torch.safetensors": lambda path, kernels: write_safetensors(path, state_dict(kernels)),
    "keras.npz": keras,
    "flax.msgpack": lambda path, kernels: path.write_bytes(flax.serialization.to_bytes({"params": params(kernels)})),
    "orbax": orbax,
    "mlp.pkl": scikit_learn,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_gives_the_network_that_was_saved(name, kernels, tmp_path):
    WRITERS[name](tmp_path / name, kernels)
    found = read([tmp_path / name])
    assert isinstance(found.graph, mj.LayeredGraph)
    for affinity, kernel in zip(found.graph.affinities, kernels, strict=True):
        np.testing.assert_array_equal(affinity, abs(kernel))
    assert found.name == name


@pytest.mark.parametrize(("item", "name"), [("PyTorch", "state"), ("Keras", "arrays")])
def test_the_gallerys_arrays_give_its_graph(item, name, tmp_path):
    names = {}
    exec(ITEMS[item].partition("graph =")[0], names)
    np.savez(tmp_path / "net.npz", **names[name]) if item == "PyTorch" else np.savez(tmp_path / "net.npz", *names[name])
    for norm in ("l1", "max_column"):
        found, wanted = read([tmp_path / "net.npz"], norm=norm), mj.graph_of(names[name], norm=norm)
        for affinity, other in zip(found.graph.affinities, wanted.affinities, strict=True):
            np.testing.assert_allclose(affinity, other, rtol=1e-6)
    layer = {"PyTorch": "features.2 +-> classifier.0", "Keras": "2 +-> 4"}[item]
    assert re.search(rf"  {layer} +8 x 16, +0% zeros", found.description())


SKIP = [
    ["image", "hidden", {"array": "a.weight", "transpose": True}],
    ["hidden", "hidden", {"array": "cell", "gates": 2}],
    ["hidden", "classes", {"array": "both", "rows": [0, 5]}],
    ["image", "classes", {"array": "both", "rows": [5, 11]}],
]


def recurrent():
    stream = np.random.default_rng(3)
    shapes = {"a.weight": (5, 6), "cell": (5, 10), "both": (11, 3)}
    return {name: stream.normal(size=shape) for name, shape in shapes.items()}


def test_a_wiring_file(tmp_path):
    arrays = recurrent()
    np.savez(tmp_path / "net.npz", **arrays)
    (tmp_path / "wiring.json").write_text(json.dumps(SKIP))
    found = read([tmp_path / "net.npz"], wiring=tmp_path / "wiring.json")
    hidden = abs(arrays["cell"][:, :5]) + abs(arrays["cell"][:, 5:])
    wanted = [arrays["a.weight"].T, hidden, arrays["both"][:5], arrays["both"][5:]]
    assert found.graph.wiring.names == ("image", "hidden", "classes")
    for affinity, kernel in zip(found.graph.affinities, wanted, strict=True):
        np.testing.assert_allclose(affinity, abs(kernel), rtol=1e-6)
    assert "hidden  -> hidden" in found.description()


def test_norms_are_folded_both_ways(tmp_path):
    stream = np.random.default_rng(4)
    arrays = {"conv": stream.normal(size=(4, 2, 3, 3)), "head": stream.normal(size=(36, 3))}
    arrays |= {"scale": stream.normal(size=4), "variance": stream.uniform(1, 2, 4)}
    np.savez(tmp_path / "net.npz", **arrays)
    norm = {"scale": "scale", "variance": "variance", "epsilon": 1e-3}
    behind = {"array": "conv", "transpose": True, "norm": norm}
    before = {"array": "head", "channels_last": 4, "norm_before": norm}
    (tmp_path / "wiring.json").write_text(json.dumps([["x", "map", behind], ["map", "y", before]]))
    found = read([tmp_path / "net.npz"], wiring=tmp_path / "wiring.json")
    factor = abs(arrays["scale"]) / np.sqrt(arrays["variance"] + 1e-3)
    wanted = abs(arrays["conv"]).sum(axis=(2, 3)).T * factor, abs(arrays["head"]).reshape(9, 4, 3).sum(axis=0)
    np.testing.assert_allclose(found.graph.affinities[0], wanted[0], rtol=1e-6)
    np.testing.assert_allclose(found.graph.affinities[1], wanted[1] * factor[:, None], rtol=1e-6)
    before["norm_before"] = norm | {"scale": "gamma"}
    (tmp_path / "wiring.json").write_text(json.dumps([["map", "y", before]]))
    with pytest.raises(ValueError, match="there is no array 'gamma', but conv, head, scale, variance"):
        read([tmp_path / "net.npz"], wiring=tmp_path / "wiring.json")


def test_a_chain_may_be_wired_in_any_order(kernels, tmp_path):
    np.savez(tmp_path / "net.npz", *kernels)
    edges = [["b", "c", "arr_2"], ["x", "a", "arr_0"], ["a", "b", "arr_1"]]
    (tmp_path / "wiring.json").write_text(json.dumps(edges))
    found = read([tmp_path / "net.npz"], wiring=tmp_path / "wiring.json")
    assert given.groups(found.wiring) == ["x", "a", "b", "c"]
    assert list(found.params[0]) == ["layer_000 x -> a", "layer_001 a -> b", "layer_002 b -> c"]
    for affinity, kernel in zip(found.graph.affinities, kernels, strict=True):
        np.testing.assert_array_equal(affinity, abs(kernel))


def test_layers_picks_arrays_and_one_layer_is_a_network(kernels, tmp_path):
    norm = {"norm.scale": np.ones(5, np.float32)}
    np.savez(tmp_path / "net.npz", **state_dict(kernels), **norm)
    with pytest.raises(
        ValueError, match=r"^.*net\.npz: network must be .*'norm' with scale, .*--layers picks arrays"
    ) as told:
        read([tmp_path / "net.npz"])
    assert "\n" not in str(told.value)
    assert len(read([tmp_path / "net.npz"], r"^\d").graph.affinities) == 3
    assert read([tmp_path / "net.npz"], "^4").graph.widths == (5, 3)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ("{", "wiring.json is no JSON: "),
        ("{}", "wiring.json must hold a list of .*, got dict"),
        (
            [["x", "h"]],
            r"wiring.json: edges\[0\] must be \[source, target, array of net.npz\] .*, got \[\"x\", \"h\"\]",
        ),
        ([["x", "h", "w"]], "there is no array 'w', but a.weight, cell, both"),
        ([["x", "h", {"array": "cell", "turn": 1}]], "unknown turn"),
        ([["x", "h", {"array": "cell", "gates": 3}]], "num_gates must divide the 10 columns of the kernel, got 3"),
        ([["x", "h", {"array": "cell", "gates": "two"}]], r"wiring.json: edges\[0\] must be .*, got "),
        (
            [["x", "h", "cell"], ["h", "y", "both"]],
            "wiring.json: edges must agree on the units of each group: edges.1.",
        ),
        ([["x/y", "h", "cell"]], "wiring.json: a group of units must have a name without '/'"),
    ],
)
def test_a_wiring_that_does_not_fit_is_refused(edges, message, tmp_path):
    np.savez(tmp_path / "net.npz", **recurrent())
    (tmp_path / "wiring.json").write_text(edges if isinstance(edges, str) else json.dumps(edges))
    with pytest.raises(ValueError, match=message) as told:
        read([tmp_path / "net.npz"], wiring=tmp_path / "wiring.json")
    assert "\n" not in str(told.value)


def test_layers_that_match_nothing_and_networks_that_differ(kernels, tmp_path):
    keras(tmp_path / "one.npz", kernels)
    keras(tmp_path / "other.npz", [2 * kernel for kernel in kernels])
    with pytest.raises(ValueError, match=r"--layers='conv' fits none of its arrays: arr_0, arr_1"):
        read([tmp_path / "one.npz"], "conv")
    with pytest.raises(ValueError, match=r"--layers must be a regular expression, got '\('"):
        read([tmp_path / "one.npz"], "(")
    np.savez(tmp_path / "less.npz", *kernels[:2])
    with pytest.raises(
        ValueError, match=r"less\.npz must be a network like the first, .* of 6 x 5, 5 x 5, 5 x 3, got "
    ):
        read([tmp_path / "one.npz", tmp_path / "less.npz"])
    assert len(read([tmp_path / "one.npz", tmp_path / "other.npz"]).params) == 2


def test_lesions_are_of_perceptrons_alone(kernels, tmp_path):
    keras(tmp_path / "net.npz", kernels)
    with pytest.raises(
        ValueError, match=r"net\.npz: lesions take a perceptron of Flax's Dense layers: params must be "
    ):
        read([tmp_path / "net.npz"], perceptrons=True)
