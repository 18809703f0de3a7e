"""A run's findings over seeds, as numbers and as sentences."""

from modularity_jax.report.findings.across_seeds import ACROSS_COLUMNS, AcrossSeeds, combine_seeds
from modularity_jax.report.findings.across_wording import across_sentence, strength_sentence
from modularity_jax.report.findings.audit import AUDIT_COLUMNS, audit_findings, audit_run, published_audit
from modularity_jax.report.findings.audit_wording import audit_sentences, published_sentences
from modularity_jax.report.findings.caveats import caveats
from modularity_jax.report.findings.findings import (
    ALPHA,
    COLUMNS,
    PHASES,
    Finding,
    Verdict,
    chance_of_count,
    is_significant,
    phase_rank,
    summarise,
    terminal_table,
)
from modularity_jax.report.findings.lesions import (
    LESION_HELP,
    LesionSummary,
    joint_findings,
    lesion_sentence,
    summarise_lesions,
    undamaged_accuracy,
)
from modularity_jax.report.findings.wording import (
    Answer,
    answer,
    control_name,
    lead_of,
    numbers,
    phase_name,
    sentence,
    signed,
)

__all__ = [
    "ACROSS_COLUMNS",
    "ALPHA",
    "AUDIT_COLUMNS",
    "COLUMNS",
    "LESION_HELP",
    "PHASES",
    "AcrossSeeds",
    "Answer",
    "Finding",
    "LesionSummary",
    "Verdict",
    "across_sentence",
    "answer",
    "audit_findings",
    "audit_run",
    "audit_sentences",
    "caveats",
    "chance_of_count",
    "combine_seeds",
    "control_name",
    "is_significant",
    "joint_findings",
    "lead_of",
    "lesion_sentence",
    "numbers",
    "phase_name",
    "phase_rank",
    "published_audit",
    "published_sentences",
    "sentence",
    "signed",
    "strength_sentence",
    "summarise",
    "summarise_lesions",
    "terminal_table",
    "undamaged_accuracy",
]
