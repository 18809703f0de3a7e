"""Random: uniform pixels with random labels, so that there is nothing to learn; generated, no download.

Command: python -m experiments.run --config=configs/random.py
Time on 2 cores: as configs/mnist.py, about 11 minutes for 4 seeds, 7 of them lesions
Expect (ours, 5 seeds; not published in a form we have): accuracy about .10, chance, on training samples too; n-cut at
k = 4 2.35 unpruned, 2.06 pruned with z -1.4 against `layer`.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "random"})
