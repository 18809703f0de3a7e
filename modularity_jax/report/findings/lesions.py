"""What a run's lesions come to: the study's counts, network by network, and a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]

LESION_HELP = (
    "A sub-module is the set of one module's neurons in one hidden layer; damaged, they are silent. A control damages "
    "as many random neurons of the layer. Important, in the study's words: more than 12 neurons, accuracy below that "
    "with every control, and at least one point of it lost. p counts ties; p_adjusted corrects it for all sub-modules "
    "of the network, so that a single false one among them has a chance of at most 5%. A pair is important by the same "
    "rule; for a given b, what counts is the accuracy that damaging a adds to the loss."
)


class LesionSummary(NamedTuple):
    """One network; pairs are counted as important of all."""

    seed: int
    undamaged: float
    sub_modules: int
    per_layer: str
    important: str  # and per layer
    important_adjusted: int
    small: int
    joint_pairs: str  # important with important, mixed, others
    conditional_pairs: str


def summarise_lesions(singles: Sequence[Row], doubles: Sequence[Row]) -> list[LesionSummary]:
    """A summary of each seed of one phase.

    Args:
      singles: rows of `lesions.csv`.
      doubles: rows of `double_lesions.csv`, or none.
    """
    seeds = sorted({row["seed"] for row in singles})
    return [
        _summary(seed, [r for r in singles if r["seed"] == seed], [r for r in doubles if r["seed"] == seed])
        for seed in seeds
    ]


def lesion_sentence(summaries: Sequence[LesionSummary]) -> str:
    """How many sub-modules matter, over all networks."""
    counts = [int(summary.important.split()[0]) for summary in summaries]
    adjusted = [summary.important_adjusted for summary in summaries]
    modules = [summary.sub_modules for summary in summaries]
    who = "The network has" if len(summaries) == 1 else f"The {len(summaries)} networks have"
    return (
        f"{who} {_range(modules)} sub-modules in the hidden layers, of which {_range(counts)} are important by the "
        f"study's rule and {_range(adjusted)} when p is corrected for their number."
    )


def undamaged_accuracy(singles: Sequence[Row]) -> float:
    """A network's accuracy before any lesion, from its rows of `lesions.csv`."""
    return float(singles[0]["accuracy"] - singles[0]["diff"])


def joint_findings(singles: Sequence[Row], doubles: Sequence[Row]) -> dict[int, list[bool]]:
    """Whether each joint pair of a network is important, by how many of its two sub-modules are: 2, 1, 0."""
    important = {(row["layer"], row["cluster"]) for row in singles if row["taxonomy"] == "important"}
    found: dict[int, list[bool]] = {2: [], 1: [], 0: []}
    for row in doubles:
        if row["kind"] == "joint":
            found[sum(module in important for module in _pair(row))].append(row["important"])
    return found


def _summary(seed: int, singles: Sequence[Row], doubles: Sequence[Row]) -> LesionSummary:
    layers = sorted({row["layer"] for row in singles})
    important = sum(row["taxonomy"] == "important" for row in singles)
    per_layer = ["/".join(str(sum(r["layer"] == layer for r in rows)) for layer in layers) for rows in (
        singles, [row for row in singles if row["taxonomy"] == "important"]
    )]  # fmt: skip
    joint = joint_findings(singles, doubles)
    conditional = [row["important"] for row in doubles if row["kind"] == "conditional"]
    return LesionSummary(
        seed=seed,
        undamaged=undamaged_accuracy(singles),
        sub_modules=len(singles),
        per_layer=per_layer[0],
        important=f"{important} ({per_layer[1]})",
        important_adjusted=sum(row["taxonomy_adjusted"] == "important" for row in singles),
        small=sum(row["taxonomy"] == "small" for row in singles),
        joint_pairs=", ".join(f"{sum(found)} of {len(found)}" for found in joint.values())
        if any(joint.values())
        else "–",
        conditional_pairs=f"{sum(conditional)} of {len(conditional)}" if conditional else "–",
    )


def _pair(row: Row) -> tuple[tuple[int, int], tuple[int, int]]:
    return (row["layer_a"], row["cluster_a"]), (row["layer_b"], row["cluster_b"])


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
