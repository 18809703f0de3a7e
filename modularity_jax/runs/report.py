"""A run as one self-contained page: the answer first, then figures, tables and how to repeat it.

A section is a function from the run to a `Section`, or to None where the run holds nothing for it; a new one is one
more function in `_SECTIONS`.
"""

import base64
import importlib.resources
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jinja2

from modularity_jax.runs.figures import write_figures
from modularity_jax.runs.page import Picture, Section, rows_table, settings, table
from modularity_jax.runs.summary import (
    ALPHA,
    COLUMNS,
    LESION_HELP,
    Finding,
    answer,
    lesion_sentence,
    phase_rank,
    signed,
    summarise,
    summarise_lesions,
)
from modularity_jax.runs.tables import Row, atomic_write, read_json, read_table

_MAX_SVG_BYTES = 200_000  # larger drawings are embedded as PNG
_DATA_NAMES = {
    "digits": "Handwritten digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR-10 in grey",
    "lines": "Lines",
    "random": "Random pixels",
}
_LESION_COLUMNS = (
    "seed", "layer", "cluster", "num_units", "share", "diff", "control_mean", "z_score", "p_value", "p_adjusted",
    "taxonomy", "taxonomy_adjusted",
)  # fmt: skip


class Run(NamedTuple):
    """What the sections draw on."""

    config: Mapping[str, Any]
    versions: Mapping[str, Any]
    rows: Sequence[Row]
    metrics: Sequence[Row]
    lesions: Sequence[Row]
    double_lesions: Sequence[Row]
    findings: Sequence[Finding]
    pictures: Mapping[str, Picture]


def write_report(workdir: str | os.PathLike[str]) -> pathlib.Path:
    """Draws a run's figures and writes `report.html`, which needs no other file and no network.

    Args:
      workdir: a run's directory with at least `config.json` and `clusterability.csv`; what else is missing is left out.

    Returns:
      The page's path.

    Raises:
      FileNotFoundError: if one of the two is missing; the message names the command that makes it.
      ValueError: if a file is damaged.
    """
    run = _read(pathlib.Path(workdir))
    made = (section(run) for section in _SECTIONS)
    page = _template().render(
        title=_data_name(run.config),
        setting=_setting(run),
        answer=answer(run.findings),
        facts=_facts(run.findings),
        sections=[section for section in made if section],
        footer=f"Written by modularity_jax {run.versions.get('modularity_jax', '')}".strip() + ".",
    )
    path = pathlib.Path(workdir) / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _read(workdir: pathlib.Path) -> Run:
    rows = read_table(workdir, "clusterability.csv", COLUMNS)
    config = read_json(workdir, "config.json")
    versions = read_json(workdir, "versions.json") if (workdir / "versions.json").is_file() else {}
    names = ("metrics.csv", "lesions.csv", "double_lesions.csv")
    metrics, lesions, doubles = (read_table(workdir, n) if (workdir / n).is_file() else [] for n in names)
    figures = write_figures(workdir)
    pictures = {f.name: Picture(f.name, _data_uri(f.svg, f.png), f.caption, f.reading) for f in figures}
    return Run(config, versions, rows, metrics, lesions, doubles, summarise(rows), pictures)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["zip"] = lambda a, b: zip(a, b, strict=True)
    return environment.from_string(importlib.resources.files(__package__).joinpath("report.html").read_text("utf-8"))


def _data_uri(svg: pathlib.Path, png: pathlib.Path) -> str:
    small = svg.stat().st_size <= _MAX_SVG_BYTES
    content = base64.b64encode((svg if small else png).read_bytes()).decode("ascii")
    return f"data:image/{'svg+xml' if small else 'png'};base64,{content}"


def _data_name(config: Mapping[str, Any]) -> str:
    name = str(config.get("data", {}).get("name", "unknown data"))
    return _DATA_NAMES.get(name, name)


def _setting(run: Run) -> str:
    """One line that says which networks these are."""
    model, prune = run.config.get("model", {}), run.config.get("prune", {})
    seeds = len({row["seed"] for row in run.rows})
    parts = [_data_name(run.config)]
    if widths := model.get("widths"):
        parts.append("network " + "–".join(map(str, widths)))
    if rate := model.get("dropout_rate"):
        parts.append(f"dropout {rate:g}")
    if prune.get("epochs") and "final_sparsity" in prune:
        parts.append(f"{prune['final_sparsity']:.0%} of the weights pruned")
    return " · ".join([*parts, f"{seeds} seed{'s' if seeds > 1 else ''}"])


