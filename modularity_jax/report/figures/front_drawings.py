"""Which small figures stand at the front of a report, by what a run holds."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modularity_jax.report.figures.drawn import Drawn
from modularity_jax.report.figures.front import (
    front_controls_figure,
    front_curve_figure,
    front_phases_figure,
    front_sweep_figure,
)
from modularity_jax.report.findings import control_name, lead_of, phase_name, summarise
from modularity_jax.runs.cluster_files import Group, group_of
from modularity_jax.runs.tables import Row


def front_drawings(
    rows: Sequence[Row], shuffled: Mapping[Group, np.ndarray], learning_curve: Sequence[Row]
) -> Iterator[Drawn]:
    """Networks against controls; n-cut along training, or at the ends of its phases; and z by number of modules.

    They speak of the last phase, and of the k of its first finding, as the answer above them does.
    """
    lead = lead_of(summarise(rows))
    last = [row for row in rows if row["phase"] == lead.phase]
    of_size = [row for row in last if row["num_clusters"] == lead.num_clusters and group_of(row) in shuffled]
    if of_size:
        yield Drawn(
            "front_controls",
            front_controls_figure(of_size, shuffled),
            f"n-cut of the {phase_name(lead.phase)} networks (dots, one per seed) and of their shuffled weights "
            f"(violins), k = {lead.num_clusters}, relative to each network's own controls.",
            "Dots under the violin are networks more modular than chance.",
        )
    yield from _along(rows, lead.num_clusters, lead.method, learning_curve)
    if len({row["num_clusters"] for row in last}) > 1:
        yield Drawn(
            "front_sweep",
            front_sweep_figure(last),
            f"Distance of the {phase_name(lead.phase)} networks from their controls by number of modules, mean and "
            "range over seeds.",
            "At 0 a network is no more modular than its shuffled weights.",
        )


def _along(rows: Sequence[Row], size: int, method: str, learning_curve: Sequence[Row]) -> Iterator[Drawn]:
    curve = [row for row in learning_curve if row["num_clusters"] == size]
    same = [row for row in rows if (row["num_clusters"], row["method"]) == (size, method)]
    if curve:
        yield Drawn(
            "front_curve",
            front_curve_figure(curve),
            f"n-cut at k = {size} and test accuracy along training; pruning is shaded.",
            "A fall in the shaded epochs is modularity that comes with pruning.",
        )
    elif len({row["phase"] for row in same}) > 1:
        yield Drawn(
            "front_phases",
            front_phases_figure(same),
            f"n-cut at k = {size} of every network at the end of each phase, and the mean of {control_name(method)}.",
            "Where the dots lie under the bar, the networks are more modular than their shuffled weights.",
        )
