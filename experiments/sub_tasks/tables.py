"""The tables of masks as a person reads them."""

from collections.abc import Iterator

import pandas as pd

from experiments.known_modules.tables import short
from experiments.sub_tasks.rows import NONE


def markdown(tables: dict[str, pd.DataFrame]) -> str:
    """What masks do, how far they overlap, and whose the units are; means over networks, smallest and largest."""
    return "\n\n".join("\n".join(lines) for lines in (_accuracies(tables), _overlaps(tables), _units(tables)))


def _accuracies(tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    yield "| task | network | mask, own sub-task | mask, others | inverse, own | inverse, others |"
    yield "|---|---|---|---|---|---|"
    for task, rows in tables["accuracy"].groupby("task", sort=False):
        own, whole = rows["mask"] == rows["sub_task"], rows["mask"] == NONE
        others = rows["mask"].isin(rows["sub_task"]) & ~own
        cells = [rows[whole]["kept"], *(rows[where][kind] for kind in ("kept", "inverse") for where in (own, others))]
        yield _line(str(task), *(_percent(values) for values in cells))


def _overlaps(tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    scores = (f"{score}, {pair}" for score in ("IoU", "IoMin") for pair in ("two sub-tasks", "two keys", "chance"))
    yield _line("task", "layer", "weights kept", *scores)
    yield f"|{'---|' * 9}"
    for (task, layer), rows in tables["overlap"].groupby(["task", "layer"], sort=False):
        keys = rows["first"] == rows["second"]
        cells = [rows[keys]["share_first"]]
        for score in ("iou", "iomin"):
            cells += [rows[~keys][score], rows[keys][score], rows[~keys][f"chance_{score}"]]
        yield _line(str(task), str(layer), *(_decimals(values) for values in cells))


def _units(tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    yield "| task | units with a label | ARI, two keys | with clusters | with known inputs and outputs |"
    yield "|---|---|---|---|---|"
    for task, rows in tables["units"].groupby("task", sort=False):
        cells = (rows[name] for name in ("labelled", "ari_keys", "ari_clusters", "ari_known"))
        yield _line(str(task), *(_decimals(values) for values in cells))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(values: pd.Series) -> str:
    """The mean, and the range where it is one."""
    low, mean, high = (f"{100 * value:.0f}" for value in (values.min(), values.mean(), values.max()))
    return f"{mean}%" if low == high else f"{mean}% ({low} to {high})"


def _decimals(values: pd.Series) -> str:
    """The mean, of those that are defined; nothing where none is."""
    return short(pd.to_numeric(values).mean())
