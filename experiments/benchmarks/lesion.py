"""Lesions: those of one network a second, beside one masked pass of all samples through the whole network a lesion."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from experiments.benchmarks.measure import Row, matmul_rate, median_seconds, seconds_of
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.metric.clustering import cluster
from modularity_jax.nets.training import Samples
from modularity_jax.probes.lesion_test import KINDS, double_lesion_test, lesion_test

Params = Mapping[str, Mapping[str, np.ndarray]]


def lesion_rows(
    params: Params,
    samples: Samples,
    mesh: Mesh,
    *,
    num_clusters: int = 10,
    num_shuffles: int = 20,
    num_peer_lesions: int = 40,
    rounds: int = 3,
) -> list[Row]:
    """A row for the single, the joint and the conditional test.

    Args:
      params: the network.
      samples: the data set; its test half is used.
      mesh: the devices that share the samples.
      num_clusters: K.
      num_shuffles: controls of ours in a round.
      num_peer_lesions: lesions of the obvious way in a round.
      rounds: the median of these is reported, ours and theirs taking turns.
    """
    graph = LayeredGraph.from_params(params)
    modules = cluster(graph, jax.random.key(0), num_clusters=num_clusters, selection="inertia", refine=False)
    labels = np.asarray(modules.labels)
    masks = _masks(labels, graph.widths)
    chosen = [masks[index % len(masks)] for index in range(num_peer_lesions)]
    one_by_one = _OneByOne(params, samples)
    rate = matmul_rate([(500, a, b) for a, b in zip(graph.widths, graph.widths[1:], strict=False)])
    rows = []
    for kind in ("single", *KINDS):
        found: dict[str, Any] = {}

        def ours(kind: str = kind, found: dict[str, Any] = found) -> float:
            def run() -> None:
                found["test"] = _test(kind, params, labels, samples, mesh, num_clusters, num_shuffles)

            return seconds_of(run)

        first = ours()
        taken = median_seconds({"ours": ours, "theirs": lambda: seconds_of(lambda: one_by_one(chosen))}, rounds)
        test = found["test"]
        count = test.accuracy.size * (num_shuffles + 1)
        rates = count / taken["ours"], num_peer_lesions / taken["theirs"]
        least = _least_operations(kind, graph.widths, test.submodules.layer, num_shuffles + 1) * len(samples.y_test)
        rows.append(
            {
                "test": kind,
                "sub-modules": len(test.submodules.layer),
                "lesions": count,
                "ours a second": rates[0],
                "one by one": rates[1],
                "times": rates[0] / rates[1],
                "operations allow": count * one_by_one.operations / least,
                "share of matmul rate %": 100 * least / rate / taken["ours"],
                "theirs %": 100 * one_by_one.operations * num_peer_lesions / rate / taken["theirs"],
                "most images off": _most_off(kind, test, one_by_one, masks),
                "compile s": first - taken["ours"],
            }
        )
    return rows


class _OneByOne:
    """The obvious way: a jitted forward pass of all test samples, with a mask on each hidden layer's activations."""

    def __init__(self, params: Params, samples: Samples) -> None:
        layers = [jax.tree.map(jnp.asarray, dict(params[name])) for name in sorted(params)]
        self.num_samples = len(samples.y_test)
        self.operations = 2 * sum(layer["kernel"].size for layer in layers) * self.num_samples

        self._data = layers, samples.x_test, samples.y_test
        hidden = [np.ones(layer["kernel"].shape[1], np.float32) for layer in layers[:-1]]
        self([hidden])  # compiles

    def __call__(self, lesions: Sequence[Sequence[np.ndarray]]) -> list[int]:
        """Right answers of each lesion, given as a mask for each hidden layer."""
        return [int(_num_right(masks, *self._data)) for masks in lesions]


@jax.jit
def _num_right(masks: Sequence[jax.Array], layers: Sequence[Any], x: jax.Array, y: jax.Array) -> jax.Array:
    # The data are arguments: of constants XLA would compute the first layer once, when compiling.
    for layer, mask in zip(layers, masks, strict=False):
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None]) * mask[None]
    logits = x @ layers[-1]["kernel"] + layers[-1]["bias"][None]
    return (logits.argmax(axis=1) == y).sum()


def _test(
    kind: str, params: Params, labels: np.ndarray, samples: Samples, mesh: Mesh, num_clusters: int, num_shuffles: int
) -> Any:
    data = params, labels, samples.x_test, samples.y_test, jax.random.key(0)
    if kind == "single":
        return lesion_test(*data, num_clusters=num_clusters, num_shuffles=num_shuffles, mesh=mesh)
    return double_lesion_test(*data, kind=kind, num_clusters=num_clusters, num_shuffles=num_shuffles, mesh=mesh)


def _masks(labels: np.ndarray, widths: Sequence[int]) -> list[list[np.ndarray]]:
    """For each sub-module, what the hidden activations are multiplied by."""
    hidden = np.split(labels, np.cumsum(widths)[:-1])[1:-1]
    modules = [(layer, c) for layer, own in enumerate(hidden) for c in np.unique(own[own >= 0])]
    return [
        [np.where((own == c) & (layer == index), 0, 1).astype(np.float32) for index, own in enumerate(hidden)]
        for layer, c in modules
    ]


def _most_off(kind: str, test: Any, one_by_one: _OneByOne, masks: Sequence[Sequence[np.ndarray]]) -> int:
    """Largest difference, in images, between both ways over the lesions as found; of up to 40 of them."""
    pairs = [(m, m) for m in range(len(masks))] if kind == "single" else list(zip(test.first, test.second, strict=True))
    chosen = np.linspace(0, len(pairs) - 1, min(40, len(pairs))).astype(int)
    both = [[a * b for a, b in zip(masks[pairs[i][0]], masks[pairs[i][1]], strict=True)] for i in chosen]
    size = one_by_one.num_samples
    return int(np.abs(np.array(one_by_one(both)) - np.rint(test.accuracy[chosen] * size)).max())


def _least_operations(kind: str, widths: Sequence[int], layers: np.ndarray, trials: int) -> float:
    """Floating-point operations a sample: the products that `passes` says it needs, were sub-modules free to slice.

    In each site (a hidden layer below which something may be damaged) a trial's sub-modules share one product with the
    next kernel; each lesion then has the kernels above to itself.
    """
    sizes = [a * b for a, b in zip(widths, widths[1:], strict=False)]
    hidden = range(1, len(widths) - 1)
    modules = {layer: int((layers == layer).sum()) for layer in hidden}
    above = {layer: sum(sizes[layer + 1 :]) for layer in hidden}

    def site(layer: int) -> int:
        """All sub-modules of a layer, each alone."""
        return sizes[layer] + modules[layer] * above[layer]

    single = sum(site(layer) for layer in hidden)
    if kind == "single":
        return 2.0 * (sum(sizes) + trials * single)
    deeper = {layer: sum(site(other) for other in hidden if other > layer) for layer in hidden}
    if kind == "joint":
        pairs = sum(modules[a] * deeper[a] + modules[a] * (modules[a] - 1) / 2 * above[a] for a in hidden)
        return 2.0 * (sum(sizes) + trials * (single + pairs))
    given = sum(modules[a] * (2 * deeper[a] + sizes[a] + (modules[a] - 1) * above[a]) for a in hidden)
    return 2.0 * (sum(sizes) + single + trials * (single + given))
