"""CIFAR-10 in grey, 28 x 28, with dropout 0.2 after each hidden layer: 100 epochs and 40 of pruning.

Command: python -m experiments.run --config=configs/cifar10_dropout.py --config.data.dir=<folder with cifar10/>
Time on 2 cores: not measured; 3.5 times the epochs of configs/mnist.py
Expect (not run by us, no copy of the data at hand): n-cut at k = 4 about 1.84 pruned, far below the `layer` controls (z
about -16); pruned test accuracy .422 (2003.04881).
"""

import ml_collections

from configs import cifar10, study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; variant "quick" is a toy size."""
    config = cifar10.get_config(variant)
    config.model.dropout_rate = 0.2
    study.lengthen(config, variant, epochs=100, prune_epochs=40)
    return config
