"""Fashion-MNIST by the small convolutional network of mnist_cnn.py.

Command: python -m experiments.run --config=configs/fashion_cnn.py --config.data.dir=<folder with fashion_mnist/>
Time on 2 cores: as mnist_cnn.py
Expect: what 2103.03386 found of such networks: n-cuts of the convolutions like those of shuffled ones before pruning
"""

import ml_collections

from configs import mnist_cnn


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return mnist_cnn.get_config(variant, {"data.name": "fashion_mnist"})
