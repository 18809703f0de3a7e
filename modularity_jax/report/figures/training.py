"""Loss, accuracy and sparsity against epochs."""

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from modularity_jax.report.figures.epochs import counted_through, curve, mark_phases, over_seeds
from modularity_jax.report.figures.style import INK, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """Loss and accuracy on both sets and the sparsity, mean and range over seeds; the pruning phase is shaded.

    Of a regression there is no accuracy.
    """
    if run.metrics.empty:
        return
    rows = counted_through(run.metrics)
    labels = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (fraction right)"}
    if run.score == "test_loss":
        labels = {"loss": "mean squared error"}
    figure = new_figure(10, 1.8 + 2.4 * len(labels), f"Training and pruning ({over_seeds(rows)})")
    panels = figure.subplots(len(labels) + 1, 1, sharex=True, height_ratios=[3] * len(labels) + [1.3])
    for axes, (measure, label) in zip(panels, labels.items(), strict=False):
        for part, colour, dashes in (("train", "#0072B2", "--"), ("test", "#D55E00", "-")):
            curve(axes, rows, f"{part}_{measure}", color=colour, linestyle=dashes, label=f"{part} set")
        axes.set_ylabel(label)
    _set_scale(panels[0])
    curve(panels[-1], rows, "sparsity", color=INK, label="")
    panels[-1].set(ylabel="sparsity", ylim=(-0.05, 1.05))
    mark_phases(panels, rows, 12)
    yield Drawn(
        figure,
        f"{', '.join(labels).capitalize()} and sparsity over the epochs of training and of pruning.",
        f"Pruning goes on from the trained weights, in the shaded epochs; {measure} should hold as sparsity rises.",
    )


def _set_scale(axes: Axes) -> None:
    """A logarithmic scale of losses with plain numbers."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper right", ncols=2)
