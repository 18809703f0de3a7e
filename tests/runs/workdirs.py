"""Synthetic workdirs: planted modules, plausible tables, nothing from the other packages."""

import itertools
import json
import pathlib

import numpy as np

from modularity_jax.runs.tables import write_csv
from modularity_jax.runs.workdir import Comparison

PHASES = ("init", "unpruned", "pruned")
METHODS = ("layer", "layer_nonzero")
METRIC_COLUMNS = (
    "seed",
    "phase",
    "epoch",
    "step",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "sparsity",
)
CLUSTER_COLUMNS = (
    "seed",
    "phase",
    "graph",
    "measure",
    "num_clusters",
    "method",
    "observed",
    "bound",
    "shuffled_mean",
    "shuffled_std",
    "z_score",
    "p_value",
    "p_opposite",
    "p_low",
    "p_high",
    "effect_size",
    "num_shuffles",
    "depth_share",
    "num_isolated",
    "num_components",
    "test_accuracy",
)


def comparison_of(row: dict) -> Comparison:
    """The test of a row of clusterability.csv."""
    return Comparison(*(row[name] for name in Comparison._fields))


def make_workdir(
    path: pathlib.Path,
    widths=(64, 32, 32, 10),
    *,
    num_seeds=3,
    sizes=(4, 12),
    num_shuffles=40,
    epochs=4,
    gap=1.0,
    methods=METHODS,
) -> pathlib.Path:
    """A finished run; the networks lie `gap` times the phase's usual distance below their controls."""
    (path / "weights").mkdir(parents=True)
    (path / "clusters").mkdir()
    _write_json(path, widths, num_seeds, sizes, num_shuffles, epochs)
    write_csv(path / "metrics.csv", _metrics(num_seeds, epochs), METRIC_COLUMNS)
    rows = []
    for index, phase in enumerate(PHASES):
        weights, clusters = {}, {}
        for seed in range(num_seeds):
            rng = np.random.default_rng([index, seed])
            planted = [rng.integers(0, max(sizes), width) for width in widths]
            kernels = [_kernel(rng, a, b, phase) for a, b in itertools.pairwise(planted)]
            for layer, kernel in enumerate(kernels):
                weights[f"seed_{seed}/layer_{layer:02d}/kernel"] = kernel
                weights[f"seed_{seed}/layer_{layer:02d}/bias"] = np.zeros(kernel.shape[1], np.float32)
            isolated = _degrees(kernels) == 0
            for k in sizes:
                labels = np.where(isolated, -1, np.concatenate(planted) % k).astype(np.int32)
                fall = gap * {"init": 0.0, "unpruned": 0.02, "pruned": 0.08}[phase]
                made = _cluster_rows(rng, kernels, labels, k, num_shuffles, fall, methods)
                clusters[f"seed_{seed}/weights/ncut/k_{k}/labels"] = labels
                clusters[f"seed_{seed}/weights/ncut/k_{k}/eigenvalues"] = made[0]
                for row, method, shuffled in made[1]:
                    clusters[f"seed_{seed}/weights/ncut/k_{k}/{method}/controls"] = shuffled
                    accuracy = None if phase == "init" else 0.97 + 0.003 * seed
                    isolates = int(isolated.sum())
                    common = {
                        "seed": seed,
                        "phase": phase,
                        "graph": "weights",
                        "measure": "ncut",
                        "num_clusters": k,
                        "method": method,
                    }
                    rows.append(
                        common | row | {"depth_share": 0.4, "num_isolated": isolates, "test_accuracy": accuracy}
                    )
        np.savez(path / "weights" / f"{phase}.npz", **weights)
        np.savez(path / "clusters" / f"{phase}.npz", **clusters)
    write_csv(path / "clusterability.csv", rows, CLUSTER_COLUMNS)
    return path


def _kernel(rng: np.random.Generator, a: np.ndarray, b: np.ndarray, phase: str) -> np.ndarray:
    strength = {"init": 1.0, "unpruned": 1.6, "pruned": 2.6}[phase]
    kernel = rng.normal(size=(len(a), len(b))) * np.where(a[:, None] == b, strength, 1.0)
    if phase == "pruned":
        kernel[np.abs(kernel) < np.quantile(np.abs(kernel), 0.9)] = 0.0
    return kernel.astype(np.float32)


