"""A run's comparisons as text for a terminal."""

import pandas as pd

from modularity_jax.report.findings.comparisons import Verdict
from modularity_jax.report.findings.significance import ALPHA
from modularity_jax.report.frames import records, several
from modularity_jax.runs.tables import Row

_HEADER = ("phase", "k", "control", "n-cut", "shuffled", "z", "p", f"p <= {ALPHA:g}", "modular?")
_LEFT = ("graph", "measure", "phase", "control", "modular?")
_WORDS = {Verdict.MORE: "more", Verdict.LESS: "less", Verdict.NONE: "not shown", Verdict.TOO_FEW_SHUFFLES: "open"}


def terminal_table(compared: pd.DataFrame) -> str:
    """What `comparison_table` returned as aligned text: a header, a line for each comparison, a legend.

    No line has more than 100 characters where the controls have short names.
    """
    named = several(compared)
    header = (*named, *("value" if name == "n-cut" and "measure" in named else name for name in _HEADER))
    lines = [header, *((*(row[name] for name in named), *_cells(row)) for row in records(compared))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    sides = [str.ljust if column in _LEFT else str.rjust for column in header]
    text = ["  ".join(side(*cell) for side, *cell in zip(sides, line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "-" * max(map(len, text)))
    value = header[len(named) + 3]
    legend = "mean ± sd over seeds; p: of all seeds (Stouffer), corrected (Holm) where it makes a verdict,"
    text.append(f"{value}: {legend}")
    text.append(f"in brackets where it does not; p <= {ALPHA:g}: seeds on their own; open: too few shuffles to tell")
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    p_value = row["p_holm_upper" if row["verdict"] == Verdict.LESS else "p_holm" if row["front"] else "p_stouffer"]
    return (
        row["phase"],
        str(row["num_clusters"]),
        row["method"],
        f"{row['ncut_mean']:.3f}" + ("" if row["ncut_std"] is None else f" ± {row['ncut_std']:.3f}"),
        f"{row['shuffled_mean']:.3f}",
        "–" if row["z_mean"] is None else f"{round(row['z_mean'], 1) + 0.0:.1f}",
        f"{p_value:.2g}" if row["front"] else f"({p_value:.2g})",
        f"{row['num_significant']} of {row['num_seeds']}",
        _WORDS.get(row["verdict"], ""),
    )
