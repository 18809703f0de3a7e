"""Cluster a run's networks and their controls: `python -m experiments.cluster --workdir=...`."""

from experiments import launcher
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir) -> None:
    """Cluster what is missing."""
    cluster_stage(workdir, seed_mesh())


if __name__ == "__main__":
    launcher.launch(main)
