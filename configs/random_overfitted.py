"""The first 3,000 samples of random, learned by heart: 100 epochs and 100 of pruning, in the same order throughout.

Command: python -m experiments.run --config=configs/random_overfitted.py
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 6, lesions take 17
Expect (ours, 5 seeds; not published in a form we have): training accuracy .98 to 1.0 unpruned, .996 to 1.0 pruned;
n-cut at k = 4 2.26 unpruned, 1.88 pruned with z -9 against `layer` but -1 against `layer_nonzero`. With dropout nothing
is learned, training accuracy .116, and nothing shows: 2.34 unpruned, 2.06 pruned with z -0.1.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {"data.name": "random", "data.num_train": 3000, "train.reshuffle": False}
    return study.get_config(variant, {**settings, "train.epochs": 100, "prune.epochs": 100})
