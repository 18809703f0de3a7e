"""Two MNIST digits as two channels, the label their sum modulo 10, by the convolutional network of mnist_cnn.py.

The channels meet in the first kernel, which the graph "convolutions" leaves out. Digits of one class, the label that
class: --config.data.name=stacked_same

Command: python -m experiments.run --config=configs/mnist_stacked.py --config.data.dir=<folder with mnist/>
Time on 2 cores: as mnist_cnn.py
Expect: n-cut of "convolutions" at k = 12 10.702 +- .016 unpruned for stacked_same, z +1.5 against `layer` (2103.03386)
"""

import ml_collections

from configs import mnist_cnn


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return mnist_cnn.get_config(variant, {"data.name": "stacked", "model.widths": (1568, 64, 64, 64, 128, 10)})
