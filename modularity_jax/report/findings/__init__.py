"""A run's findings over seeds: frames of numbers."""

from typing import NamedTuple

import pandas as pd

from modularity_jax.report.findings.audit import audit_run
from modularity_jax.report.findings.caveats import caveats
from modularity_jax.report.findings.comparisons import compare
from modularity_jax.report.frames import Run


class Findings(NamedTuple):
    """What a run's tests come to."""

    compared: pd.DataFrame  # see `compare`
    audit: pd.DataFrame  # see `audit_run`
    caveats: list[str]  # what weakens the tests


def find(run: Run) -> Findings:
    """The findings of a run.

    Raises:
      ValueError: if no test has a p, or what `compare` and `audit_run` refuse.
    """
    weak = caveats(run.clusterability)
    if run.tests.empty and not run.clusterability.empty:
        raise ValueError(f"{run.workdir} holds no test with a p: {' '.join(weak)}")
    return Findings(compare(run.tests), audit_run(run), weak)
