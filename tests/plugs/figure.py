"""A figure of one's own, which the registry names by its module."""

from modularity_jax.report.figures.style import Drawn, new_figure


def draw(run):
    """Accuracy of the networks, by phase."""
    figure = new_figure(5, 3, "One of my own")
    figure.subplots().plot(run.metrics.groupby("phase")["test_accuracy"].mean())
    yield Drawn(figure, "Accuracy by phase, from outside.", "Higher is better.")
