"""Handwritten digits, 8 x 8, that ship inside scikit-learn: the demo, without a download.

Command: python -m experiments.run
Time on 2 cores: three quarters of a minute, compilation included
Expect: pruned test accuracy about .95; n-cut at k = 4 about 2.53 at initialisation, 2.51 unpruned, 1.8 pruned, and no
clear difference from the controls (of ten seeds, two lay below their `layer` controls): the set is small.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {
        "data.name": "digits",
        "model.widths": (64, 64, 64, 64, 10),
        "train.num_seeds": 5,
        "train.epochs": 40,  # 12 steps each: the set is 40 times smaller than MNIST
        "prune.epochs": 40,
        "cluster.measures": ("ncut", "modularity"),
        "cluster.num_clusters": (4,),
        "cluster.num_shuffles": 100,
        "lesion.num_clusters": 4,  # the study's 10 would leave a dozen neurons to a sub-module
    }
    return study.get_config(variant, settings)