def _degrees(kernels: list[np.ndarray]) -> np.ndarray:
    outgoing = [np.abs(kernel).sum(1) for kernel in kernels] + [np.zeros(kernels[-1].shape[1])]
    incoming = [np.zeros(kernels[0].shape[0])] + [np.abs(kernel).sum(0) for kernel in kernels]
    return np.concatenate([i + o for i, o in zip(incoming, outgoing, strict=True)])


def slow_ncut(kernels: list[np.ndarray], labels: np.ndarray, num_clusters: int) -> float:
    """The n-cut from its definition, on the dense adjacency matrix."""
    starts = np.cumsum([0, kernels[0].shape[0], *(kernel.shape[1] for kernel in kernels)])
    adjacency = np.zeros((starts[-1], starts[-1]))
    for layer, kernel in enumerate(kernels):
        adjacency[starts[layer] : starts[layer + 1], starts[layer + 1] : starts[layer + 2]] = np.abs(kernel)
    adjacency += adjacency.T
    members = [labels == module for module in range(num_clusters)]
    return sum(adjacency[m][:, ~m].sum() / adjacency[m].sum() for m in members if m.any())


def _cluster_rows(rng, kernels, labels, k, num_shuffles, fall, methods):
    ncut = slow_ncut(kernels, labels, k)
    eigenvalues = np.concatenate([[1.0], 1 - np.sort(rng.uniform(0.25, 0.6, k - 1))]).astype(np.float32)
    made = []
    for method in methods:
        distance = fall * ncut * (1.0 if method == "layer" else 0.4)
        shuffled = rng.normal(ncut + distance, 0.01 * ncut, num_shuffles).astype(np.float32)
        lower, upper = int((shuffled <= ncut).sum()), int((shuffled >= ncut).sum())
        p = (1 + lower) / (num_shuffles + 1)
        row = {
            "graph": "weights",
            "measure": "ncut",
            "observed": ncut,
            "bound": float(k - eigenvalues.sum()),
            "shuffled_mean": float(shuffled.mean()),
            "shuffled_std": float(shuffled.std()),
            "z_score": float((ncut - shuffled.mean()) / shuffled.std()),
            "p_value": p,
            "p_opposite": (1 + upper) / (num_shuffles + 1),
            "p_low": p / 3,
            "p_high": min(1.0, 3 * p),
            "effect_size": float((np.median(shuffled) - ncut) / shuffled.std()),
            "num_shuffles": num_shuffles,
            "num_components": 1,
        }
        made.append((row, method, shuffled))
    return eigenvalues, made


def _metrics(num_seeds: int, epochs: int) -> list[dict]:
    rows = []
    for seed in range(num_seeds):
        rng = np.random.default_rng(seed)
        for phase in PHASES[1:]:
            for epoch in range(1, epochs + 1):
                done = epoch / epochs
                age = epoch + (epochs if phase == "pruned" else 0)
                noise = 1 + 0.05 * rng.normal()
                row = {"seed": seed, "phase": phase, "epoch": epoch, "step": 469 * epoch}
                row |= {"train_loss": 0.4 / age**1.5 * noise, "train_accuracy": 1 - 0.06 / age**1.5 * noise}
                row |= {"test_loss": 0.1 + 0.2 / age * noise, "test_accuracy": 0.982 - 0.04 / age * noise}
                row["sparsity"] = 0.9 - 0.4 * (1 - done) ** 3 if phase == "pruned" else 0.0
                rows.append(row)
    return rows


def _write_json(path: pathlib.Path, widths, num_seeds, sizes, num_shuffles, epochs) -> None:
    config = {
        "data": {"name": "mnist", "dir": None, "num_train": 60000},
        "model": {"widths": list(widths), "dropout_rate": 0.0},
        "train": {"num_seeds": num_seeds, "seed": 0, "epochs": epochs, "batch_size": 128, "learning_rate": 0.001},
        "prune": {"epochs": epochs, "initial_sparsity": 0.5, "final_sparsity": 0.9, "frequency": 10},
        "cluster": {
            "num_clusters": list(sizes),
            "methods": list(METHODS),
            "num_shuffles": num_shuffles,
            "selection": "ncut",
            "num_restarts": 10,
        },
        "report": {},
    }
    versions = {
        "modularity_jax": "0.1.0",
        "jax": "0.10.2",
        "python": "3.11.2",
        "git_commit": "0123456789abcdef",
        "devices": ["cpu:0"],
        "command": "python -m experiments.run --config=configs/mnist.py --workdir=runs/mnist",
        "stage_seconds": {"train": 123.4, "cluster": 45.6},
        "compile_seconds": {"train": 6.7, "cluster": 8.9},
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "versions.json").write_text(json.dumps(versions))


LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "layer", "cluster", "num_units", "share", "accuracy", "diff", "control_mean",
    "control_std", "z_score", "p_value", "p_adjusted", "taxonomy", "taxonomy_adjusted", "p_strict", "num_shuffles",
    *(f"accuracy_{c}" for c in range(10)),
)  # fmt: skip
DOUBLE_LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "kind", "layer_a", "cluster_a", "layer_b", "cluster_b", "accuracy", "diff",
    "score", "p_value", "p_adjusted", "important", "important_adjusted", "control_mean", "control_std", "z_score",
    "num_shuffles",
)  # fmt: skip


def add_lesions(path: pathlib.Path, *, num_seeds=2, num_shuffles=20) -> pathlib.Path:
    """Lesions of the pruned networks: two hidden layers of three sub-modules, of which 1.0 and 2.0 are important."""
    singles, doubles, arrays = [], [], {}
    modules = [(layer, cluster) for layer in (1, 2) for cluster in range(3)]
    for seed in range(num_seeds):
        rng = np.random.default_rng(seed)
        controls = rng.uniform(0.97, 0.98, (num_shuffles, 6))
        for layer, cluster in modules:
            important = cluster == 0
            singles.append(_single(seed, layer, cluster, important, num_shuffles))
        arrays[f"seed_{seed}/k_3/single/control_accuracy"] = controls.astype(np.float32)
        by_class = np.repeat(controls[:, :, None], 10, axis=2).astype(np.float32)
        arrays[f"seed_{seed}/k_3/single/control_accuracy_by_class"] = by_class
        arrays[f"seed_{seed}/k_3/single/undamaged"] = np.float32(0.98)
        for a, b in itertools.combinations_with_replacement(modules, 2):
            doubles.append(_double(seed, "joint", a, b, a[1] == b[1] == 0, num_shuffles))
        for a, b in itertools.permutations(modules, 2):
            # 1.0 matters only through 2.0.
            needless = (a, b) == ((1, 0), (2, 0))
            doubles.append(_double(seed, "conditional", a, b, a[1] == 0 and not needless, num_shuffles))
    (path / "lesions").mkdir()
    np.savez(path / "lesions" / "pruned.npz", **arrays)
    write_csv(path / "lesions.csv", singles, LESION_COLUMNS)
    write_csv(path / "double_lesions.csv", doubles, DOUBLE_LESION_COLUMNS)
    return path


def _single(seed: int, layer: int, cluster: int, important: bool, num_shuffles: int) -> dict:
    word = "important" if important else ("small" if cluster == 1 else "other")
    accuracy = 0.9 if important else 0.975
    p = 1 / (num_shuffles + 1) if important else 0.5
    values = (
        seed, "pruned", 3, layer, cluster, 8 if cluster == 1 else 20, 0.3, accuracy, accuracy - 0.98, 0.975, 0.003,
        (accuracy - 0.975) / 0.003, p, min(1.0, 2 * p), word, word, p, num_shuffles,
        *[accuracy - 0.3 * (important and c == layer) for c in range(10)],
    )  # fmt: skip
    return dict(zip(LESION_COLUMNS, values, strict=True))


def _double(seed: int, kind: str, a: tuple, b: tuple, important: bool, num_shuffles: int) -> dict:
    accuracy = 0.85 if important else 0.97
    p = 1 / (num_shuffles + 1) if important else None if a == b else 0.5
    values = (
        seed, "pruned", 3, kind, *a, *b, accuracy, accuracy - 0.98, accuracy - 0.98, p, p, important, important, 0.97,
        0.003, (accuracy - 0.97) / 0.003, num_shuffles,
    )  # fmt: skip
    return dict(zip(DOUBLE_LESION_COLUMNS, values, strict=True))
