"""Random: uniform pixels with random labels, so that there is nothing to learn; generated, no download.

Command: python -m experiments.run --config=configs/random.py
Time on 2 cores: as configs/mnist.py, about 10 minutes for 4 seeds, 7 of them lesions
Expect: test accuracy about .10, chance.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; variant "quick" is a toy size."""
    config = study.get_config(variant)
    config.data.name = "random"
    return config
