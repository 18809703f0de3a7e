"""What modules do, by other means than a graph and its controls: rows of `truth.csv` of their own.

Three of them look at the modules that layered Q finds. Masks find modules by themselves, from the questions.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import modularity_jax as mj
from experiments.known_modules.fits import fit, with_controls
from experiments.known_modules.heads import answers, readout
from experiments.known_modules.networks import Networks
from experiments.known_modules.roles import activations
from modularity_jax.data.dataset import Split
from modularity_jax.data.known import Known, by_group
from modularity_jax.metric.statistics import compare
from modularity_jax.nets.sweep import network_keys, seed_mesh

Array = jax.Array
Layers = list[tuple[Any, Any]]  # kernel [a, b] and bias [b] of each

# Of the masks: the published penalty of a batch, Adam's rate, and steps enough for networks of some hundred units.
ALPHA, LEARNING_RATE, NUM_STEPS = 4e-4, 3e-2, 1_000
SEED = 2  # of the keys
MODULES_BY = "layered Q"


class Probed(NamedTuple):
    """S networks by one of these measures."""

    value: np.ndarray  # [S], what it says
    chance: np.ndarray | None = None  # [S], mean of its controls
    p_value: np.ndarray | None = None  # [S]
    labels: np.ndarray | None = None  # [S, N], where it finds modules


class Given(NamedTuple):
    """What it is put to."""

    networks: Networks
    labels: np.ndarray  # [S, N], the modules found
    num_modules: int
    num_controls: int


def given(networks: Networks, num_modules: int, num_controls: int) -> Given:
    """With the modules that layered Q finds."""
    found = fit(with_controls(networks, "layer", 0), way=MODULES_BY, num_clusters=num_modules)
    return Given(networks, found.labels, num_modules, num_controls)


def masks(own: Given) -> Probed | None:
    """Whose each unit is by the masks of the questions, or of the groups of samples; the share of units that are one's.

    Of networks that have several of either.
    """
    known, networks = own.networks.known, own.networks
    found = None if known is None else sub_tasks(known)
    if known is None or found is None:
        return None
    x, right = found
    keys = network_keys(SEED, np.arange(len(networks.truth)))
    run = answering(known.num_answers, networks.widths[-1])
    how: dict[str, Any] = {"alpha": ALPHA, "learning_rate": LEARNING_RATE, "num_steps": NUM_STEPS}
    logits = mj.train_masks(
        run, _layers(networks), _fitting(x, networks), right, keys, loss=unanswered, mesh=seed_mesh(), **how
    )
    pairs = [_of(index, (logits, _layers(networks))) for index in range(len(keys))]
    labels = np.stack([mj.unit_labels(*pair, graph=graph) for pair in pairs])
    connected = own.labels >= 0
    return Probed((labels >= 0).sum(axis=1) / connected.sum(axis=1), labels=labels)


def robustness(own: Given) -> Probed:
    """How much of the wiring must be scrambled before the modules are no better than chance."""
    keys = network_keys(SEED, np.arange(len(own.labels)))
    found = [
        mj.robustness(graph(_of(index, _layers(own.networks))), key, num_clusters=own.num_modules, mesh=seed_mesh())
        for index, key in enumerate(keys)
    ]
    return Probed(np.array([float(one.robustness) for one in found]))


def ablation(own: Given) -> Probed | None:
    """Accuracy without the weights between the modules found, beside modules of the same sizes at random."""
    known, networks = own.networks.known, own.networks
    if known is None:
        return None
    x, y = _fitting(known.data.x_test, networks), known.data.y_test
    run = _of_dense(known.num_answers, networks.widths[-1])
    found = []
    for index, key in enumerate(network_keys(SEED, np.arange(len(own.labels)))):
        layers = _of(index, _layers(networks))
        params = {f"Dense_{number}": {"kernel": w, "bias": b} for number, (w, b) in enumerate(layers)}
        how: dict[str, Any] = {"num_clusters": own.num_modules, "num_shuffles": own.num_controls, "apply": run}
        found.append(mj.ablation_test(params, own.labels[index], x, y, key, kind="between", mesh=seed_mesh(), **how))
    values = ([float(values[0]) for values in (one.accuracy, one.control_mean, one.p_value)] for one in found)
    return Probed(*map(np.array, zip(*values, strict=True)))


def inputs(own: Given) -> Probed:
    """Overlap of what the first hidden layer's modules read, beside modules of the same sizes at random."""
    first = own.networks.layers[0][0]
    stream, found = np.random.default_rng(SEED), []
    for kernel, labels in zip(first, own.labels, strict=True):
        layer = labels[first.shape[1] :][: first.shape[2]]
        alive = np.flatnonzero(layer >= 0)
        trials = np.tile(layer, (1 + own.num_controls, 1))
        for trial in trials[1:]:
            trial[alive] = stream.permutation(layer[alive])
        found.append(np.array([_overlap(kernel, trial, own.num_modules) for trial in trials]))
    tests = [compare(values[0], values[1:], higher=False) for values in found]
    values = np.array([values[0] for values in found]), np.array([values[1:].mean() for values in found])
    return Probed(*values, np.array([float(test.p_value) for test in tests]))


