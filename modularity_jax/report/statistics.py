"""The sections on statistics: all seeds together, the controls side by side, the audit of p-values."""

from collections.abc import Iterator

from modularity_jax.report.findings import (
    AcrossSeeds,
    Finding,
    across_sentence,
    audit_findings,
    audit_sentences,
    published_audit,
    published_sentences,
    signed,
    strength_sentence,
)
from modularity_jax.report.page import Section, Table, rows_table, table
from modularity_jax.report.run import Run


def across_seeds(run: Run) -> Section | None:
    """All seeds together; nothing to say of one."""
    if all(found.num_seeds == 1 for found in run.across):
        return None
    last = [found for found in run.across if found.phase == run.across[-1].phase]
    lead = [found for found in last if found.num_clusters == last[0].num_clusters]
    names = "phase, k, control, p ≤ .05, share, Stouffer, Fisher, upper tail, n-cut lower by, d_MAD, Cohen's d"
    return Section(
        "seeds",
        "All seeds together",
        [
            *map(across_sentence, lead),
            "Each seed's p-value comes from its own controls, so the seeds are independent tests of one claim. "
            "Stouffer's method weighs all alike, Fisher's can be carried by a few small ones. Intervals are at 95%: "
            "exact binomial for the share of significant seeds, bootstrap over seeds for the effects. d_MAD is the "
            "median over seeds of (controls' median − n-cut) / MAD; Cohen's d sets the n-cuts of the seeds against "
            "the means of their controls, in standard deviations over seeds. across_seeds.csv has more digits.",
        ],
        tables=[table("Positive effects: more modular.", names.split(", "), map(_across_cells, run.across))],
    )


def controls_compared(run: Run) -> Section | None:
    """The controls side by side, and the answer for a referee where strengths were kept."""
    methods = list(dict.fromkeys(finding.method for finding in run.findings))
    if len(methods) < 2:
        return None
    strength = strength_sentence(run.across)
    return Section(
        "strengths",
        "Beyond the neurons' strengths?" if strength else "The controls side by side",
        [
            *([strength] if strength else []),
            "layer permutes all weights of a layer; layer_nonzero only the non-zero ones, so that the places of the "
            "pruned ones stay; row and column permute within each neuron's outgoing or incoming weights, so that their "
            "sum, the neuron's strength on that side, stays. A network that is as modular as such a control owes its "
            "modularity to what the control keeps.",
        ],
        tables=[_side_by_side(run, methods)],
    )


def audit(run: Run) -> Section:
    """How much hangs on the way a p-value is counted, here and in the study."""
    study = published_audit()
    tables = [rows_table("The study's trainings at the smallest p, as printed and with each control once.", study)]
    here = audit_findings(run.audit)
    if here:
        caption = "This run: seeds significant at .05 by each way of counting; audit.csv has every network."
        tables.insert(0, rows_table(caption, here))
    return Section(
        "audit",
        "Audit of the p-values",
        [
            "How a p-value is counted can decide a verdict: whether controls are distinct, whether a control as low as "
            "the network counts (ties), whether one side is looked at or both.",
            *([f"This run. {' '.join(audit_sentences(here))}"] if here else []),
            "The study. The 320 controls behind the p-values of arXiv 2003.04881 are 32 distinct ones counted ten "
            "times, since its worker processes were forked with one random state. "
            f"{' '.join(published_sentences(study))}",
        ],
        tables=tables,
    )


def _across_cells(found: AcrossSeeds) -> list[str]:
    return [
        found.phase,
        str(found.num_clusters),
        found.method,
        f"{found.num_significant} of {found.num_seeds}",
        f"{found.share_low:.0%} – {found.share_high:.0%}",
        f"{found.p_stouffer:.2g}",
        f"{found.p_fisher:.2g}",
        f"{found.p_stouffer_upper:.2g}",
        _effect(_negative(found.percent), _negative(found.percent_high), _negative(found.percent_low), "%"),
        _effect(found.effect_size, found.effect_size_low, found.effect_size_high),
        _effect(found.cohens_d, found.cohens_d_low, found.cohens_d_high),
    ]


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _effect(value: float | None, low: float | None, high: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    interval = "" if low is None or high is None else f" ({signed(low)} – {signed(high)})"
    return f"{signed(value)}{unit}{interval}"


def _side_by_side(run: Run, methods: list[str]) -> Table:
    """A row per phase and k; for each control its mean n-cut, z and the seeds significant against it."""
    names = ["phase", "k", "n-cut", *(f"{method}: {what}" for method in methods for what in ("n-cut", "z", "p ≤ .05"))]
    groups = dict.fromkeys((finding.phase, finding.num_clusters) for finding in run.findings)
    rows = (list(_compared(run, *group, methods)) for group in groups)
    return table("Networks and controls, means over seeds.", names, rows)


def _compared(run: Run, phase: str, num_clusters: int, methods: list[str]) -> Iterator[str]:
    by_method: dict[str, Finding] = {f.method: f for f in run.findings if f[:2] == (phase, num_clusters)}
    yield from (phase, str(num_clusters), f"{next(iter(by_method.values())).ncut_mean:.3f}")
    for method in methods:
        if found := by_method.get(method):
            yield from (f"{found.shuffled_mean:.3f}", signed(found.z_mean))
            yield f"{found.num_significant} of {found.num_seeds}"
        else:
            yield from ("–", "–", "–")
