"""At the front: distance from the controls by number of modules."""

from modularity_jax.report.figures.k_sweep import z_panel
from modularity_jax.report.figures.style import FRONT_SIZE, Drawings, Drawn, new_figure
from modularity_jax.report.frames import Run
from modularity_jax.report.prose import say


def draw(run: Run) -> Drawings:
    """Z of the last phase against the number of modules for each control, mean and range over seeds."""
    tests = run.leading(run.tests, "phase")
    if tests["num_clusters"].nunique() < 2:
        return
    figure = new_figure(*FRONT_SIZE, "For how many modules?")
    axes = figure.subplots()
    z_panel(axes, tests)
    axes.set(xlabel="number of modules k", ylabel="z (below 0: more modular)")
    axes.legend(loc="best", fontsize=8)
    yield Drawn(
        figure,
        f"Distance of the {say('phase_name', run.lead.phase)} networks from their controls by number of modules, mean "
        "and range over seeds.",
        "At 0 a network is no more modular than its shuffled weights.",
    )
