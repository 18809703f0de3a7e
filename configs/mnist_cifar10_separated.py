"""MNIST with labels 0 to 4 and CIFAR-10 in grey with labels 5 to 9, trained as configs/lines_cifar10.py.

Command: python -m experiments.run --config=configs/mnist_cifar10_separated.py --config.data.dir=<folder with both>
Time on 2 cores: not measured; by the number of steps 10 seeds train in 5 minutes and cluster in 6, lesions take 17
Expect (not run by us, no copy of the data at hand): n-cuts are not published in a form we have.
"""

import ml_collections

from configs import lines_cifar10


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    config = lines_cifar10.get_config(variant)
    config.data.name = "mnist|cifar10"
    return config
