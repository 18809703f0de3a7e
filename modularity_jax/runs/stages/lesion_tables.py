"""A lesion test as rows of lesions.csv and double_lesions.csv, and arrays of lesions/<phase>.npz."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modularity_jax.probes.lesion_test import DoubleLesionTest, LesionTest
from modularity_jax.probes.verdicts import p_values
from modularity_jax.runs.store import packed

LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "layer", "cluster", "num_units", "share", "accuracy", "diff", "control_mean",
    "control_std", "z_score", "p_value", "p_adjusted", "taxonomy", "taxonomy_adjusted", "p_strict", "num_shuffles",
)  # fmt: skip
DOUBLE_LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "kind", "layer_a", "cluster_a", "layer_b", "cluster_b", "accuracy", "diff",
    "score", "p_value", "p_adjusted", "important", "important_adjusted", "control_mean", "control_std", "z_score",
    "num_shuffles",
)  # fmt: skip


def as_piece(head: Mapping[str, Any], test: LesionTest | DoubleLesionTest | str) -> dict[str, np.ndarray]:
    """A test's rows, as JSON, arrays and outcome in words; or the reason why the network does not allow it.

    Rows begin with `head`: seed, phase and number of clusters, and the kind of a test of pairs.
    """
    if isinstance(test, str):
        return {"outcome": packed(f"left out, {test}"), "reason": packed(test)}
    if isinstance(test, LesionTest):
        columns = _single_columns(test)
        outcome = f"{test.taxonomy.count('important')} of {len(test.taxonomy)} sub-modules important"
    else:
        columns = _double_columns(test)
        outcome = f"{test.important.sum()} of {len(test.important)} pairs important"
    arrays = {f"arrays/{name}": array for name, array in _arrays(test).items()}
    rows = [
        {**head, **dict(zip(columns, map(_plain, values), strict=True))}
        for values in zip(*columns.values(), strict=True)
    ]
    return {"outcome": packed(outcome), "rows": packed(rows), **arrays}


def _single_columns(test: LesionTest) -> dict[str, Sequence[Any]]:
    """Of lesions.csv, with an entry for each sub-module."""
    strict = p_values(test.accuracy, test.control_accuracy, ties="strict")
    known = test._asdict() | test.submodules._asdict()
    known["p_strict"] = np.where(np.isnan(test.p_value), np.nan, strict)
    known["num_shuffles"] = [len(test.control_accuracy)] * len(test.diff)
    by_class = {f"accuracy_{c}": values for c, values in enumerate(test.accuracy_by_class.T)}
    return {name: known[name] for name in LESION_COLUMNS if name in known} | by_class


def _double_columns(test: DoubleLesionTest) -> dict[str, Sequence[Any]]:
    """Of double_lesions.csv, with an entry for each pair."""
    known = test._asdict() | {"num_shuffles": [len(test.control_accuracy)] * len(test.diff)}
    for side, number in (("a", test.first), ("b", test.second)):
        known[f"layer_{side}"] = test.submodules.layer[number]
        known[f"cluster_{side}"] = test.submodules.cluster[number]
    return {name: known[name] for name in DOUBLE_LESION_COLUMNS if name in known}


def _plain(value: Any) -> Any:
    """Floats to 7 digits, which is what float32 sums are good for, and nan as an empty cell."""
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(f"{value:.7g}")
    return value.item() if isinstance(value, np.generic) else value


def _arrays(test: LesionTest | DoubleLesionTest) -> dict[str, np.ndarray]:
    """What the tables leave out: each control's accuracy, and by class."""
    arrays = {"control_accuracy": test.control_accuracy}
    if isinstance(test, LesionTest):
        arrays |= {
            "control_accuracy_by_class": test.control_accuracy_by_class,
            "undamaged_by_class": test.undamaged_by_class,
            "undamaged": np.asarray(test.undamaged),
        }
    return {name: array.astype(np.float32) for name, array in arrays.items()}
