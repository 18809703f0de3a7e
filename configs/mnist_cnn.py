"""MNIST by the small convolutional network of 2103.03386: three convolutions, two pooled, 128 units, 10 classes.

Graphs: all kernels ("weights"), the same with hidden units of one size ("normalized_l2"), and what was published: the
convolutions but the first, by their largest column sums ("convolutions"). Lesions are left out, for each is a pass of
the whole network; an accelerator does them: --config.lesion.num_shuffles=19 --config.lesion.joint=0
--config.lesion.conditional=0

Command: python -m experiments.run --config=configs/mnist_cnn.py --config.data.dir=<folder with mnist/>
Time on 2 cores: hours; --config.train.num_seeds=1 --config.data.num_train=6000 takes 15 to 25 minutes. An H100 needs
two minutes
Expect: test accuracy .992; n-cut of "convolutions" at k = 12 10.90 at initialisation, 10.69 unpruned, with z about 0
against `layer`, and above 0 pruned (2103.03386); ours 10.910, 10.679 +- .023 with z .0, and 10.434 +- .112 with z 9
"""

import ml_collections

from configs import study

SETTINGS: study.Settings = {
    "model.name": "cnn",
    "model.widths": (784, 64, 64, 64, 128, 10),
    "train.num_seeds": 5,
    "train.epochs": 10,
    "train.batch_size": 64,
    "prune.epochs": 10,
    "cluster.graphs": ("weights", "normalized_l2", "convolutions"),
    "cluster.measures": ("ncut", "modularity"),
    "cluster.methods": ("layer",),
    "cluster.num_shuffles": 50,
    "cluster.curve_epochs": (),
    **study.NO_LESIONS,
}


def get_config(variant: str = "", settings: study.Settings | None = None) -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of. Settings change it further."""
    return study.get_config(variant, {**SETTINGS, **(settings or {})})
