"""Two figures: what each mask does on each sub-task, and how far masks overlap layer by layer."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from experiments.sub_tasks.rows import ALL, NONE
from modularity_jax.report.figures.style import INK, Drawn, module_colour, new_figure, write_on

#: Kinds of pairs of masks in `overlap.csv`.
SUB_TASKS, KEYS = "two sub-tasks", "one sub-task, two keys"
_PANEL = 3.6  # inches


def draw_accuracy(accuracy: pd.DataFrame) -> Drawn:
    """A panel for each task: masks and their inverses against sub-tasks."""
    panels = dict(list(accuracy.groupby("task", sort=False)))
    figure = new_figure(1 + _PANEL * len(panels), 5.2, "Accuracy of each mask, and of its inverse, on each sub-task")
    for axes, (task, own) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _matrix(axes, str(task), own)
    return Drawn(
        figure,
        "Accuracy in percent with the weights that a mask keeps, and with the others, mean over seeds.",
        "Networks specialise where a mask keeps its own sub-task alone and its inverse all others.",
    )


def _matrix(axes: Axes, task: str, rows: pd.DataFrame) -> None:
    names = list(dict.fromkeys(rows["sub_task"]))
    means = rows.groupby(["mask", "sub_task"])[["kept", "inverse"]].mean()
    lines = [("no mask", NONE, "kept"), ("all", ALL, "kept"), *((name, name, "kept") for name in names)]
    lines += [(f"without {name}", name, "inverse") for name in names]
    values = [[means.loc[(mask, name), kind] for name in names] for _, mask, kind in lines]
    image = axes.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            colour = to_hex(tuple(image.cmap(image.norm(value))))
            write_on(axes, column, row, f"{100 * value:.0f}", colour, 9)
    axes.set_xticks(range(len(names)), names, rotation=20)
    axes.set_yticks(range(len(lines)), [label for label, *_ in lines])
    axes.grid(visible=False)
    axes.set_title(task)


def draw_overlap(overlap: pd.DataFrame) -> Drawn:
    """For each task IoU and IoMin by layer, of two sub-tasks, beside that of two keys and chance."""
    panels = dict(list(overlap.groupby("task", sort=False)))
    figure = new_figure(1 + _PANEL * len(panels), 5.6, "Overlap of masks, layer by layer")
    grid = figure.subplots(2, len(panels), squeeze=False, sharey=True, sharex="col")
    for column, (task, own) in enumerate(panels.items()):
        for axes, score in zip(grid[:, column], ("iou", "iomin"), strict=True):
            _lines(axes, own, score)
        grid[0, column].set_title(str(task))
        grid[1, column].set_xlabel("layer of weights")
    for axes, name in zip(grid[:, 0], ("IoU", "IoMin"), strict=True):
        axes.set_ylabel(name)
        axes.set_ylim(-0.03, 1.03)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return Drawn(
        figure,
        "Intersection of two masks over their union, and over the smaller one; a dot is a network and pair of masks.",
        "Two keys of one sub-task are the ceiling; chance is that of random masks of the same sizes.",
    )


def _lines(axes: Axes, rows: pd.DataFrame, score: str) -> None:
    of_keys = rows["first"] == rows["second"]
    for number, (name, own) in enumerate({SUB_TASKS: rows[~of_keys], KEYS: rows[of_keys]}.items()):
        means = own.groupby("layer")[score].mean()
        axes.plot(means.index, means, color=module_colour(number), label=name)
        axes.scatter(own["layer"], own[score], color=module_colour(number), s=12, alpha=0.5, linewidths=0)
    chance = rows[~of_keys].groupby("layer")[f"chance_{score}"].mean()
    axes.plot(chance.index, chance, color=INK, linestyle=":", label="chance")
    axes.set_xticks(chance.index)
