"""At the front: n-cut along training."""

from modularity_jax.report.figures.epochs import ncut_curves, score_in_words
from modularity_jax.report.figures.style import FRONT_SIZE, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """n-cut, and accuracy or loss under it, against the epoch; mean and range over seeds."""
    rows = run.leading(run.learning_curve, "num_clusters")
    if rows.empty:
        return
    figure = new_figure(*FRONT_SIZE, "When does it become modular?")
    ncut_curves(figure, rows, run.score, 6, height_ratios=(3, 2))
    yield Drawn(
        figure,
        f"n-cut at k = {run.lead.num_clusters} and {score_in_words(run.score)} along training; pruning is shaded.",
        "Modularity is the gap between the network and its weights shuffled within each layer; both fall with pruning.",
    )
