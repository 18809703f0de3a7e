"""The lesion stage of a run: lesions.csv, double_lesions.csv and lesions/<phase>.npz."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.metric.checks import check_num_clusters
from modularity_jax.metric.graph import LayeredGraph
from modularity_jax.nets.lesions.lesion_test import KINDS, DoubleLesionTest, LesionTest, double_lesion_test, lesion_test
from modularity_jax.nets.lesions.verdicts import p_values
from modularity_jax.nets.training import Samples
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.stages import cluster_key, cluster_network, load_params, load_samples, timed
from modularity_jax.runs.tables import Row, read_arrays, read_csv, write_csv
from modularity_jax.runs.workdir import Workdir, write_arrays

LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "layer", "cluster", "num_units", "share", "accuracy", "diff", "control_mean",
    "control_std", "z_score", "p_value", "p_adjusted", "taxonomy", "taxonomy_adjusted", "p_strict", "num_shuffles",
)  # fmt: skip
DOUBLE_LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "kind", "layer_a", "cluster_a", "layer_b", "cluster_b", "accuracy", "diff",
    "score", "p_value", "p_adjusted", "important", "important_adjusted", "control_mean", "control_std", "z_score",
    "num_shuffles",
)  # fmt: skip

# Tells the lesions' randomness from that of the shuffle tests of the same network.
_LESION_STREAM = 2**32 - 2


def lesion_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Damage every sub-module and pair of the run's networks, on the test set.

    A network whose rows are there is not computed again. Mesh: the devices share the samples.

    Raises:
      ValueError: if a network has fewer connected neurons than clusters, before anything is computed.
      FileNotFoundError: if the networks are missing; it names the command that trains them.
    """
    config, settings = workdir.config, workdir.config.lesion
    phases = [phase for phase in config.phases if phase in settings.phases] if settings.num_shuffles else []
    nets = {phase: load_params(workdir, phase) for phase in phases}
    singles, doubles = (_rows(file) for file in (workdir.lesions, workdir.double_lesions))
    done = {(row["phase"], row["seed"]) for row in singles}
    left = [(phase, seed) for phase in phases for seed in range(config.train.num_seeds) if (phase, seed) not in done]
    if not left:
        logging.info("%s holds its lesions already, or its config asks for none", workdir.path)
        return
    graphs = {(phase, seed): LayeredGraph.from_params(nets[phase][seed]) for phase, seed in left}
    for graph in graphs.values():
        check_num_clusters(settings.num_clusters, graph)
    samples = load_samples(config)
    columns = (*LESION_COLUMNS, *(f"accuracy_{c}" for c in range(config.model.widths[-1])))
    tests = 1 + sum(bool(getattr(settings, kind)) for kind in KINDS)
    with timed(workdir, "lesion"), Progress(f"damaging {len(left)} networks", len(left) * tests) as progress:
        for phase, seed in left:
            labels = _labels(workdir, phase, seed, graphs[phase, seed])
            head = {"seed": seed, "phase": phase, "num_clusters": settings.num_clusters}
            # Left behind by an interruption after one table and before the other.
            doubles = [row for row in doubles if (row["phase"], row["seed"]) != (phase, seed)]
            arrays: dict[str, np.ndarray] = {}
            for kind, test in _tests(nets[phase][seed], labels, samples, seed, config, mesh):
                if isinstance(test, LesionTest):
                    singles += _single_rows(head, test)
                else:
                    doubles += _double_rows(head | {"kind": kind}, test)
                arrays |= _arrays(f"seed_{seed}/k_{settings.num_clusters}/{kind}", test)
                progress.advance(f"{phase} seed {seed}, {kind}: {_outcome(test)}")
            known = read_arrays(workdir.path, f"lesions/{phase}.npz") if workdir.lesion_arrays(phase).exists() else {}
            write_arrays(workdir.lesion_arrays(phase), known | arrays)
            write_csv(workdir.double_lesions, doubles, DOUBLE_LESION_COLUMNS)
            write_csv(workdir.lesions, singles, columns)


def _rows(file: Any) -> list[Row]:
    return read_csv(file) if file.exists() else []


