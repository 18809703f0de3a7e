"""A run's figures: functions from plain arrays to matplotlib figures, and one that draws a whole workdir."""

from modularity_jax.report.figures.controls import controls_figure
from modularity_jax.report.figures.curve import learning_curve_figure
from modularity_jax.report.figures.files import FigureFile, write_figures
from modularity_jax.report.figures.front import (
    front_controls_figure,
    front_curve_figure,
    front_phases_figure,
    front_sweep_figure,
)
from modularity_jax.report.figures.k_sweep import k_sweep_figure
from modularity_jax.report.figures.lesion_pairs import dependencies, dependency_figure, lesion_pairs_figure
from modularity_jax.report.figures.lesions import lesion_classes_figure, lesion_shares_figure, lesions_figure
from modularity_jax.report.figures.modules import cut_shares, module_flows, rank_modules, shares_figure
from modularity_jax.report.figures.network import network_figure
from modularity_jax.report.figures.spectrum import spectrum_figure
from modularity_jax.report.figures.training import training_figure

__all__ = [
    "FigureFile",
    "controls_figure",
    "cut_shares",
    "dependencies",
    "dependency_figure",
    "front_controls_figure",
    "front_curve_figure",
    "front_phases_figure",
    "front_sweep_figure",
    "k_sweep_figure",
    "learning_curve_figure",
    "lesion_classes_figure",
    "lesion_pairs_figure",
    "lesion_shares_figure",
    "lesions_figure",
    "module_flows",
    "network_figure",
    "rank_modules",
    "shares_figure",
    "spectrum_figure",
    "training_figure",
    "write_figures",
]
