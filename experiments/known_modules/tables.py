"""What the bench says: Markdown tables of measures and tasks, and the figure of planted networks."""

import math
from collections.abc import Callable, Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes

from experiments.known_modules.bench import CURVED
from experiments.known_modules.functional import PROBES
from experiments.known_modules.measures import CONTROLS, WAYS
from modularity_jax.report.figures.style import INK, Drawn, module_colour, new_figure
from modularity_jax.runs.tables import Row


def markdown(rows: Sequence[Row]) -> str:
    """How well known modules are found, where a network counts as modular, and what other means than graphs say."""
    found = pd.DataFrame(rows)
    by_graphs, others = (found[found["measure"].isin(names)] for names in (WAYS, PROBES))
    known = by_graphs[(by_graphs["twin"] == 0) & (by_graphs["control"] == CONTROLS[0])]
    tables = (
        _table(known, ["task"], WAYS, _agreement),
        _table(by_graphs, ["task", "control"], WAYS, lambda row: short(row["significant"])),
        _table(others, ["task"], PROBES, _probed),
    )
    return "\n\n".join(tables)


def _probed(row: pd.Series) -> str:
    """Agreement with the truth of what finds modules; of others the value, by chance, and how often that is beaten."""
    if row["measure"] == "masks":
        return short(row["ari_hidden"])
    tested = row["significant"] == row["significant"]
    return short(row["value"]) + (f" / {short(row['chance'])} ({short(row['significant'])})" if tested else "")


def _agreement(row: pd.Series) -> str:
    """The adjusted Rand index, of labels by layer within these; with that of the layer where this is the larger one."""
    if WAYS[row["measure"]].by_layer:
        return short(row["ari_by_layer"])
    score = short(row["ari"])
    return f"{score} (layer {short(row['ari_layer'])})" if row["ari_layer"] > max(row["ari"], 0.1) else score


def _table(rows: pd.DataFrame, places: list[str], measures: Iterable[str], cell: Callable[[pd.Series], str]) -> str:
    """A line for each task, or other place, in the order in which they come, and a column for each measure."""
    measures = [*measures]
    lines = [f"| {' | '.join([*places, *measures])} |", f"|{'---|' * (len(places) + len(measures))}"]
    for place, own in rows.groupby(places, sort=False):
        found = {row["measure"]: cell(row) for _, row in own.iterrows()}
        cells = [found.get(measure, "") for measure in measures]
        lines.append(f"| {' | '.join([*place, *cells])} |")
    return "\n".join(lines)


def short(value: float, decimals: int = 2) -> str:
    """Two decimals, or so many, without the zero before them; nothing of what is not defined."""
    if math.isnan(value):
        return ""
    text = f"{value:.{decimals}f}"
    text = text.lstrip("-") if float(text) == 0 else text
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def crossing(num_kernels: int, num_modules: int) -> float:
    """The crossing share beyond which depth is a better cut of equal kernels than a module.

    Eigenvalues of the normalised adjacency: cos(pi / L) of the chain of layers, 1 - x M / (M - 1) of the modules.
    """
    return (1 - math.cos(math.pi / num_kernels)) * (num_modules - 1) / num_modules


def draw(rows: Sequence[Row]) -> Drawn:
    """A panel for each number of kernels and of modules."""
    found = pd.DataFrame(rows)
    panels = dict(list(found.groupby(["kernels", "modules"], sort=True)))
    figure = new_figure(1.2 + 2.7 * len(panels), 3.6, "Planted modules found, by the share of weight between them")
    for axes, (place, own) in zip(
        figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels.items(), strict=True
    ):
        _panel(axes, own, *place)
    figure.axes[0].set_ylabel("adjusted Rand index")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return Drawn(figure, "Adjusted Rand index of planted and found modules.", "1 is all of them, 0 what chance finds.")


def _panel(axes: Axes, rows: pd.DataFrame, num_kernels: int, num_modules: int) -> None:
    predicted = crossing(num_kernels, num_modules)
    axes.axvline(predicted, color=INK, linewidth=1, linestyle=":", label="where depth becomes the better cut")
    for number, name in enumerate(CURVED):
        own = rows[rows["measure"] == name]
        axes.plot(own["share"], own["ari"], color=module_colour(number), marker="o", markersize=4, label=name)
    axes.set_title(f"{num_kernels} kernels, {num_modules} modules")
    axes.set_xlabel("share of weight between modules")
