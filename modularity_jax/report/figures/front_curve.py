"""At the front: n-cut along training."""

from collections.abc import Iterator

from modularity_jax.report.figures.epochs import curve, finish, phase_starts, with_controls
from modularity_jax.report.figures.style import FRONT_SIZE, Drawn, module_colour, new_figure
from modularity_jax.report.frames import Run, lead_of


def draw(run: Run) -> Iterator[Drawn]:
    """n-cut, and accuracy under it, against the epoch; mean and range over seeds."""
    k, shown = lead_of(run.tests).num_clusters, run.leading(run.learning_curve)
    rows = shown[shown["num_clusters"] == k]
    if rows.empty:
        return
    starts = phase_starts(rows)
    figure = new_figure(*FRONT_SIZE, "When does it become modular?")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    with_controls(panels[0], rows, starts, module_colour(0))
    curve(panels[1], rows, starts, "test_accuracy", color=module_colour(5), label="")
    panels[0].set_ylabel(f"n-cut, k = {k}")
    panels[1].set_ylabel("test accuracy")
    finish(panels, rows, starts, 6)
    yield Drawn(
        figure,
        f"n-cut at k = {k} and test accuracy along training; pruning is shaded.",
        "Modularity is the gap between the network and its weights shuffled within each layer; both fall with pruning.",
    )
