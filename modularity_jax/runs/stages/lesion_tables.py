"""A lesion test as rows of lesions.csv and double_lesions.csv, and arrays of lesions/<phase>.npz."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modularity_jax.probes.lesion_test import (
    DoubleLesionTest,
    LesionTest,
)
from modularity_jax.probes.verdicts import p_values
from modularity_jax.runs.store import packed
from modularity_jax.runs.tables import Row

LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "layer", "cluster", "num_units", "share", "accuracy", "diff", "control_mean",
    "control_std", "z_score", "p_value", "p_adjusted", "taxonomy", "taxonomy_adjusted", "p_strict", "num_shuffles",
)  # fmt: skip


DOUBLE_LESION_COLUMNS = (
    "seed", "phase", "num_clusters", "kind", "layer_a", "cluster_a", "layer_b", "cluster_b", "accuracy", "diff",
    "score", "p_value", "p_adjusted", "important", "important_adjusted", "control_mean", "control_std", "z_score",
    "num_shuffles",
)  # fmt: skip


def as_piece(head: Mapping[str, Any], kind: str, test: LesionTest | DoubleLesionTest | str) -> dict[str, np.ndarray]:
    """A test's rows, as JSON, arrays and outcome in words; or the reason why the network does not allow it.

    Args:
      head: seed, phase and number of clusters.
      kind: of the test.
      test: its result, or that reason.
    """
    if isinstance(test, str):
        return {"outcome": packed(f"left out, {test}"), "reason": packed(test)}
    if isinstance(test, LesionTest):
        rows = _single_rows(head, test)
        outcome = f"{test.taxonomy.count('important')} of {len(test.taxonomy)} sub-modules important"
    else:
        rows = _double_rows(head, kind, test)
        outcome = f"{test.important.sum()} of {len(test.important)} pairs important"
    arrays = {f"arrays/{name}": array for name, array in _arrays(test).items()}
    return {"outcome": packed(outcome), "rows": packed(rows), **arrays}


def _single_rows(head: Mapping[str, Any], test: LesionTest) -> list[Row]:
    """Of lesions.csv, one for each sub-module; head tells seed, phase and number of clusters."""
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


def _double_rows(head: Mapping[str, Any], kind: str, test: DoubleLesionTest) -> list[Row]:
    """Of double_lesions.csv, one for each pair; head as `as_piece`."""
    modules = test.submodules
    columns = {
        "kind": [kind] * len(test.diff),
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
