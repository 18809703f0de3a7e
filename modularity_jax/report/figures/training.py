"""Loss, accuracy and sparsity against epochs."""

from matplotlib.ticker import LogLocator, NullFormatter

from modularity_jax.report.figures.epochs import counted_through, curve, finish, over_seeds
from modularity_jax.report.figures.style import INK, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """Loss and accuracy on both sets and the sparsity, mean and range over seeds; the pruning phase is shaded."""
    if run.metrics.empty:
        return
    rows = counted_through(run.metrics)
    figure = new_figure(10, 6.6, f"Training and pruning ({over_seeds(rows)})")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.3))
    for axes, measure in zip(panels[:2], ("loss", "accuracy"), strict=True):
        for part, colour, dashes in (("train", "#0072B2", "--"), ("test", "#D55E00", "-")):
            curve(axes, rows, f"{part}_{measure}", color=colour, linestyle=dashes, label=f"{part} set")
    panels[0].set(ylabel="cross-entropy (nats)", yscale="log")
    low, high = panels[0].get_ylim()
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter(NullFormatter())
    panels[0].legend(loc="upper right", ncols=2)
    panels[1].set(ylabel="accuracy (fraction right)")
    curve(panels[2], rows, "sparsity", color=INK, label="")
    panels[2].set(ylabel="sparsity", ylim=(-0.05, 1.05))
    finish(panels, rows, 12)
    yield Drawn(
        figure,
        "Loss, accuracy and sparsity over the epochs of training and of pruning.",
        "Pruning goes on from the trained weights, in the shaded epochs; accuracy should hold as sparsity rises.",
    )
