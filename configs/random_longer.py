"""Random pixels and labels, trained for 1000 epochs; generated, no download.

Command: python -m experiments.run --config=configs/random_longer.py --config.train.num_seeds=2
Time on 2 cores: 10 seeds train in 68 minutes (85 with dropout) and cluster in 6, lesions take 17
Expect: test accuracy about .10, chance; n-cuts are not published in a form we have.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "random", "train.epochs": 1000})
