"""Test a run's modules for specialisation: `python -m experiments.specialise --workdir=...`."""

from experiments import launcher
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs.stages.specialise import specialise_stage
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir) -> None:
    """Test what is missing."""
    specialise_stage(workdir, seed_mesh())


if __name__ == "__main__":
    launcher.launch(main)
