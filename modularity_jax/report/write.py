"""The page: the front, then a section for each part of the run."""

import importlib.resources
import os
import pathlib

import jinja2

from modularity_jax.report.findings import ACROSS_COLUMNS, AUDIT_COLUMNS
from modularity_jax.report.front import make_front
from modularity_jax.report.run import read_run
from modularity_jax.report.sections import SECTIONS
from modularity_jax.runs.tables import atomic_write, write_csv


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Draws a run's figures and writes `across_seeds.csv`, `audit.csv` and `report.html`, which needs no other file.

    Args:
      workdir: a run's directory with at least `config.json` and `clusterability.csv`; what else is missing is left out.

    Returns:
      The page's path.

    Raises:
      FileNotFoundError: if one of the two is missing; the message names the command that makes it.
      ValueError: if a file is damaged.
    """
    run = read_run(workdir)
    write_csv(pathlib.Path(workdir) / "across_seeds.csv", [across._asdict() for across in run.across], ACROSS_COLUMNS)
    if run.audit:
        write_csv(pathlib.Path(workdir) / "audit.csv", run.audit, AUDIT_COLUMNS)
    made = (section(run) for section in SECTIONS)
    page = _template().render(
        front=make_front(run),
        sections=[section for section in made if section],
        footer=f"Written by modularity_jax {run.versions.get('modularity_jax', '')}".strip() + ".",
    )
    path = pathlib.Path(workdir) / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["zip"] = lambda a, b: zip(a, b, strict=True)
    return environment.from_string(importlib.resources.files(__package__).joinpath("report.html").read_text("utf-8"))
