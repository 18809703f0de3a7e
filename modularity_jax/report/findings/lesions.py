"""What a run's lesions come to, network by network, counted as in the study."""

import pandas as pd

Module = tuple[int, int]  # hidden layer and cluster


def summarise_lesions(singles: pd.DataFrame, doubles: pd.DataFrame) -> pd.DataFrame:
    """A row for each seed of one phase, of its rows of `lesions.csv` and `double_lesions.csv`.

    Per layer is counted as in "3/3". joint_pairs are important of all: of important with important ones, mixed, others;
    "–" without any.
    """
    return pd.DataFrame(_summary(seed, own, doubles[doubles["seed"] == seed]) for seed, own in singles.groupby("seed"))


def drawn_lesions(frame: pd.DataFrame, lesions: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of lesions that belong to the network which is drawn: the first seed with any."""
    return frame[frame["seed"] == lesions["seed"].min()]


def undamaged_accuracy(singles: pd.DataFrame) -> float:
    """A network's accuracy before any lesion, from its rows of `lesions.csv`."""
    return float((singles["accuracy"] - singles["diff"]).iloc[0])


def joint_pairs(singles: pd.DataFrame, doubles: pd.DataFrame) -> pd.DataFrame:
    """A network's joint pairs of lesions, with num_important: how many of the two are important by themselves."""
    important, joint = important_modules(singles), doubles[doubles["kind"] == "joint"]
    counts = [(a in important) + (b in important) for a, b in pairs_of(joint)]
    return joint.assign(num_important=pd.Series(counts, joint.index, dtype="int64"))


def important_modules(singles: pd.DataFrame) -> set[Module]:
    """A network's important sub-modules."""
    marked = singles[singles["taxonomy"] == "important"]
    return set(zip(marked["layer"], marked["cluster"], strict=True))


def pairs_of(doubles: pd.DataFrame) -> list[tuple[Module, Module]]:
    """Which two sub-modules each row of `double_lesions.csv` is of."""
    return [((row.layer_a, row.cluster_a), (row.layer_b, row.cluster_b)) for row in doubles.itertuples()]


def _summary(seed: int, singles: pd.DataFrame, doubles: pd.DataFrame) -> dict[str, object]:
    important, joint = singles["taxonomy"] == "important", joint_pairs(singles, doubles)
    conditional = doubles.loc[doubles["kind"] == "conditional", "important"]
    by_layer = important.groupby(singles["layer"])
    pairs = [_share(joint.loc[joint["num_important"] == count, "important"]) for count in (2, 1, 0)]
    return {
        "seed": seed,
        "undamaged": undamaged_accuracy(singles),
        "sub_modules": len(singles),
        "per_layer": "/".join(map(str, by_layer.size())),
        "important": int(important.sum()),
        "important_per_layer": "/".join(map(str, by_layer.sum())),
        "important_adjusted": int((singles["taxonomy_adjusted"] == "important").sum()),
        "small": int((singles["taxonomy"] == "small").sum()),
        "joint_pairs": "–" if joint.empty else ", ".join(pairs),
        "conditional_pairs": "–" if conditional.empty else _share(conditional),
    }


def _share(important: pd.Series) -> str:
    return f"{int(important.sum())} of {len(important)}"
