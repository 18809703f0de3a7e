"""Halves: two MNIST images side by side, the label the sum of both digits modulo 10 (2103.03386).

Command: python -m experiments.run --config=configs/halves.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 3, lesions take 17
Expect: n-cuts are not published in a form we have.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "halves"})
