"""MNIST at k = 4 over 10 trainings: the study's table of stability; no lesions.

Command: python -m experiments.run --config=configs/mnist_stability.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 2
Expect: pruned n-cut 2.000 +- .035, 1.960 to 2.074, significant against `layer` in 7 of 10; with dropout 1.841 +- .015,
1.818 to 1.864, in 10 of 10; test accuracy .984 and .979 (2003.04881).
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {"train.num_seeds": 10, "cluster.num_clusters": (4,)}
    return study.get_config(variant, settings | study.NO_LESIONS)
