"""n-cut along training, with accuracy or loss beside it."""

from modularity_jax.report.figures.epochs import ncut_curves, over_seeds, score_in_words
from modularity_jax.report.figures.style import Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run


def draw(run: Run) -> Drawings:
    """n-cut per number of clusters and the test set's score against the epoch, mean and range over seeds."""
    rows = run.leading(run.learning_curve)
    if rows.empty:
        return
    height = 2.2 + 2.4 * rows["num_clusters"].nunique()
    figure = new_figure(10, height, f"n-cut along training and pruning ({over_seeds(rows)})")
    ncut_curves(figure, rows, run.score, 12)
    yield Drawn(
        figure,
        f"The n-cut along training and pruning, and the {score_in_words(run.score)} beside it.",
        "Modularity is the gap between the network and its weights shuffled within each layer (20 times, the mean): "
        "both fall where weights are pruned (shaded). Each phase's last point is the network that the tables speak of.",
    )
