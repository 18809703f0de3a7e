"""The sections of a report.

A section is a function from the run to a `Section`, or to None where the run holds nothing for it; a new one is one
more function in `SECTIONS`.
"""

from collections.abc import Callable

from modularity_jax.report import statistics
from modularity_jax.report.findings import (
    ALPHA,
    LESION_HELP,
    Finding,
    lesion_sentence,
    phase_rank,
    signed,
    summarise_lesions,
)
from modularity_jax.report.page import Section, rows_table, settings, table
from modularity_jax.report.run import Run

_LESION_COLUMNS = (
    "seed", "layer", "cluster", "num_units", "share", "diff", "control_mean", "z_score", "p_value", "p_adjusted",
    "taxonomy", "taxonomy_adjusted",
)  # fmt: skip


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
        pictures=run.pictures["result"],
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
    pictures = run.pictures["modules"]
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
        pictures=run.pictures["lesions"],
        tables=tables,
    )


def _training(run: Run) -> Section | None:
    if not run.metrics:
        return None
    last = {(row["seed"], row["phase"]): row for row in sorted(run.metrics, key=lambda row: row["epoch"])}
    keys = sorted(last, key=lambda key: (phase_rank(key[1]), key[0]))
    table = rows_table("After the last epoch of each phase.", [last[key] for key in keys])
    return Section("training", "Training", pictures=run.pictures["training"], tables=[table])


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


SECTIONS: tuple[Callable[[Run], Section | None], ...] = (
    _result,
    statistics.across_seeds,
    statistics.controls_compared,
    _modules,
    _lesions,
    _training,
    statistics.audit,
    _networks,
    _repeat,
)
