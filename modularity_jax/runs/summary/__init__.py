"""A run's findings over seeds, as numbers and as sentences."""

from modularity_jax.runs.summary.findings import (
    ALPHA,
    COLUMNS,
    PHASES,
    Finding,
    Verdict,
    chance_of_count,
    phase_rank,
    summarise,
    terminal_table,
)
from modularity_jax.runs.summary.wording import Answer, answer, control_name, phase_name, sentence, signed

__all__ = [
    "ALPHA",
    "COLUMNS",
    "PHASES",
    "Answer",
    "Finding",
    "Verdict",
    "answer",
    "chance_of_count",
    "control_name",
    "phase_name",
    "phase_rank",
    "sentence",
    "signed",
    "summarise",
    "terminal_table",
]
