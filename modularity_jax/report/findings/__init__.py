"""A run's findings over seeds: frames of numbers, and sentences on what weakens them."""

from typing import NamedTuple

import pandas as pd

from modularity_jax.report.findings.audit import audit_run
from modularity_jax.report.findings.comparisons import comparison_table
from modularity_jax.report.frames import KEYS, Run
from modularity_jax.report.prose import say


class Findings(NamedTuple):
    """What a run's tests come to."""

    compared: pd.DataFrame  # see `comparison_table`
    audit: pd.DataFrame  # see `audit_run`
    caveats: list[str]  # what weakens the tests, and how much of the partitions is depth


def find(run: Run) -> Findings:
    """The findings of a run; ValueError if no test has a p, and where `comparison_table` and `audit_run` refuse."""
    weak = caveats(run.clusterability)
    if run.tests.empty and not run.clusterability.empty:
        raise ValueError(f"{run.workdir} holds no test with a p: {' '.join(weak)}")
    return Findings(comparison_table(run.tests), audit_run(run), weak + depths(run.clusterability))


def caveats(clusterability: pd.DataFrame) -> list[str]:
    """On controls that could not be compared, and eigenvectors that did not converge, tests without a p included."""
    sentences = []
    for key, rows in clusterability.groupby(KEYS, observed=True):
        left_out, unsure = rows[rows["num_left_out"] > 0], rows[rows["converged"].eq(False).fillna(False)]
        if not left_out.empty:
            counts = left_out["num_left_out"]
            without = left_out.loc[left_out["p_value"].isna(), "seed"]
            count = "–".join(dict.fromkeys((str(counts.min()), str(counts.max()))))
            of = left_out["num_shuffles"].iloc[0]
            sentences.append(say("left_out_controls", key, count, of, list(left_out["seed"]), list(without)))
        if not unsure.empty:
            sentences.append(say("not_converged", key, list(unsure["seed"])))
    return sentences


def depths(clusterability: pd.DataFrame) -> list[str]:
    """How much of the last phase's partitions is depth; nothing where that is not known."""
    last = clusterability[clusterability["phase"] == clusterability["phase"].max()].dropna(subset="depth_share")
    means = last.groupby(KEYS[:-1], observed=True)["depth_share"].mean()
    return [say("depths", [(*key, share) for key, share in means.items()])] if len(means) else []
