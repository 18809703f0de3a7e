"""Lines with labels 0 to 4 and MNIST with labels 5 to 9.

Command: python -m experiments.run --config=configs/lines_mnist_separated.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 6, lesions take 17
Expect: n-cuts are not published in a form we have.
"""

import ml_collections

from configs import lines_mnist


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    config = lines_mnist.get_config(variant)
    config.data.name = "lines|mnist"
    return config
