"""Lines and MNIST pooled, half of each: a label means one thing in the images of the one, another in the other's.

Command: python -m experiments.run --config=configs/lines_mnist.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 6, lesions take 17
Expect: n-cuts are not published in a form we have.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "lines+mnist"})
