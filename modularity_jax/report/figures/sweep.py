"""What a sweep's settings do: each measure and its controls over each swept setting."""

from modularity_jax.report.figures.style import INK, Drawings, Drawn, method_colour, new_figure
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say


def draw(run: Run) -> Drawings:
    """A row for each measure and a column for each setting, of the last phase at the leading k."""
    if run.sweep.empty:
        return
    lead, tests = run.lead, run.sweep
    for key in ("phase", "graph", "num_clusters"):
        tests = tests[tests[key] == getattr(lead, key)]
    measures, methods = (list(tests[key].cat.categories) for key in ("measure", "method"))
    size = max(4.3, 3.6 * len(run.axes)), 1 + 2.8 * len(measures)
    figure = new_figure(
        *size, f"What moves modularity? k = {lead.num_clusters}, {say('phase_name', lead.phase)} networks"
    )
    grid = figure.subplots(len(measures), len(run.axes), squeeze=False, sharey="row", sharex="col")
    for row, measure in zip(grid, measures, strict=True):
        row[0].set_ylabel(say("measure_name", measure))
        for axes, axis in zip(row, run.axes, strict=True):
            own = tests[tests["measure"] == measure]
            for method in methods:
                controls = own[own["method"] == method].groupby(axis)["shuffled_mean"].mean()
                axes.plot(controls.index, controls, color=method_colour(method), linewidth=3, alpha=0.75, label=method)
            once = own[own["method"] == methods[0]]  # the network's own figures repeat
            axes.plot(once[axis], once["observed"], ".", color=INK, alpha=0.35, markersize=5)
            means = once.groupby(axis)["observed"].mean()
            axes.plot(means.index, means, color=INK, marker="o", markersize=4, linewidth=1.4, label="networks")
    for axes, axis in zip(grid[-1], run.axes, strict=True):
        axes.set_xlabel(axis)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    yield Drawn(
        figure,
        "Every network (dots), their means (line), and the means of their controls (thick lines) over each setting.",
        "Each mean is over all seeds and all values of the other settings. Where the networks' line and the controls' "
        "move alike, the setting changes the weights and not how modular they are beyond that.",
    )
