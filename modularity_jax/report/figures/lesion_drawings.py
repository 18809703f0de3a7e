"""The figures of a run's lesions."""

import pathlib
from collections.abc import Iterator

from modularity_jax.report.figures.drawn import Drawn, holds
from modularity_jax.report.figures.lesion_pairs import dependency_figure, lesion_pairs_figure
from modularity_jax.report.figures.lesions import lesion_classes_figure, lesion_shares_figure, lesions_figure
from modularity_jax.report.findings import phase_name, phase_rank
from modularity_jax.runs.tables import read_arrays, read_table


def lesion_drawings(workdir: pathlib.Path) -> Iterator[Drawn]:
    """Lesions of the first seed of the last phase that has any; the shares of all seeds."""
    if not holds(workdir, "lesions.csv") or not (rows := read_table(workdir, "lesions.csv")):
        return
    phase = max((row["phase"] for row in rows), key=phase_rank)
    of_phase = [row for row in rows if row["phase"] == phase]
    seed = min(row["seed"] for row in of_phase)
    singles = [row for row in of_phase if row["seed"] == seed]
    network, networks = f"{phase_name(phase)} network, seed {seed}", f"{phase_name(phase)} networks, all seeds"
    prefix = f"seed_{seed}/k_{singles[0]['num_clusters']}/"
    arrays = read_arrays(workdir, f"lesions/{phase}.npz", prefix) if holds(workdir, f"lesions/{phase}.npz") else {}
    if f"{prefix}single/control_accuracy" in arrays:
        yield Drawn(
            "lesions",
            lesions_figure(
                singles,
                arrays[f"{prefix}single/control_accuracy"],
                float(arrays[f"{prefix}single/undamaged"]),
                network=network,
            ),
            f"Test accuracy of the {network} with each sub-module damaged (large dot) and with as many random neurons "
            "of its layer damaged (small dots).",
            "A large dot far below its cloud marks neurons that matter more than others of their layer; below the "
            "dotted line more than one point is lost. The scale is linear up to one point and logarithmic beyond.",
        )
        yield Drawn(
            "lesion_classes",
            lesion_classes_figure(singles, arrays[f"{prefix}single/control_accuracy_by_class"], network=network),
            f"Accuracy on each class with one sub-module of the {network} damaged: the sub-module (dot) and the range "
            "of its controls (bar).",
            "A red dot lies below all controls: the sub-module serves that class. Titles give layer.cluster and the "
            "number of neurons, in orange where the sub-module is important.",
        )
    yield Drawn(
        "lesion_shares",
        lesion_shares_figure(of_phase, network=networks),
        "Change of test accuracy against the share of its layer that a sub-module takes, coloured by the study's "
        "words.",
        "If only size mattered, dots would fall along one curve; important sub-modules lie below it. At the right, p "
        "is corrected for the number of sub-modules of a network.",
    )
    doubles = read_table(workdir, "double_lesions.csv") if holds(workdir, "double_lesions.csv") else []
    pairs = [row for row in doubles if (row["phase"], row["seed"]) == (phase, seed)]
    if pairs:
        yield Drawn(
            "lesion_pairs",
            lesion_pairs_figure(singles, pairs, network=network),
            f"Accuracy lost by damaging two sub-modules of the {network}: together, and one given the other.",
            "A dot marks an important pair by the study's p, a ring one that stays so when p is corrected for all "
            "pairs. A pale row in the right-hand matrix is a sub-module that never adds to another's loss.",
        )
    important = any(row["taxonomy"] == "important" for row in singles)
    if important and any(row["kind"] == "conditional" for row in pairs):
        yield Drawn(
            "dependencies",
            dependency_figure(singles, pairs, network=network),
            f"The dependency graph of the {network}: important sub-modules, and an arrow from a to b where a is no "
            "longer important once b is damaged.",
            "Arrows between layers suggest a path along which one sub-module works through another.",
        )
