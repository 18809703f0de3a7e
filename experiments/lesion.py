"""Damage a run's modules and see what they do: `python -m experiments.lesion --workdir=...`."""

from experiments import launcher
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir) -> None:
    """Damage what is missing."""
    lesion_stage(workdir, seed_mesh())


if __name__ == "__main__":
    launcher.launch(main)
