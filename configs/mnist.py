"""MNIST without dropout, the study's first network.

Command: python -m experiments.run --config=configs/mnist.py --config.data.dir=<folder with mnist/> --workdir=runs/mnist
Time on 2 cores: about 11 minutes for 4 seeds, 7 of them lesions
Expect: n-cut at k = 4 about 2.35 at initialisation, 2.44 unpruned, 2.00 pruned; at k = 12 10.30, 10.02 and 8.88; pruned
test accuracy .983; z about -2.7 against `layer` at k = 4 (2003.04881 and 2103.03386). With dropout: mnist_dropout.py.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant)
