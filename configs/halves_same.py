"""Halves of one class: two MNIST images of the same digit side by side, the label that digit (2103.03386).

Command: python -m experiments.run --config=configs/halves_same.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 6, lesions take 17
Expect: n-cuts are not published in a form we have.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "halves_same"})
