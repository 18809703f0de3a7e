"""Specialisation as rows of partitionings.csv, submodules.csv and specialisation.csv, and as arrays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from modularity_jax.metric.agreement import adjusted_rand
from modularity_jax.metric.combining import CombinedTest, combine_trials
from modularity_jax.metric.local import counts_by_layer
from modularity_jax.probes.input_coherence import InputCoherence
from modularity_jax.probes.lesion_test import LesionTest
from modularity_jax.probes.specialisation import effect_factor, mean_of_controls, specialisation
from modularity_jax.runs.plain_values import plain_row
from modularity_jax.runs.store import packed, unpacked
from modularity_jax.runs.tables import Row, write_arrays
from modularity_jax.runs.workdir import Workdir

PARTITIONING = ("seed", "phase", "graph", "scope")
LAYER_COLUMNS = (*PARTITIONING, "layer", "num_units", "num_clusters", "ncut")  # then the agreement with the others
# Of each sub-module its value, and what each statistic's test says of it.
VALUES = {"importance": "change", "coherence": "spread", "input_coherence": "entropy"}
SUBMODULE_COLUMNS = (
    *PARTITIONING, "layer", "cluster", "num_units", "share",
    *(f"{value}{of}" for name, value in VALUES.items() for value, of in ((value, ""), (name, "_p"), (name, "_effect"))),
    "num_shuffles",
)  # fmt: skip
NETWORK_COLUMNS = (
    *PARTITIONING, "num_clusters", "statistic", "num_shuffles", "num_submodules", "num_tested", "num_na", "p_network",
    "p_max_t", "p_fisher", "median_effect",
)  # fmt: skip
TABLES = ("partitionings.csv", "submodules.csv", "specialisation.csv")


class Partitioning(NamedTuple):
    """The clusters of a network's units."""

    labels: np.ndarray  # [N], -1 of units without one
    ncut: np.ndarray  # of each hidden layer's partition, or of the one of all layers
    widths: Sequence[int]  # of all layers

    @property
    def hidden(self) -> list[np.ndarray]:
        """The labels of each hidden layer."""
        return np.split(self.labels, np.cumsum(self.widths)[:-1])[1:-1]


class Statistic(NamedTuple):
    """One of `VALUES` of a network's M sub-modules."""

    values: np.ndarray  # [R + 1, M], row 0 as found, then the controls
    test: CombinedTest


def partitioning_piece(tested: LesionTest, excited: InputCoherence, first_shuffles: int) -> dict[str, np.ndarray]:
    """A partitioning's rows, as JSON, arrays and outcome in words; the tests by all controls, and by the first ones."""
    most = len(tested.control_accuracy)
    networks: list[Row] = []
    found: dict[str, Statistic] = {}
    for count in dict.fromkeys((min(first_shuffles, most), most)):
        found = _statistics(tested, excited, count)
        head = {"num_shuffles": count, "num_submodules": len(tested.diff)}
        networks += [{"statistic": name, **head, **_of_network(own.test)} for name, own in found.items()]
    outcome = ", ".join(f"{name.replace('_', ' ')} p {own.test.p_network:.3g}" for name, own in found.items())
    arrays = {f"arrays/{VALUES[name]}": own.values.astype(np.float32) for name, own in found.items()}
    arrays["arrays/top_samples"] = excited.top_samples.astype(np.int32)
    rows = {"networks": packed(networks), "submodules": packed(_of_submodules(tested, found))}
    return {"outcome": packed(outcome), **rows, **arrays}


def _statistics(tested: LesionTest, excited: InputCoherence, count: int) -> dict[str, Statistic]:
    """By the first so many controls."""
    lesions, entropy = specialisation(tested, num_shuffles=count), excited.entropy[: count + 1]
    effect = effect_factor(mean_of_controls(entropy), entropy[0])
    return {
        "importance": Statistic(lesions.change, lesions.importance),
        "coherence": Statistic(lesions.spread, lesions.coherence),
        "input_coherence": Statistic(entropy, combine_trials(entropy, effect=effect, tested=excited.tested)),
    }


def _of_network(test: CombinedTest) -> Row:
    known = test._asdict()
    return plain_row({name: known[name] for name in NETWORK_COLUMNS if name in known})


def _of_submodules(tested: LesionTest, found: Mapping[str, Statistic]) -> list[Row]:
    """A row for each sub-module, by all controls."""
    columns: dict[str, Any] = dict(tested.submodules._asdict())
    for name, own in found.items():
        columns |= {VALUES[name]: own.values[0], f"{name}_p": own.test.p_value, f"{name}_effect": own.test.effect}
    columns = {name: [_rounded(value) for value in values] for name, values in columns.items()}
    count = len(tested.control_accuracy)
    return [
        plain_row(dict(zip(columns, values, strict=True)) | {"num_shuffles": count})
        for values in zip(*columns.values(), strict=True)
    ]


def collate(
    workdir: Workdir,
    phases: Sequence[str],
    pieces: Mapping[Any, Mapping[str, np.ndarray]],
    partitionings: Mapping[Any, Partitioning],
) -> None:
    """The arrays, labels included, and the tables, which come last; cases have the fields of `PARTITIONING`."""
    for phase in phases:
        arrays: dict[str, np.ndarray] = {}
        for case, piece in pieces.items():
            if case.phase == phase:
                start = f"seed_{case.seed}/{case.graph}/{case.scope}/"
                arrays[f"{start}labels"] = partitionings[case].labels
                arrays |= {start + name[len("arrays/") :]: a for name, a in piece.items() if name.startswith("arrays/")}
        write_arrays(workdir.path / f"specialisation/{phase}.npz", dict(sorted(arrays.items())))
    count = workdir.config.specialisation.num_clusters
    own = {"num_clusters": count}
    submodules = [case._asdict() | row for case, piece in pieces.items() for row in unpacked(piece["submodules"])]
    networks = [case._asdict() | own | row for case, piece in pieces.items() for row in unpacked(piece["networks"])]
    others = list(dict.fromkeys(f"ari_{case.graph}_{case.scope}" for case in partitionings))
    workdir.write_table(TABLES[0], list(_layer_rows(partitionings, others)), (*LAYER_COLUMNS, *others))
    workdir.write_table(TABLES[1], submodules, SUBMODULE_COLUMNS)
    workdir.write_table(TABLES[2], networks, NETWORK_COLUMNS)


def _layer_rows(partitionings: Mapping[Any, Partitioning], others: Sequence[str]) -> Iterator[Row]:
    """A row for each hidden layer of each partitioning, with its agreement with those of the same network."""
    for case, own in partitionings.items():
        beside = {f"ari_{c.graph}_{c.scope}": p for c, p in partitionings.items() if c[:2] == case[:2]}
        counts = counts_by_layer(own.labels, own.widths)
        for layer, (labels, count, ncut) in enumerate(zip(own.hidden, counts, own.ncut, strict=True)):
            row = {"layer": layer + 1, "num_units": (labels >= 0).sum(), "num_clusters": count, "ncut": ncut}
            agreement = {
                name: _agreement(labels, beside[name].hidden[layer]) if name in beside else None for name in others
            }
            yield plain_row(case._asdict() | row | agreement)


def _agreement(labels: np.ndarray, others: np.ndarray) -> float:
    """Adjusted Rand index of the units that both have a label of, to 4 digits."""
    both = (labels >= 0) & (others >= 0)
    return round(adjusted_rand(labels[both], others[both]), 4)


def _rounded(value: Any) -> Any:
    """Floats to 7 digits, which is what float32 sums are good for."""
    return float(f"{value:.7g}") if isinstance(value, float | np.floating) else value
