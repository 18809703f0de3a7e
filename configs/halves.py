"""Halves: two MNIST images side by side, the label the sum of both digits modulo 10 (2103.03386).

Command: python -m experiments.run --config=configs/halves.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 6, lesions take 17
Expect (ours, 3 seeds; not published in a form we have): pruned test accuracy .93; n-cut at k = 4 2.36 unpruned with z
-6.5 against `layer`, 1.596 +- .005 pruned with z -26, and -13 against `layer_nonzero`.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "halves"})
