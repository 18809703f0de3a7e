"""At the front: n-cut along training."""

from collections.abc import Iterator

from modularity_jax.report.figures.epochs import curve, finish, phase_starts
from modularity_jax.report.figures.style import FRONT_SIZE, Drawn, module_colour, new_figure
from modularity_jax.report.frames import Run, lead_of


def draw(run: Run) -> Iterator[Drawn]:
    """n-cut, and accuracy under it, against the epoch; mean and range over seeds."""
    _, k, _ = lead_of(run.tests)
    rows = run.learning_curve[run.learning_curve["num_clusters"] == k]
    if rows.empty:
        return
    starts = phase_starts(rows)
    figure = new_figure(*FRONT_SIZE, "When does it become modular?")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for axes, column, colour in zip(panels, ("ncut", "test_accuracy"), (0, 5), strict=True):
        curve(axes, rows, starts, column, color=module_colour(colour), label="")
    panels[0].set_ylabel(f"n-cut, k = {k}")
    panels[1].set_ylabel("test accuracy")
    finish(panels, rows, starts, 6)
    yield Drawn(
        figure,
        f"n-cut at k = {k} and test accuracy along training; pruning is shaded.",
        "A fall in the shaded epochs is modularity that comes with pruning.",
    )
