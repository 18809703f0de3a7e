"""The page: the front, then a section for each part of the run."""

import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from modularity_jax.report.findings import Findings, find
from modularity_jax.report.findings.across_seeds import ACROSS_COLUMNS
from modularity_jax.report.findings.audit import AUDIT_COLUMNS
from modularity_jax.report.frames import KEYS, Run, lead_of, other_settings, read_run, records
from modularity_jax.report.prose import environment
from modularity_jax.report.sections import SECTIONS
from modularity_jax.runs.stages.left_out import sentences
from modularity_jax.runs.tables import atomic_write, write_csv


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Draws a run's figures and writes `across_seeds.csv`, `audit.csv` and `report.html`, which needs no other file.

    Raises:
      FileNotFoundError: if `config.json` or `clusterability.csv` is missing; the message names the command that makes
        it. What else is missing is left out.
      ValueError: if a file is damaged.
    """
    run = read_run(workdir)
    return write_page(run, find(run))


def write_page(run: Run, found: Findings) -> pathlib.Path:
    """`write_report` for a run that is read already."""
    every = [(run, found), *((other, find(other)) for other in other_settings(run))]
    across = [own.own | row for own, its in every for row in records(its.compared[list(ACROSS_COLUMNS)])]
    write_csv(run.workdir / "across_seeds.csv", across, (*run.axes, *ACROSS_COLUMNS))
    if not found.audit.empty:
        audit = [own.own | row for own, its in every for row in records(its.audit)]
        write_csv(run.workdir / "audit.csv", audit, (*run.axes, *AUDIT_COLUMNS))
    pictures, templates, sections = _draw(run), environment(escaped=True), []
    for name, section in SECTIONS.items():
        values = section(run, found)
        if values is not None:
            template = templates.get_template(f"sections/{name}.html")
            made: Any = template.make_module({"pictures": pictures.get(name, ()), **values})
            sections.append({"name": name, "title": made.title, "body": str(made)})
    front = _front(run, found)
    text = templates.get_template("page.html").render(front, pictures=pictures["front"], sections=sections)
    path = run.workdir / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _front(run: Run, found: Findings) -> dict[str, Any]:
    """The leading comparison, and beside it the other controls, then numbers of clusters, then phases."""
    shown = found.compared[found.compared["front"]]
    place = dict(zip(KEYS, lead_of(shown), strict=True))
    apart = {f"other_{key}": shown[key] != value for key, value in place.items()}
    rows = records(shown.assign(**apart).sort_values(list(apart), kind="stable")[list(shown)])
    broken = run.metrics.reindex(columns=["seed", "phase", "nonfinite_step"]).dropna().drop_duplicates("seed")
    return {
        "config": run.config,
        "axes": list(run.axes),
        "version": run.versions.get("modularity_jax", ""),
        "num_seeds": run.tests["seed"].nunique(),
        "lead": rows[0],
        "last": [row for row in rows if row["phase"] == place["phase"]],
        "beside": rows[1:],
        "not_finite": records(broken.sort_values("seed")),
        "caveats": [*sentences(records(run.left_out)), *found.caveats],
    }


def _draw(run: Run) -> Mapping[str, Any]:
    # Only this needs matplotlib. It is imported under an empty file of settings, the first that it looks for, because
    # one of the user's that is damaged would end the import.
    if "matplotlib" not in sys.modules:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            pathlib.Path("matplotlibrc").touch()
            import matplotlib  # noqa: F401
    from modularity_jax.report.figures import write_figures

    return write_figures(run)
