"""A run's figures: one file each, whose function `draw` goes from a run to what it draws, named here once."""

import importlib

from modularity_jax.report.figures.style import Picture, house_style, save
from modularity_jax.report.frames import Run

# By the section of the report where they stand, in its order; a figure yields nothing where a run holds nothing for it.
# A name with a dot is that of a module elsewhere.
FIGURES = {
    "front": ("front_controls", "front_curve", "front_phases", "front_sweep"),
    "result": ("controls", "k_sweep"),
    "sweep": ("sweep",),
    "modules": ("network", "shares", "eigenvalues"),
    "lesions": ("lesions", "lesion_classes", "lesion_shares", "lesion_pairs", "dependencies"),
    "specialisation": ("specialisation", "partitionings"),
    "training": ("learning_curve", "training"),
}


def write_figures(run: Run) -> dict[str, list[Picture]]:
    """Draws what a run allows into its `figures/<name>.png` and `.svg`; by section, in the order of a report."""
    with house_style():
        return {
            section: [
                save(drawn, run.workdir / "figures", name.rpartition(".")[2] + drawn.suffix)
                for name in names
                for drawn in importlib.import_module(name if "." in name else f"{__name__}.{name}").draw(run)
            ]
            for section, names in FIGURES.items()
        }
