"""What a report draws on, read from a workdir."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from modularity_jax.report import frames
from modularity_jax.report.findings import AcrossSeeds, Finding, audit_run, caveats, combine_seeds, summarise
from modularity_jax.report.frames import records
from modularity_jax.report.page import Picture
from modularity_jax.runs.tables import Row


class Run(NamedTuple):
    """What the sections draw on."""

    config: Mapping[str, Any]
    versions: Mapping[str, Any]
    rows: Sequence[Row]
    metrics: Sequence[Row]
    lesions: Sequence[Row]
    double_lesions: Sequence[Row]
    left_out: Sequence[Row]
    caveats: Sequence[str]  # what weakens the tests
    findings: Sequence[Finding]
    across: Sequence[AcrossSeeds]  # one for each finding
    audit: Sequence[Row]  # the p-values of the rows whose controls are at hand, by several ways of counting
    pictures: Mapping[str, Sequence[Picture]]  # by section


def read_run(workdir: str | os.PathLike[str]) -> Run:
    """Reads a run and draws its figures."""
    run = frames.read_run(workdir)
    everything = records(run.clusterability)
    rows = records(run.tests)
    if not rows:
        raise ValueError(f"{workdir} holds no test with a p: {' '.join(caveats(everything))}")
    names = ("metrics", "lesions", "double_lesions", "left_out")
    tables: list[Any] = [records(getattr(run, name)) for name in names]
    audit = audit_run(rows, run.shuffled)
    made: list[Any] = [caveats(everything), summarise(rows), combine_seeds(rows), audit, _draw(run)]
    return Run(run.config, run.versions, rows, *tables, *made)


def _draw(run: frames.Run) -> dict[str, list[Picture]]:
    """Only this needs matplotlib, so it is imported here; and under an empty file of settings, the first that it looks
    for, because one of the user's that is damaged would end the import.
    """
    if "matplotlib" not in sys.modules:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            pathlib.Path("matplotlibrc").touch()
            import matplotlib  # noqa: F401
    from modularity_jax.report.figures import write_figures

    return {
        section: [Picture(p.name, p.source, p.caption, p.reading) for p in pictures]
        for section, pictures in write_figures(run).items()
    }
