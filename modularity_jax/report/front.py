"""The front of a report: which networks, the answer, three figures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from modularity_jax.report.findings import (
    ALPHA,
    Answer,
    Finding,
    Verdict,
    across_sentence,
    answer,
    is_significant,
    lead_of,
    numbers,
    signed,
)
from modularity_jax.report.page import Picture
from modularity_jax.report.run import Run
from modularity_jax.runs.stages.left_out import sentences
from modularity_jax.runs.tables import Row

_DATA_NAMES = {
    "digits": "Handwritten digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR-10 in grey",
    "lines": "Lines",
    "random": "Random pixels",
    "halves": "Two digits side by side, to be added",
    "halves_same": "Two digits of one class side by side",
}


class Front(NamedTuple):
    """What stands before the sections."""

    title: str
    setting: str  # one line: which networks these are
    answer: Answer
    facts: Sequence[tuple[str, str]]
    pictures: Sequence[Picture]


def make_front(run: Run) -> Front:
    """The question's answer: the leading finding, seed by seed and all seeds together, in numbers and small figures."""
    found = answer(run.findings)
    lead = lead_of(run.findings)
    if lead.num_seeds > 1:
        together = next(across for across in run.across if across[:3] == lead[:3])
        found = found._replace(paragraph=f"{across_sentence(together)} {numbers(lead)}")
        if lead.verdict is Verdict.NONE and is_significant(together.p_both):
            # Two tests that may part: few seeds need be significant by themselves where all lean one way.
            headline = (
                "Only together: all seeds combined are more modular than shuffled weights, too few by themselves."
            )
            found = found._replace(headline=headline)
    left_out = filter(None, (_left_out(run.metrics), *sentences(run.left_out), *run.caveats))
    found = found._replace(paragraph=" ".join([found.paragraph, *left_out]))
    return Front(_data_name(run.config), _setting_line(run), found, list(_facts(lead)), run.pictures["front"])


def _left_out(metrics: Sequence[Row]) -> str:
    """Which networks are missing, and since when; nothing where none is."""
    first: dict[int, Row] = {}
    for row in metrics:
        if row.get("nonfinite_step") is not None:
            first.setdefault(row["seed"], row)
    return " ".join(
        f"Seed {seed} is left out: its loss was not finite from step {row['nonfinite_step']} of the {row['phase']} "
        "phase on."
        for seed, row in sorted(first.items())
    )


def _data_name(config: Mapping[str, Any]) -> str:
    name = str(config.get("data", {}).get("name", "unknown data"))
    return _DATA_NAMES.get(name, name)


def _setting_line(run: Run) -> str:
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


def _facts(lead: Finding) -> Iterator[tuple[str, str]]:
    spread = f" ± {lead.ncut_std:.3f}" if lead.num_seeds > 1 else ""
    yield f"n-cut, k = {lead.num_clusters}, {lead.phase}", f"{lead.ncut_mean:.3f}{spread}"
    yield f"shuffled ({lead.method})", f"{lead.shuffled_mean:.3f}"
    yield "z-score, mean", signed(lead.z_mean)
    yield f"seeds with p ≤ {ALPHA:g}", f"{lead.num_significant} of {lead.num_seeds}"
    if lead.test_accuracy == lead.test_accuracy:
        yield "test accuracy", f"{lead.test_accuracy:.1%}"
