"""Networks that were trained elsewhere, as a run of their own: its config, and weights/given.npz."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from modularity_jax.graphs import conv
from modularity_jax.graphs.blocks import Blocks
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.graphs.params import layers_in_order
from modularity_jax.graphs.readers import edges_of
from modularity_jax.graphs.wiring import describe, wire
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.kernels import Params, named
from modularity_jax.nets.models import MODELS, given
from modularity_jax.runs.config import GIVEN, RunConfig
from modularity_jax.runs.network_files import Arrays, as_network, read_networks
from modularity_jax.runs.sections import ClusterConfig, DataConfig, LesionConfig
from modularity_jax.runs.store import digest
from modularity_jax.runs.tables import write_arrays
from modularity_jax.runs.workdir import Workdir

# What a wiring file may say of an array, in the order in which it is done.
_STEPS: Mapping[str, Callable[[Any, Any], Any]] = {
    "transpose": lambda kernel, wanted: kernel.transpose(*range(2, kernel.ndim), 1, 0) if wanted else kernel,
    "groups": conv.grouped,
    "gates": conv.gates,
    "channels_first": lambda kernel, channels: conv.flattened(kernel, channels, channels_first=True),
    "channels_last": conv.flattened,
    "norm": lambda kernel, arguments: conv.norm_folded(kernel, **arguments),
    "norm_before": lambda kernel, arguments: conv.norm_folded_into_next(kernel, **arguments),
    "rows": lambda kernel, ends: kernel[..., slice(*ends), :],
}


class Networks(NamedTuple):
    """Networks of one architecture."""

    name: str  # of their files
    wiring: str  # as `ModelConfig` has it
    params: list[Params]  # by seed: kernels [units in, units out], of perceptrons biases too
    architecture: str = GIVEN

    @property
    def graph(self) -> Blocks:
        """Of the first."""
        found: Any = MODELS[self.architecture].graph(self.params[0])
        return found

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The kernels of all, by seed and layer."""
        return named({f"seed_{seed}": own for seed, own in enumerate(self.params)})

    def description(self) -> str:
        """Groups and blocks of the first, to check the wiring by."""
        return describe(self.graph, given.groups(self.wiring))

    def config(
        self, cluster: ClusterConfig, seed: int, data: DataConfig | None = None, lesion: LesionConfig | None = None
    ) -> RunConfig:
        """The run that clusters them, and with a data set damages them."""
        widths, weights = self.graph.wiring.widths, digest(self.arrays.values())
        return RunConfig(
            model=ModelConfig(name=self.architecture, widths=widths, wiring=self.wiring, weights=weights),
            train=TrainConfig(num_seeds=len(self.params), seed=seed),
            prune=PruneConfig(epochs=0),
            cluster=dataclasses.replace(cluster, phases=(GIVEN,)),
            data=data or DataConfig(name=self.name),
            lesion=lesion or LesionConfig(num_shuffles=0),
        )


def read(
    paths: Sequence[pathlib.Path],
    layers: str = "",
    wiring: pathlib.Path | None = None,
    norm: str = "l1",
    *,
    perceptrons: bool = False,
) -> Networks:
    """The networks of files, each file and each seed in it one.

    Args:
      paths: see `read_networks`.
      layers: a regular expression; arrays whose names it is nowhere in are left out.
      wiring: a JSON file, see `_wired`; without one networks are read as by `graph_of`.
      norm: as of `wire`.
      perceptrons: they must be of Flax's Dense layers alone, and keep their biases; wiring and norm say nothing then.

    Raises:
      ValueError: in one line that names the file: if it cannot be read, there is nothing left, the network cannot be
        wired, or is of another architecture than the first.
      OSError: if it is missing.
    """
    found: list[tuple[str, Params]] = []
    for path in paths:
        for arrays in read_networks(path):
            chosen = _chosen(path, arrays, layers)
            found.append(_perceptron(path, chosen) if perceptrons else _network(path, chosen, wiring, norm))
            if _shapes(*found[-1]) != _shapes(*found[0]):
                raise ValueError(f"{path} must be a network like the first, {_told(found[0])}, got {_told(found[-1])}")
    name = ", ".join(dict.fromkeys(path.name for path in paths))
    return Networks(name, found[0][0], [params for _, params in found], "mlp" if perceptrons else GIVEN)


def give(workdir: Workdir, networks: Networks) -> None:
    """Leave the networks as weights/given.npz; what was there belongs to no results, or its config would differ."""
    write_arrays(workdir.path / f"weights/{GIVEN}.npz", networks.arrays)


