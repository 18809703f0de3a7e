"""n-cut along training, with accuracy beside it."""

from collections.abc import Iterator

from modularity_jax.report.figures.epochs import curve, finish, over_seeds, phase_starts, with_controls
from modularity_jax.report.figures.style import Drawn, module_colour, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Iterator[Drawn]:
    """n-cut per number of clusters and test accuracy against the epoch, mean and range over seeds."""
    rows = run.leading(run.learning_curve)
    if rows.empty:
        return
    sizes = dict(list(rows.groupby("num_clusters")))
    starts = phase_starts(rows)
    figure = new_figure(10, 2.2 + 2.4 * len(sizes), f"n-cut along training and pruning ({over_seeds(rows)})")
    panels = figure.subplots(len(sizes) + 1, 1, sharex=True)
    for axes, (k, found) in zip(panels, sizes.items(), strict=False):
        with_controls(axes, found, starts, module_colour(0))
        axes.set(ylabel=f"n-cut, k = {k}")
    curve(panels[-1], rows, starts, "test_accuracy", color=module_colour(5), label="")
    panels[-1].set_ylabel("test accuracy")
    finish(panels, rows, starts, 12)
    yield Drawn(
        figure,
        "The n-cut along training and pruning, and the test accuracy beside it.",
        "Modularity is the gap between the network and its weights shuffled within each layer (20 times, the mean): "
        "both fall where weights are pruned (shaded). Each phase's last point is the network that the tables speak of.",
    )
