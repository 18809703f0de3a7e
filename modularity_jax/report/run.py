"""What a report draws on, read from a workdir."""

import base64
import contextlib
import os
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from modularity_jax.report.findings import COLUMNS, AcrossSeeds, Finding, audit_run, caveats, combine_seeds, summarise
from modularity_jax.report.page import Picture
from modularity_jax.runs.cluster_files import read_clusters, shuffled_ncuts, with_p
from modularity_jax.runs.tables import Row, read_json, read_table

_MAX_SVG_BYTES = 200_000  # larger drawings are embedded as PNG


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
    pictures: Mapping[str, Picture]


def read_run(workdir: str | os.PathLike[str]) -> Run:
    """Reads a run's tables and draws its figures.

    Raises:
      FileNotFoundError: if `config.json` or `clusterability.csv` is missing.
      ValueError: if a file is damaged.
    """
    workdir = pathlib.Path(workdir)
    tests = read_table(workdir, "clusterability.csv", COLUMNS)
    rows = with_p(tests)
    if tests and not rows:
        raise ValueError(f"{workdir} holds no test with a p: {' '.join(caveats(tests))}")
    config = read_json(workdir, "config.json")
    versions = read_json(workdir, "versions.json") if (workdir / "versions.json").is_file() else {}
    names = ("metrics.csv", "lesions.csv", "double_lesions.csv", "left_out.csv")
    metrics, lesions, doubles, left_out = (read_table(workdir, n) if (workdir / n).is_file() else [] for n in names)
    audit = audit_run(rows, shuffled_ncuts(rows, read_clusters(workdir, sorted({row["phase"] for row in rows}))))
    pictures = _draw(workdir)
    tables = rows, metrics, lesions, doubles, left_out, caveats(tests)
    return Run(config, versions, *tables, summarise(rows), combine_seeds(rows), audit, pictures)


def _draw(workdir: pathlib.Path) -> dict[str, Picture]:
    """Only this needs matplotlib, so it is imported here; and under an empty file of settings, the first that it looks
    for, because one of the user's that is damaged would end the import.
    """
    if "matplotlib" not in sys.modules:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            pathlib.Path("matplotlibrc").touch()
            import matplotlib  # noqa: F401
    from modularity_jax.report.figures import write_figures

    return {f.name: Picture(f.name, _data_uri(f.svg, f.png), f.caption, f.reading) for f in write_figures(workdir)}


def _data_uri(svg: pathlib.Path, png: pathlib.Path) -> str:
    small = svg.stat().st_size <= _MAX_SVG_BYTES
    content = base64.b64encode((svg if small else png).read_bytes()).decode("ascii")
    return f"data:image/{'svg+xml' if small else 'png'};base64,{content}"