def _facts(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    lead = next(finding for finding in findings if finding.phase == findings[-1].phase)
    spread = f" ± {lead.ncut_std:.3f}" if lead.num_seeds > 1 else ""
    yield f"n-cut, k = {lead.num_clusters}, {lead.phase}", f"{lead.ncut_mean:.3f}{spread}"
    yield f"shuffled ({lead.method})", f"{lead.shuffled_mean:.3f}"
    yield "z-score, mean", signed(lead.z_mean)
    yield f"seeds with p ≤ {ALPHA:g}", f"{lead.num_significant} of {lead.num_seeds}"
    if lead.test_accuracy == lead.test_accuracy:
        yield "test accuracy", f"{lead.test_accuracy:.1%}"


def _result(run: Run) -> Section:
    names = "phase, k, control, verdict, n-cut, range, lower bound, shuffled, z, p, p ≤ .05, at floor"
    return Section(
        "result",
        "The result in numbers",
        [
            "n-cut is the share of each module's weight that leaves it, summed over the k modules: 0 for k networks "
            "without a connection, at most k. Shuffled is the mean n-cut of the same network after its weights were "
            "permuted as the control says and clustered again. z counts standard deviations of the shuffled n-cuts. p "
            "is one-sided, (1 + shuffles at or below the network) / (1 + shuffles), so no p is below "
            "1 / (1 + shuffles).",
            f"The verdict counts seeds with p at most {ALPHA:g}, and holds where chance alone would give as many in at "
            "most one run of twenty. It is not corrected for the number of rows in this table.",
        ],
        pictures=_pick(run, "controls"),
        tables=[table("Mean ± standard deviation over seeds.", names.split(", "), map(_finding_cells, run.findings))],
    )


def _finding_cells(finding: Finding) -> list[str]:
    one = finding.num_seeds == 1
    p_range = [f"{finding.p_min:.2g}"] + ([f"{finding.p_max:.2g}"] if finding.p_max > finding.p_min else [])
    return [
        finding.phase,
        str(finding.num_clusters),
        finding.method,
        finding.verdict.value,
        f"{finding.ncut_mean:.3f}" + ("" if one else f" ± {finding.ncut_std:.3f}"),
        "–" if one else f"{finding.ncut_min:.3f} – {finding.ncut_max:.3f}",
        f"{finding.lower_bound_mean:.3f}",
        f"{finding.shuffled_mean:.3f}",
        signed(finding.z_mean),
        " – ".join(p_range),
        f"{finding.num_significant} of {finding.num_seeds}",
        f"{finding.num_at_floor} of {finding.num_seeds}",
    ]


def _modules(run: Run) -> Section | None:
    names = [name for name in run.pictures if name.startswith("network_k")]
    pictures = _pick(run, *names, "shares", "eigenvalues")
    return Section("modules", "The modules", pictures=pictures) if pictures else None


def _lesions(run: Run) -> Section | None:
    if not run.lesions:
        return None
    phase = max((row["phase"] for row in run.lesions), key=phase_rank)
    summaries = summarise_lesions(
        [row for row in run.lesions if row["phase"] == phase],
        [row for row in run.double_lesions if row["phase"] == phase],
    )
    tables = [rows_table("Each network, counted as in the study.", [s._asdict() for s in summaries])]
    columns = [{name: row[name] for name in _LESION_COLUMNS} for row in run.lesions if row["phase"] == phase]
    tables.append(rows_table("One row per sub-module; lesions.csv has the rest, and accuracy by class.", columns))
    return Section(
        "lesions",
        "What each module does",
        [lesion_sentence(summaries), LESION_HELP],
        pictures=_pick(run, "lesions", "lesion_classes", "lesion_shares", "lesion_pairs", "dependencies"),
        tables=tables,
    )


def _training(run: Run) -> Section | None:
    if not run.metrics:
        return None
    last = {(row["seed"], row["phase"]): row for row in sorted(run.metrics, key=lambda row: row["epoch"])}
    keys = sorted(last, key=lambda key: (phase_rank(key[1]), key[0]))
    table = rows_table("After the last epoch of each phase.", [last[key] for key in keys])
    return Section("training", "Training", pictures=_pick(run, "learning_curve", "training"), tables=[table])


def _networks(run: Run) -> Section:
    rows = sorted(run.rows, key=lambda row: (phase_rank(row["phase"]), row["num_clusters"], row["seed"]))
    caption = "One row per network, number of modules and control, as in clusterability.csv."
    return Section("networks", "Every network", tables=[rows_table(caption, rows)])


def _repeat(run: Run) -> Section:
    command = run.versions.get("command") or ""
    commit = run.versions.get("git_commit")
    text = "This command makes the run again" if command else "No command was recorded for this run"
    text += f", from commit {commit} of the code." if commit else "; the commit of the code was not recorded."
    text += " With the same settings, versions and kind of device the numbers are the same."
    seconds, compiled = (run.versions.get(name) or {} for name in ("stage_seconds", "compile_seconds"))
    hidden = ("command", "stage_seconds", "compile_seconds")
    shown = {key: value for key, value in run.versions.items() if key not in hidden}
    times = ([stage, f"{value:.1f}", f"{compiled.get(stage, 0):.1f}"] for stage, value in seconds.items())
    tables = [
        table("Wall-clock of each stage.", ["stage", "seconds", "of which compilation"], times),
        table("Versions.", ["what", "version"], settings(shown)),
        table("Every setting, as in config.json.", ["setting", "value"], settings(run.config)),
    ]
    return Section("repeat", "How to repeat it", [text], command, tables=[t for t in tables if t.rows])


_SECTIONS: tuple[Callable[[Run], Section | None], ...] = (_result, _modules, _lesions, _training, _networks, _repeat)


def _pick(run: Run, *names: str) -> list[Picture]:
    return [run.pictures[name] for name in names if name in run.pictures]
