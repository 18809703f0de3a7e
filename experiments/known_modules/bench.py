"""All measures on all tasks: the rows of `truth.csv` and `curves.csv`."""

import time
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from experiments.known_modules.fits import Item, fit, with_controls
from experiments.known_modules.functional import PROBES, Given, Probed, given
from experiments.known_modules.measures import CONTROLS, WAYS
from experiments.known_modules.networks import Networks, first
from experiments.known_modules.tasks import TASKS, Sizes, Task, plant
from modularity_jax.graphs.layered import LayeredGraph
from modularity_jax.metric.agreement import adjusted_rand
from modularity_jax.runs.compilation import CompileWatch
from modularity_jax.runs.tables import Row

# Compared with a p-value that is a whole number over (R + 1).
LEVEL = 0.05 + 1e-6
# Adjusted Rand indices: with the truth, of hidden units, within hidden layers, by strength; and with the layers.
AGREEMENTS = ("ari", "ari_hidden", "ari_by_layer", "ari_weighted", "ari_layer")
# Of the figure: those that need no samples, at K clusters.
CURVED = ("n-cut", "corrected spectral", "Newman Q", "layered Q")


def task_rows(name: str, sizes: Sizes, advance: Callable[[str], None]) -> Iterator[Row]:
    """A row for each measure and control of a task, whose networks are made first."""
    task = TASKS[name]
    networks = task.make(sizes)
    advance(f"networks of {name}")
    for control in CONTROLS:
        items = with_controls(networks, control, sizes.num_controls)
        for way in WAYS:
            yield _place(name, way, control) | _row(task, networks, items, way)
            advance(f"{way} on {name}")
    own = given(first(networks, sizes.num_seeds), task.num_modules, sizes.num_controls)
    for measure, probe in PROBES.items():
        start = time.monotonic()
        found = probe(own)
        if found is not None:  # it applies
            seconds = round(time.monotonic() - start, 2)
            yield _place(name, measure, None) | _probe_row(task, own, found) | {"seconds": seconds}
        advance(f"{measure} on {name}")


def curve_rows(num_kernels: int, num_modules: int, sizes: Sizes, advance: Callable[[str], None]) -> Iterator[Row]:
    """A row for each measure and crossing share of planted networks."""
    for way in CURVED:
        for share in sizes.shares:
            networks = plant(sizes.curve_seeds, share, (32,) * (num_kernels + 1), num_modules)
            found = fit(with_controls(networks, CONTROLS[0], 0), way=way, num_clusters=num_modules)
            ari = _mean([adjusted_rand(*pair) for pair in zip(found.labels, networks.truth, strict=True)])
            yield {"kernels": num_kernels, "modules": num_modules, "measure": way, "share": share, "ari": ari}
        advance(f"{way} on planted networks of {num_kernels} kernels")


def _place(task: str, measure: str, control: str | None) -> Row:
    return {"task": task, "twin": int(TASKS[task].twin), "measure": measure, "control": control}


def _row(task: Task, networks: Networks, items: Item, way: str) -> Row:
    """Of a measure whose controls are of shuffled weights."""
    size = task.num_modules * (len(networks.widths) if WAYS[way].by_depth else 1)
    start = time.monotonic()
    with CompileWatch() as watch:
        found = fit(items, way=way, num_clusters=size)
    seconds = time.monotonic() - start - watch.seconds - watch.tracing
    row: Row = {"num_clusters": size, "controls": int(items.numbers[:, 1].max())}
    row |= _scores(networks, found.labels, found.p_values, twin=task.twin)
    return row | {"value": None, "chance": None, "seconds": round(seconds, 2)}


def _probe_row(task: Task, own: Given, found: Probed) -> Row:
    """Of a measure by other means; value and chance are its own."""
    row: Row = {"num_clusters": own.num_modules, "controls": 0 if found.p_value is None else own.num_controls}
    row |= _scores(own.networks, found.labels, found.p_value, twin=task.twin)
    return row | {"value": _mean(found.value), "chance": None if found.chance is None else _mean(found.chance)}


def _scores(networks: Networks, labels: np.ndarray | None, p_values: np.ndarray | None, *, twin: bool) -> Row:
    """Of labels [S, N] and p-values [S], of a measure that gives them."""
    row: Row = {"networks": len(networks.truth), "accuracy": networks.accuracy}
    row |= dict.fromkeys(AGREEMENTS) if labels is None else _agreement(networks, labels, twin=twin)
    if p_values is None:
        return row | {"p_value": None, "significant": None}
    return row | {"p_value": _mean(p_values), "significant": float(np.mean(p_values <= LEVEL))}


def _agreement(networks: Networks, found: np.ndarray, *, twin: bool) -> Row:
    """Adjusted Rand indices of labels [S, N], means over networks, of units whose module is known or that have any."""
    layer = np.repeat(np.arange(len(networks.widths)), networks.widths)
    numbers = np.arange(1, layer.max())[:, None]
    hidden = (layer > 0) & (layer < layer.max())
    strengths = _strengths(networks)
    scores: dict[str, list[float | None]] = {name: [] for name in AGREEMENTS}
    for labels, truth, strength in zip(found, networks.truth, strengths, strict=True):
        known = (truth >= 0) & (not twin)
        scores["ari"].append(adjusted_rand(labels[known], truth[known]))
        scores["ari_hidden"].append(adjusted_rand(labels[known & hidden], truth[known & hidden]))
        within = [adjusted_rand(labels[own], truth[own]) for own in known & hidden & (layer == numbers)]
        scores["ari_by_layer"].append(_mean(within))
        scores["ari_weighted"].append(adjusted_rand(labels[known], truth[known], strength[known]))
        connected = labels >= 0
        scores["ari_layer"].append(adjusted_rand(labels[connected], layer[connected]))
    return {name: _mean(values) for name, values in scores.items()}


def _strengths(networks: Networks) -> np.ndarray:
    """Sum of the magnitudes of each unit's weights, [S, N]."""
    kernels = [kernel for kernel, _ in networks.layers]
    return np.asarray(jax.vmap(lambda own: LayeredGraph.from_weights(own).degrees())(kernels))


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that are defined; None where none is."""
    defined = [value for value in values if value is not None and value == value]
    return float(np.mean(defined)) if defined else None
