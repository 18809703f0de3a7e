"""Fashion-MNIST without dropout.

Command: python -m experiments.run --config=configs/fashion_mnist.py --config.data.dir=<folder with fashion_mnist/>
Time on 2 cores: as configs/mnist.py, about 10 minutes for 4 seeds, 7 of them lesions
Expect: the study prints no mean for it; pruned test accuracy near .89.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; variant "quick" is a toy size."""
    config = study.get_config(variant)
    config.data.name = "fashion_mnist"
    return config
