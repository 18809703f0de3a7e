"""MNIST: do partitions by weights or by activations, of all layers or layer by layer, pick out units that specialise?

The four partitionings of 2110.08058 at k = 16, on unpruned networks, with 19 controls of each sub-module as published
and 199. Words: "pruned" looks at pruned networks; "cnn" at the small convolutional network, whose lesions are passes of
all of it and ask for an accelerator.

Command: python -m experiments.run --config=configs/mnist_local.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 13 minutes, of which the tests of sub-modules take 8
Expect: modules are important by all four partitionings; coherent by one with these images, by none with all
"""

import ml_collections

from configs import mnist_cnn, study

SETTINGS: study.Settings = {
    "train.num_seeds": 5,
    "prune.epochs": 0,
    "cluster.graphs": ("weights", "activations"),
    "cluster.num_clusters": (12,),
    "cluster.methods": ("layer", "layer_nonzero", "samples", "edges"),
    "cluster.num_shuffles": 19,
    "cluster.curve_epochs": (),
    "specialisation.phases": ("unpruned",),
    "specialisation.num_shuffles": 199,
    **study.NO_LESIONS,
}
WORDS: dict[str, study.Settings] = {
    "pruned": {"prune.epochs": 20, "specialisation.phases": ("pruned",)},
    "cnn": {
        name: mnist_cnn.SETTINGS[name] for name in ("model.name", "model.widths", "train.epochs", "train.batch_size")
    },
}


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of, and WORDS what its own words are."""
    return study.get_config(variant, SETTINGS, **WORDS)
