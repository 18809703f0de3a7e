"""What a sweep's settings do to modularity: differences between networks of the same seeds."""

import math

import numpy as np
import pandas as pd
import scipy.stats

from modularity_jax.report.findings.across_seeds import CONFIDENCE
from modularity_jax.report.frames import KEYS, Run

_MEANS = {"value": "observed", "controls": "shuffled_mean", "z": "z_score", "distance": "distance"}


def effects(run: Run) -> pd.DataFrame:
    """Of the last phase, a row for each swept setting, its values, and the other keys of a comparison.

    - value, controls, z, score: means over all networks with that value, whatever they have of other settings.
    - distance: the mean of value minus controls.
    - change: what the distance is more than at the first value, in networks that are the same otherwise, with
      Student's interval of the mean over seeds from change_low to change_high; nan at the first value, and the interval
      with a single seed.
    """
    tests = run.sweep[run.sweep["phase"] == run.sweep["phase"].max()]
    tests = tests.assign(trained_as=tests["seed"] % run.config["train"]["num_seeds"])
    tests["distance"] = tests["observed"] - tests["shuffled_mean"]
    rows, columns = [], _MEANS | {"score": run.score}
    for axis, values in run.axes.items():
        others = [*(name for name in run.axes if name != axis), "trained_as"]
        for key, group in tests.groupby(KEYS, observed=True):
            first = group[group[axis] == values[0]].set_index(others)["distance"]
            for value in values:
                own = group[group[axis] == value]
                changes = (own.set_index(others)["distance"] - first).groupby("trained_as").mean().dropna().to_numpy()
                means = {name: float(own[column].mean()) for name, column in columns.items()}
                place = {"axis": axis, "at": value, **dict(zip(KEYS, key, strict=True))}
                rows.append(place | means | _change(changes if value != values[0] else np.empty(0)))
    return pd.DataFrame(rows)


def _change(changes: np.ndarray) -> dict[str, float]:
    """The mean of changes [S] with its interval."""
    mean = float(changes.mean()) if changes.size else math.nan
    low, high = math.nan, math.nan
    if changes.size > 1:
        error = float(changes.std(ddof=1)) / math.sqrt(changes.size)
        reach = scipy.stats.t.isf((1 - CONFIDENCE) / 2, changes.size - 1) * error
        low, high = mean - reach, mean + reach
    return {"change": mean, "change_low": low, "change_high": high}