def _labels(workdir: Workdir, phase: str, seed: int, graph: LayeredGraph) -> np.ndarray:
    """The network's labels at the lesions' number of clusters: the clustering stage's, or made as it would."""
    count = workdir.config.lesion.num_clusters
    name = f"seed_{seed}/k_{count}/labels"
    arrays = read_arrays(workdir.path, f"clusters/{phase}.npz") if workdir.clusters(phase).exists() else {}
    if name not in arrays:
        arrays[name] = np.asarray(cluster_network(graph, workdir.config, seed, count).labels)
        write_arrays(workdir.clusters(phase), arrays)
    return arrays[name]


def _tests(
    params: Mapping[str, Any], labels: np.ndarray, samples: Samples, seed: int, config: RunConfig, mesh: Mesh | None
) -> Iterator[tuple[str, LesionTest | DoubleLesionTest]]:
    """The tests of one network that the config asks for, each with a key of its own."""
    settings, x, y = config.lesion, samples.x_test, samples.y_test
    keys = jax.random.split(jax.random.fold_in(cluster_key(config, seed), _LESION_STREAM), 1 + len(KINDS))
    shared: dict[str, Any] = {
        "num_clusters": settings.num_clusters,
        "correction": settings.correction,
        "samples_per_batch": settings.samples_per_batch,
        "mesh": mesh,
    }
    yield "single", lesion_test(params, labels, x, y, keys[0], num_shuffles=settings.num_shuffles, **shared)
    for kind, key in zip(KINDS, keys[1:], strict=True):
        if count := getattr(settings, kind):
            yield kind, double_lesion_test(params, labels, x, y, key, kind=kind, num_shuffles=count, **shared)


def _single_rows(head: Mapping[str, Any], test: LesionTest) -> list[Row]:
    strict = p_values(test.accuracy, test.control_accuracy, ties="strict")
    columns = {
        **test.submodules._asdict(),
        "accuracy": test.accuracy,
        "diff": test.diff,
        "control_mean": test.control_mean,
        "control_std": test.control_std,
        "z_score": test.z_score,
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
        "taxonomy": test.taxonomy,
        "taxonomy_adjusted": test.taxonomy_adjusted,
        "p_strict": np.where(np.isnan(test.p_value), np.nan, strict),
        "num_shuffles": [len(test.control_accuracy)] * len(test.diff),
        **{f"accuracy_{c}": values for c, values in enumerate(test.accuracy_by_class.T)},
    }
    return _to_rows(head, columns)


def _double_rows(head: Mapping[str, Any], test: DoubleLesionTest) -> list[Row]:
    modules = test.submodules
    columns = {
        "layer_a": modules.layer[test.first],
        "cluster_a": modules.cluster[test.first],
        "layer_b": modules.layer[test.second],
        "cluster_b": modules.cluster[test.second],
        "accuracy": test.accuracy,
        "diff": test.diff,
        "score": test.score,
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
        "important": test.important,
        "important_adjusted": test.important_adjusted,
        "control_mean": test.control_mean,
        "control_std": test.control_std,
        "z_score": test.z_score,
        "num_shuffles": [len(test.control_accuracy)] * len(test.diff),
    }
    return _to_rows(head, columns)


def _to_rows(head: Mapping[str, Any], columns: Mapping[str, Sequence[Any] | np.ndarray]) -> list[Row]:
    """A row per entry; floats to 7 digits, which is what float32 sums are good for, and nan as an empty cell."""
    return [
        {**head, **dict(zip(columns, map(_plain, values), strict=True))}
        for values in zip(*columns.values(), strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(f"{value:.7g}")
    return value.item() if isinstance(value, np.generic) else value


def _arrays(prefix: str, test: LesionTest | DoubleLesionTest) -> dict[str, np.ndarray]:
    """What the tables leave out: each control's accuracy, and by class."""
    arrays = {"control_accuracy": test.control_accuracy}
    if isinstance(test, LesionTest):
        arrays |= {
            "control_accuracy_by_class": test.control_accuracy_by_class,
            "undamaged_by_class": test.undamaged_by_class,
            "undamaged": np.asarray(test.undamaged),
        }
    return {f"{prefix}/{name}": array.astype(np.float32) for name, array in arrays.items()}


def _outcome(test: LesionTest | DoubleLesionTest) -> str:
    if isinstance(test, LesionTest):
        return f"{test.taxonomy.count('important')} of {len(test.taxonomy)} sub-modules important"
    return f"{test.important.sum()} of {len(test.important)} pairs important"
