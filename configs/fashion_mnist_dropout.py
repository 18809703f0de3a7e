"""Fashion-MNIST with dropout 0.5 after each hidden layer: configs/fashion_mnist.py:dropout.

Command: python -m experiments.run --config=configs/fashion_mnist_dropout.py --config.data.dir=<folder>
Time on 2 cores: as configs/mnist.py
Expect: n-cuts are not published in a form we have, but below the `layer` controls; pruned test accuracy near .87.
"""

import ml_collections

from configs import fashion_mnist, study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return fashion_mnist.get_config(study.with_dropout(variant))
