"""All stages of a run: `python -m experiments.run --config=configs/mnist.py --workdir=runs/mnist`."""

from experiments import cluster, launcher, lesion, report, specialise, train
from modularity_jax.runs.workdir import Workdir


def main(workdir: Workdir) -> None:
    """Train, cluster, lesion, specialise, report; what is finished already is not computed again."""
    train.main(workdir)
    cluster.main(workdir)
    lesion.main(workdir)
    specialise.main(workdir)
    report.main(workdir)


if __name__ == "__main__":
    launcher.define_config()
    launcher.launch(main)