def _chosen(path: pathlib.Path, arrays: Arrays, layers: str) -> Arrays:
    try:
        chosen = {name: array for name, array in arrays.items() if re.search(layers, name)}
    except re.error as error:
        raise ValueError(f"--layers must be a regular expression, got {layers!r}: {error}") from error
    if not chosen:
        names = ", ".join(arrays)
        raise ValueError(f"{path}: --layers={layers!r} fits none of its arrays: {names or 'it has none'}")
    return chosen


def _network(path: pathlib.Path, arrays: Arrays, wiring: pathlib.Path | None, norm: str) -> tuple[str, Params]:
    """A network's wiring and kernels, which `wire` takes."""
    edges = _edges(path, arrays, wiring)
    try:
        wire(edges, norm=norm)
        return given.wired(edges, norm)
    except ValueError as error:
        raise ValueError(f"{wiring or path}: {error}") from error


def _perceptron(path: pathlib.Path, arrays: Arrays) -> tuple[str, Params]:
    """A perceptron's wiring and parameters, under the names of ours."""
    try:
        layers = layers_in_order(as_network(arrays))
        LayeredGraph.from_weights([layer["kernel"] for _, layer in layers])
        names = ["the inputs", *(name for name, _ in layers)]
        edges = [(source, *layer) for source, layer in zip(names, layers, strict=False)]
        wiring, _ = given.wired([(source, target, layer["kernel"]) for source, target, layer in edges], "l1")
    except ValueError as error:
        raise ValueError(f"{path}: lesions take a perceptron of Flax's Dense layers: {error}") from error
    ours: Params = {
        f"layer_{index:02d}": {"kernel": layer["kernel"], "bias": layer.get("bias", np.zeros_like(layer["kernel"][0]))}
        for index, (_, layer) in enumerate(layers)
    }
    return wiring, ours


def _edges(path: pathlib.Path, arrays: Arrays, wiring: pathlib.Path | None) -> list[conv.Edge]:
    """Of a network, by the file that says so or by the names of its arrays."""
    if wiring:
        return _wired(wiring, path, arrays)
    try:
        edges = edges_of(as_network(arrays))
    except ValueError as error:
        told = str(error).partition("\n")[0]  # and not the code to call `wire` by
        raise ValueError(f"{path}: {told}; --layers picks arrays, --wiring tells what each layer reads") from error
    return [(source.replace("/", "."), target.replace("/", "."), kernel) for source, target, kernel in edges]


def _wired(wiring: pathlib.Path, path: pathlib.Path, arrays: Arrays) -> list[conv.Edge]:
    """The edges of a JSON list of [source, target, array], where array is a name or {"array": name, step: value}."""
    try:
        listed = json.loads(wiring.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{wiring} is no JSON: {error}") from error
    if not isinstance(listed, list):
        raise ValueError(f"{wiring} must hold a list of [source, target, array], got {type(listed).__name__}")
    edges = []
    for index, edge in enumerate(listed):
        try:
            source, target, told = edge
            steps = {"array": told} if isinstance(told, str) else dict(told)
            edges.append((source, target, _made(arrays, steps.pop("array"), steps)))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(
                f"{wiring}: edges[{index}] must be [source, target, array of {path.name}] or "
                f'[source, target, {{"array": ..., "{"|".join(_STEPS)}": ...}}], got {json.dumps(edge)}: {error}'
            ) from error
    return edges


def _made(arrays: Arrays, name: str, steps: Mapping[str, Any]) -> np.ndarray:
    if unknown := steps.keys() - _STEPS.keys():
        raise ValueError(f"unknown {', '.join(sorted(unknown))}")
    kernel = _array(arrays, name)
    for step in (step for step in _STEPS if step in steps):
        told = steps[step]
        if step.startswith("norm"):
            told = {key: value if key == "epsilon" else _array(arrays, value) for key, value in told.items()}
        kernel = _STEPS[step](kernel, told)
    return kernel


def _array(arrays: Arrays, name: str) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"there is no array {name!r}, but {', '.join(arrays)}")
    return arrays[name]


def _shapes(wiring: str, params: Params) -> tuple[str, list[tuple[int, ...]]]:
    return wiring, [array.shape for array in named(params).values()]


def _told(network: tuple[str, Params]) -> str:
    wiring, shapes = _shapes(*network)
    return f"{wiring} of {', '.join(' x '.join(map(str, shape)) for shape in shapes)}"
