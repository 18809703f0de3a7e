"""The sections of a report.

A section is a function from a run and its findings to the values of `templates/sections/<name>.html`, or to None where
the run holds nothing for it; a new one is one more function in `SECTIONS`, and its template.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from modularity_jax.metric.measures import measure_of
from modularity_jax.report.findings import Findings
from modularity_jax.report.findings.audit import audit_findings, published_audit
from modularity_jax.report.findings.lesions import summarise_lesions
from modularity_jax.report.findings.specialisation import specialised
from modularity_jax.report.findings.sweep import effects
from modularity_jax.report.frames import KEYS, Run, lead_of, records, several
from modularity_jax.report.prose import signed
from modularity_jax.runs.tables import Row

Values = Mapping[str, Any]

_LESION_COLUMNS = [
    "seed", "layer", "cluster", "num_units", "share", "diff", "control_mean", "z_score", "p_value", "p_adjusted",
    "taxonomy", "taxonomy_adjusted",
]  # fmt: skip


def lead_rows(compared: pd.DataFrame) -> list[Row]:
    """The comparisons of the last phase at the k that the report leads with."""
    lead = lead_of(compared)
    return records(compared[(compared[KEYS[:-1]] == list(lead[:-1])).all(axis=1)])


def strength_rows(compared: pd.DataFrame) -> list[list[Row]]:
    """The leading comparisons with controls that keep strengths, and those with such that keep none."""
    lead = {row["method"]: row for row in lead_rows(compared)}
    kinds = ("strengths",) if "strengths" in lead else ("row", "column"), ("layer", "layer_nonzero")
    return [[lead[m] for m in kind if m in lead] for kind in kinds]


def _compared(found: Findings) -> Values:
    """The comparisons, each with its graph and its measure where there are several, and which way is modular."""
    names, rows = several(found.compared), records(found.compared)
    facts = [{"place": [row[name] for name in names], "higher": measure_of(row["measure"]).higher} for row in rows]
    return {"several": names, "compared": [row | own for row, own in zip(rows, facts, strict=True)]}


def _sweep(run: Run, found: Findings) -> Values | None:
    if not run.axes:
        return None
    rows, lead = records(effects(run)), run.lead
    names = ("graph", "num_clusters", "method")
    leading = [row for row in rows if all(row[name] == getattr(lead, name) for name in names)]
    shown = []
    for (axis, values), measure in itertools.product(run.axes.items(), run.sweep["measure"].cat.categories):
        of = {row["at"]: row for row in leading if (row["axis"], row["measure"]) == (axis, measure)}
        if values[0] in of and values[-1] in of:
            shown.append((of[values[-1]], of[values[0]], measure_of(measure).higher))
    here = ", ".join(f"{axis} {value:g}" for axis, value in run.own.items())
    return {"rows": rows, "lead": shown, "here": here, "score": run.score.replace("_", " ")}


def _seeds(run: Run, found: Findings) -> Values | None:
    if (found.compared["num_seeds"] == 1).all():
        return None
    return {"lead": lead_rows(found.compared), **_compared(found)}


def _strengths(run: Run, found: Findings) -> Values | None:
    """Of each phase and k, the comparisons by control."""
    methods = list(found.compared["method"].cat.categories)
    if len(methods) < 2:
        return None
    groups = run.leading(found.compared).groupby(["phase", "num_clusters"], observed=True)
    networks = [{row["method"]: row for row in records(group)} for _, group in groups]
    tested, others = strength_rows(found.compared)
    return {"tested": tested, "others": others, "methods": methods, "networks": networks}


def _lesions(run: Run, found: Findings) -> Values | None:
    if run.lesions.empty:
        return None
    summaries = summarise_lesions(run.lesions, run.double_lesions)
    per_layer = summaries["important"].astype(str) + " (" + summaries["important_per_layer"] + ")"
    shown = summaries.assign(important=per_layer).drop(columns="important_per_layer")
    return {
        "networks": records(summaries),
        "summaries": _frame_table(shown),
        "sub_modules": _frame_table(run.lesions[_LESION_COLUMNS]),
    }


def _specialisation(run: Run, found: Findings) -> Values | None:
    if run.specialisation.empty:
        return None
    every = specialised(run)
    last, most = every["phase"] == every["phase"].max(), every["num_shuffles"] == every["num_shuffles"].max()
    lead = every[last & most]
    by_place = [
        {"graph": graph, "scope": scope, "found": {row["statistic"]: row for row in records(rows)}}
        for (graph, scope), rows in lead.groupby(["graph", "scope"], observed=True, sort=False)
    ]
    return {"lead": by_place, "num_shuffles": int(every["num_shuffles"].max()), "rows": records(every)}


def _training(run: Run, found: Findings) -> Values | None:
    if run.metrics.empty:
        return None
    last = run.metrics.sort_values("epoch", kind="stable").drop_duplicates(["seed", "phase"], keep="last")
    return {"rows": _frame_table(_filled(last.sort_values(["phase", "seed"])))}


def _audit(run: Run, found: Findings) -> Values:
    here, study = audit_findings(found.audit), published_audit()
    tables = {"here_table": _frame_table(here), "study_table": _frame_table(study)}
    return {"here": records(here), "study": records(study)} | tables


def _repeat(run: Run, found: Findings) -> Values:
    seconds, compiled = (run.versions.get(name) or {} for name in ("stage_seconds", "compile_seconds"))
    hidden = ("command", "stage_seconds", "compile_seconds")
    shown = {key: value for key, value in run.versions.items() if key not in hidden}
    return {
        "command": run.versions.get("command") or "",
        "commit": run.versions.get("git_commit"),
        "times": [[stage, f"{value:.1f}", f"{compiled.get(stage, 0):.1f}"] for stage, value in seconds.items()],
        "versions": list(_settings(shown)),
        "settings": list(_settings(run.config)),
    }


def _filled(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that hold something: a regression has no accuracy."""
    return frame.dropna(axis="columns", how="all")


def _frame_table(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """A frame's columns and rows, numbers rounded as their column asks."""
    return list(frame), [[_cell(name, value) for name, value in row.items()] for row in records(frame)]


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if name.startswith("p_") else signed(value, 2 if name == "z_score" else 4)
    return "–" if value is None else str(value)


def _settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[list[str]]:
    """A nested mapping as lines of dotted name and value."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            yield [f"{prefix}{key}", "–" if shown is None else str(shown)]


# By name, which is the anchor, the template, and the key of the section's figures.
SECTIONS: Mapping[str, Callable[[Run, Findings], Values | None]] = {
    "result": lambda run, found: _compared(found),
    "sweep": _sweep,
    "seeds": _seeds,
    "strengths": _strengths,
    "modules": lambda run, found: {} if run.eigenvalues or run.network else None,
    "lesions": _lesions,
    "specialisation": _specialisation,
    "training": _training,
    "audit": _audit,
    "networks": lambda run, found: {
        "rows": _frame_table(_filled(run.tests.sort_values(["phase", "num_clusters", "seed"])))
    },
    "repeat": _repeat,
}
