"""Fashion-MNIST without dropout.

Command: python -m experiments.run --config=configs/fashion_mnist.py --config.data.dir=<folder with fashion_mnist/>
Time on 2 cores: as configs/mnist.py, about 11 minutes for 4 seeds, 7 of them lesions
Expect: n-cuts are not published in a form we have; pruned test accuracy near .89.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "fashion_mnist"})
