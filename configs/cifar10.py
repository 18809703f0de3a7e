"""CIFAR-10 in grey, 28 x 28, without dropout: 20 epochs and 40 of pruning.

Command: python -m experiments.run --config=configs/cifar10.py --config.data.dir=<folder with cifar10/>
Time on 2 cores: not measured; 1.5 times the epochs of configs/mnist.py
Expect (not run by us, no copy of the data at hand): n-cut at k = 4 about 2.06 pruned, above the `layer` controls (z
about 3.7); pruned test accuracy .415 (2003.04881).
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; variant "quick" is a toy size."""
    config = study.get_config(variant)
    config.data.name = "cifar10"
    study.lengthen(config, variant, epochs=20, prune_epochs=40)
    return config
