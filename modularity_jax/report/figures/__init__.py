"""A run's figures: one file each, with a function from a run to what it draws, named here once."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from modularity_jax.report.figures import (
    controls,
    dependencies,
    eigenvalues,
    front_controls,
    front_curve,
    front_phases,
    front_sweep,
    k_sweep,
    learning_curve,
    lesion_classes,
    lesion_pairs,
    lesion_shares,
    lesions,
    network,
    shares,
    training,
)
from modularity_jax.report.figures.style import Drawn, Picture, house_style, save
from modularity_jax.report.frames import Run

# By the section of the report where they stand, in its order; a figure yields nothing where a run holds nothing for it.
FIGURES: Mapping[str, Sequence[Callable[[Run], Iterator[Drawn]]]] = {
    "front": (front_controls.draw, front_curve.draw, front_phases.draw, front_sweep.draw),
    "result": (controls.draw, k_sweep.draw),
    "modules": (network.draw, shares.draw, eigenvalues.draw),
    "lesions": (lesions.draw, lesion_classes.draw, lesion_shares.draw, lesion_pairs.draw, dependencies.draw),
    "training": (learning_curve.draw, training.draw),
}


def write_figures(run: Run) -> dict[str, list[Picture]]:
    """Draws what a run allows into its `figures/<name>.png` and `.svg`; by section, in the order of a report."""
    pictures: dict[str, list[Picture]] = {}
    with house_style():
        for section, figures in FIGURES.items():
            drawn = (made for draw in figures for made in draw(run))
            pictures[section] = [save(made, run.workdir / "figures") for made in drawn]
    return pictures
