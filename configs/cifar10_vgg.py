"""CIFAR-10 in colour by the VGG of 2103.03386 (13 convolutions, batch norms, augmented images), trained and pruned.

Graphs: all kernels, each with the norm before it folded in ("weights"), and what was published: the convolutions but
the first, raw, by their largest column sums ("convolutions"). `:dropout` drops as the study does.

Command: python -m experiments.run --config=configs/cifar10_vgg.py --config.data.dir=<folder with cifar10/>
Time on 2 cores: weeks, for 24 petaflop a network; on one H100 10 to 30 minutes a network, estimated, not measured
Expect: n-cuts of such networks stand in 2103.03386, of kernels whose norms were never folded in
"""

import ml_collections

from configs import study

SETTINGS: study.Settings = {
    "data.name": "cifar10_colour",
    "model.name": "vgg",
    "model.widths": (3072, 64, 64, 128, 128, *(256,) * 3, *(512,) * 6, 512, 512, 10),
    "train.num_seeds": 2,
    "train.epochs": 200,
    "train.augment": True,
    "prune.epochs": 50,
    "cluster.graphs": ("weights", "convolutions"),
    "cluster.measures": ("ncut", "modularity"),
    "cluster.num_clusters": (12,),
    "cluster.methods": ("layer",),
    "cluster.num_shuffles": 50,
    "cluster.curve_epochs": (),
    **study.NO_LESIONS,
}


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, SETTINGS)
