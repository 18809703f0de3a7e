"""Lines and CIFAR-10 in grey pooled, half of each: 30 epochs and 40 of pruning; the rate of dropout is 0.2.

Command: python -m experiments.run --config=configs/lines_cifar10.py --config.data.dir=<folder with cifar10/>
Time on 2 cores: not measured; by the number of steps 10 seeds train in 5 minutes and cluster in 6, lesions take 17
Expect (not run by us, no copy of the data at hand): n-cuts are not published in a form we have.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {"data.name": "lines+cifar10", "train.epochs": 30, "prune.epochs": 40}
    return study.get_config(variant, settings, dropout={"model.dropout_rate": 0.2})
