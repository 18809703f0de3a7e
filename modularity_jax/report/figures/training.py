"""Loss, accuracy and sparsity against epochs."""

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from modularity_jax.report.figures.epochs import counted_through, curve, finish, over_seeds
from modularity_jax.report.figures.style import INK, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """Loss and accuracy on both sets and the sparsity, mean and range over seeds; the pruning phase is shaded.

    Of a regression there is no accuracy.
    """
    if run.metrics.empty:
        return
    rows = counted_through(run.metrics)
    measures = ("loss",) if run.score == "test_loss" else ("loss", "accuracy")
    figure = new_figure(10, 1.8 + 2.4 * len(measures), f"Training and pruning ({over_seeds(rows)})")
    ratios = [3] * len(measures) + [1.3]
    panels = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios)
    for axes, measure in zip(panels, measures, strict=False):
        for part, colour, dashes in (("train", "#0072B2", "--"), ("test", "#D55E00", "-")):
            curve(axes, rows, f"{part}_{measure}", color=colour, linestyle=dashes, label=f"{part} set")
    panels[1].set(ylabel="accuracy (fraction right)")
    _set_losses(panels[0], "cross-entropy (nats)" if "accuracy" in measures else "mean squared error")
    curve(panels[-1], rows, "sparsity", color=INK, label="")
    panels[-1].set(ylabel="sparsity", ylim=(-0.05, 1.05))
    finish(panels, rows, 12)
    yield Drawn(
        figure,
        f"{', '.join(measures).capitalize()} and sparsity over the epochs of training and of pruning.",
        "Pruning goes on from the trained weights, in the shaded epochs; "
        f"{measures[-1]} should hold as sparsity rises.",
    )


def _set_losses(axes: Axes, name: str) -> None:
    """A logarithmic scale of losses with plain numbers."""
    axes.set(ylabel=name, yscale="log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper right", ncols=2)
