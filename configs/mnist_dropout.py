"""MNIST with dropout 0.5 after each hidden layer: configs/mnist.py:dropout.

Command: python -m experiments.run --config=configs/mnist_dropout.py --config.data.dir=<folder with mnist/>
Time on 2 cores: about 11 minutes for 4 seeds, 7 of them lesions
Expect: n-cut at k = 4 about 2.23 unpruned, 1.84 pruned; at k = 12 9.97 and 8.35; pruned test accuracy .979; z about -12
against `layer` at k = 4 (2003.04881 and 2103.03386).
"""

import ml_collections

from configs import mnist, study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return mnist.get_config(study.with_dropout(variant))
