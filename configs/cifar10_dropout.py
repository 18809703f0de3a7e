"""CIFAR-10 in grey, 28 x 28, with dropout 0.2: configs/cifar10.py:dropout, 100 epochs and 40 of pruning.

Command: python -m experiments.run --config=configs/cifar10_dropout.py --config.data.dir=<folder with cifar10/>
Time on 2 cores: not measured; by the number of steps 10 seeds train in 10 minutes and cluster in 6, lesions take 17
Expect (not run by us, no copy of the data at hand): n-cut at k = 4 about 1.84 pruned, far below the `layer` controls (z
about -16); pruned test accuracy .422 (2003.04881).
"""

import ml_collections

from configs import cifar10, study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return cifar10.get_config(study.with_dropout(variant))