#: By their name in the tables.
PROBES: dict[str, Callable[[Given], Probed | None]] = {
    "masks": masks,
    "robustness": robustness,
    "without weights between": ablation,
    "shared inputs": inputs,
}


def sub_tasks(known: Known) -> Split | None:
    """Samples of each question or group, x [T, n, d], and which classes answer it rightly, [T, n, C]; None of one."""
    said, data = answers(known.num_answers), known.data
    if known.groups is not None:
        train, _ = by_group(known)
        return Split(train.x, train.y[:, :, None] == np.arange(len(said)))
    if len(known.num_answers) == 1:
        return None
    right = (said[data.y_train][:, None] == said[None]).transpose(2, 0, 1)
    return Split(np.tile(data.x_train, (len(right), 1, 1)), right)


def unanswered(logits: Array, right: Array) -> Array:
    """Cross-entropy [B] of a question, of which the classes right [B, C] give the answer."""
    return -jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=1, where=right)


@functools.cache
def answering(num_answers: tuple[int, ...], outputs: int) -> Callable[[Layers, Array], Array]:
    """Logits [B, C] of layers and inputs; the same function for the same arguments."""
    rows = readout(num_answers)
    rows = np.pad(rows, ((0, outputs - len(rows)), (0, 0)))
    return lambda layers, x: activations(layers, x)[-1] @ rows


@functools.cache
def _of_dense(num_answers: tuple[int, ...], outputs: int) -> Callable[[Any, Array], Array]:
    run = answering(num_answers, outputs)
    return lambda params, x: run([(params[name]["kernel"], params[name]["bias"]) for name in sorted(params)], x)


def graph(layers: Layers) -> mj.LayeredGraph:
    """Of kernels and biases."""
    return mj.LayeredGraph.from_weights([kernel for kernel, _ in layers])


def _overlap(kernel: np.ndarray, labels: np.ndarray, num_modules: int) -> float:
    """Mean over pairs of modules; of a single module, or such as read nothing, the whole: 1."""
    found = np.asarray(mj.input_overlap(kernel, labels, num_clusters=num_modules))
    pairs = found[np.triu_indices(num_modules, 1)]
    return float(pairs[~np.isnan(pairs)].mean()) if not np.isnan(pairs).all() else 1.0


def _layers(networks: Networks) -> Layers:
    return [*networks.layers]


def _of(index: int, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _fitting(x: np.ndarray, networks: Networks) -> np.ndarray:
    """Samples [..., d], with zeros for the inputs that fill networks up to a shape."""
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, networks.widths[0] - x.shape[-1])])
