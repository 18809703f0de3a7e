"""Train and prune the networks of a run: `python -m experiments.train --config=... --workdir=...`."""

from experiments import launcher
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir) -> None:
    """Train what is missing."""
    train_stage(workdir, seed_mesh())


if __name__ == "__main__":
    launcher.define_config()
    launcher.launch(main)
