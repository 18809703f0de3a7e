"""Whether a run's partitionings pick out units that matter together and specialise: all networks of one together."""

from typing import Any

import numpy as np
import pandas as pd

from modularity_jax.metric.combining import combine_p_values
from modularity_jax.metric.multiple_testing import benjamini_hochberg
from modularity_jax.report.frames import Run

ALPHA = 0.05
PLACE = ["phase", "graph", "scope", "statistic", "num_shuffles"]
SPECIALISATION_COLUMNS = (
    *PLACE, "num_seeds", "significant", "p_value", "passes", "p_published", "median_effect", "num_effects", "num_na",
)  # fmt: skip


def specialised(run: Run) -> pd.DataFrame:
    """A row for each partitioning, statistic and number of controls, of the networks that have a test.

    - significant: networks whose own p, of all their sub-modules together, is at most .05; p_value combines the
      networks' by Stouffer, and passes is whether it is among those of all rows with as many controls that a false
      discovery rate of .05 lets through (Benjamini and Hochberg).
    - p_published: as 2110.08058 has it, Fisher's p of each network, as if sub-modules were independent, and the
      quantile of their mean.
    - median_effect: of all sub-modules of all networks; num_effects have one, num_na were tested and have none.
    """
    rows = []
    effects = _effects(run.submodules)
    for place, own in run.specialisation.groupby(PLACE, observed=True, sort=False):
        phase, graph, scope, statistic, count = place
        known = own.dropna(subset="p_network")
        here = effects[(effects[["phase", "graph", "scope"]] == [phase, graph, scope]).all(axis=1)][statistic].dropna()
        given: dict[str, Any] = {"num_shuffles": int(count)}
        rows.append(
            dict(zip(PLACE, place, strict=True))
            | {
                "num_seeds": len(known),
                "significant": int((known["p_network"] <= ALPHA + 1e-9).sum()),
                "p_value": combine_p_values(known["p_network"].to_numpy(), **given),
                "p_published": combine_p_values(known["p_fisher"].to_numpy(), **given, method="irwin_hall"),
                "median_effect": float(here.median()) if len(here) else np.nan,
                "num_effects": len(here),
                "num_na": int(own["num_na"].sum()),
            }
        )
    found = pd.DataFrame(rows)
    limits = {
        count: benjamini_hochberg(own["p_value"].to_numpy(), ALPHA) for count, own in found.groupby("num_shuffles")
    }
    limit = found["num_shuffles"].map({count: -1.0 if limit is None else limit for count, limit in limits.items()})
    return found.assign(passes=found["p_value"] <= limit)[list(SPECIALISATION_COLUMNS)]


def agreements(run: Run) -> pd.DataFrame:
    """Mean adjusted Rand index of each two partitionings, over networks and hidden layers; one by the other's name."""
    found = run.partitionings
    names = [name for name in found if name.startswith("ari_")]
    means = found.groupby(["graph", "scope"], observed=True, sort=False)[names].mean()
    means.index = pd.Index([f"{graph}, {scope}" for graph, scope in means.index])
    return means.set_axis(list(means.index), axis="columns")


def _effects(submodules: pd.DataFrame) -> pd.DataFrame:
    """Effects of each sub-module by its partitioning, a column for each statistic."""
    kept = ["phase", "graph", "scope", *(name for name in submodules if name.endswith("_effect"))]
    return submodules[kept].rename(columns=lambda name: name.removesuffix("_effect"))
