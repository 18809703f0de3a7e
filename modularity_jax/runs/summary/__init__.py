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
from modularity_jax.runs.summary.lesions import (
    LESION_HELP,
    LesionSummary,
    joint_findings,
    lesion_sentence,
    summarise_lesions,
    undamaged_accuracy,
)
from modularity_jax.runs.summary.wording import Answer, answer, control_name, phase_name, sentence, signed

__all__ = [
    "ALPHA",
    "COLUMNS",
    "LESION_HELP",
    "PHASES",
    "Answer",
    "Finding",
    "LesionSummary",
    "Verdict",
    "answer",
    "chance_of_count",
    "control_name",
    "joint_findings",
    "lesion_sentence",
    "phase_name",
    "phase_rank",
    "sentence",
    "signed",
    "summarise",
    "summarise_lesions",
    "terminal_table",
    "undamaged_accuracy",
]
