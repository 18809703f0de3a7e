"""Fashion-MNIST with dropout 0.5 after each hidden layer.

Command: python -m experiments.run --config=configs/fashion_mnist_dropout.py --config.data.dir=<folder>
Time on 2 cores: as configs/mnist.py
Expect: the study prints no mean for it; pruned test accuracy near .87, n-cut below the `layer` controls.
"""

import ml_collections

from configs import fashion_mnist


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; variant "quick" is a toy size."""
    config = fashion_mnist.get_config(variant)
    config.model.dropout_rate = 0.5
    return config
