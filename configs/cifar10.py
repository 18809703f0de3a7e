"""CIFAR-10 in grey, 28 x 28, without dropout: 20 epochs and 40 of pruning.

Command: python -m experiments.run --config=configs/cifar10.py --config.data.dir=<folder with cifar10/>
Time on 2 cores: not measured; by the number of steps 10 seeds train in 3.5 minutes and cluster in 6, lesions take 17
Expect (not run by us, no copy of the data at hand): n-cut at k = 4 about 2.06 pruned, above the `layer` controls (z
about 3.7); pruned test accuracy .415 (2003.04881). With dropout, of rate 0.2 here: configs/cifar10_dropout.py.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(
        variant,
        {"data.name": "cifar10", "prune.epochs": 40},
        dropout={"model.dropout_rate": 0.2, "train.epochs": 100},
    )
